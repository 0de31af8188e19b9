"""Photograph sheets: paper, printed lines, marks, lens, sensor and file.

A sheet is one of layouts.py; a photo is uint8 (height, width).
"""

from itertools import pairwise

import cv2
import numpy as np

from recognition.decoding import to_uint8
from training.augmentations import noise
from training.draw import Rng, between, chance, log_between
from training.layouts import Sheet, choose, write_print
from training.render import clutter, lit_paper

# How dark ink is on paper: shares of the paper's brightness that it takes away.
FAINT, CLEAR = (0.08, 0.25), (0.25, 0.97)


class Pen:
    """Draws printed lines of one lean and thickness, uint8 (height, width)."""

    def __init__(self, shape: tuple[int, int], lean: float, thickness: int) -> None:
        self.tall, self.wide = shape
        self.lines = np.zeros(shape, np.uint8)
        self.lean, self.thickness = lean, thickness

    def line(self, x0: float, y0: float, x1: float, y1: float) -> None:
        ends = []
        for x, y in ((x0, y0), (x1, y1)):
            shift_x = self.lean * (y - self.tall / 2)
            shift_y = self.lean * (x - self.wide / 2)
            ends.append((int(8 * (x - shift_x)), int(8 * (y + shift_y))))
        cv2.line(self.lines, *ends, 255, self.thickness, cv2.LINE_AA, 3)

    def level(self, y: float) -> None:
        self.line(-9, y, self.wide + 9, y)

    def upright(self, x: float) -> None:
        self.line(x, -9, x, self.tall + 9)


def ruler(rng: Rng, sheet: Sheet, height: float) -> np.ndarray:
    """Printed lines: ruled or squared paper, frames, cells; ink in [0, 1]."""
    lean = rng.normal(0, 0.015)
    thickness = max(1, round(log_between(rng, 0.8, max(1, 0.07 * height))))
    pen = Pen(sheet.ink.shape, lean, thickness)
    digits = [box[:4] for box in sheet.boxes]
    kind = choose(
        rng, {"ruled": 0.45, "rim": 0.2, "cells": 0.19, "boxes": 0.1, "one": 0.06}
    )
    if kind == "ruled":
        rule(rng, pen, height)
    elif kind == "rim":
        draw_rim(rng, pen)
    elif kind == "cells" and digits:
        draw_cells(rng, pen, digits, height)
    elif kind == "boxes":
        draw_boxes(rng, pen, digits, height)
    elif chance(rng, 0.6):
        pen.level(between(rng, 0, pen.tall))
    else:
        pen.upright(between(rng, 0, pen.wide))
    return pen.lines.astype(np.float32) / 255


def rule(rng: Rng, pen: Pen, height: float) -> None:
    """Ruled or squared paper."""
    spacing = max(5, height * log_between(rng, 0.3, 2.2))
    for y in np.arange(between(rng, 0, spacing), pen.tall, spacing):
        pen.level(y)
    if chance(rng, 0.5):
        for x in np.arange(between(rng, 0, spacing), pen.wide, spacing):
            pen.upright(x)


def draw_rim(rng: Rng, pen: Pen) -> None:
    """Some sides of the frame of a cell, near the rim."""
    for side in range(4):
        if not chance(rng, 0.6):
            continue
        away, ends = between(rng, 0, 0.13), (0.0, 1.0)
        if not chance(rng, 0.7):
            ends = between(rng, 0, 0.15), between(rng, 0.85, 1)
        place = 1 - away if side % 2 else away
        if side < 2:
            y = place * pen.tall
            pen.line(ends[0] * pen.wide, y, ends[1] * pen.wide, y)
        else:
            x = place * pen.wide
            pen.line(x, ends[0] * pen.tall, x, ends[1] * pen.tall)


def draw_cells(rng: Rng, pen: Pen, digits: list, height: float) -> None:
    """Lines between neighbours, and often above and below."""
    top = min(digit[1] for digit in digits) - 0.2 * height
    bottom = max(digit[3] for digit in digits) + 0.2 * height
    for left, right in pairwise(sorted(digits)):
        if right[0] >= left[2]:
            x = (left[2] + right[0]) / 2
            pen.line(x, top, x, bottom)
    for y in (top, bottom):
        if chance(rng, 0.7):
            pen.level(y)


def draw_boxes(rng: Rng, pen: Pen, digits: list, height: float) -> None:
    """A frame around each digit."""
    margin = height * between(rng, 0.04, 0.25)
    for left, top, right, bottom in digits:
        corners = [left - margin, top - margin, right + margin, bottom + margin]
        x0, y0, x1, y1 = (int(side) for side in corners)
        cv2.rectangle(pen.lines, (x0, y0), (x1, y1), 255, pen.thickness)


def marks(rng: Rng, height: int, width: int, size: float) -> np.ndarray:
    """Dots, strokes and scribbles that belong to nothing, ink in [0, 1]."""
    sheet = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(1, 6))):
        spot = rng.uniform(0, 1, 2) * [width, height]
        if chance(rng, 0.55):
            radius = max(1, int(size * log_between(rng, 0.01, 0.08)))
            cv2.circle(sheet, spot.astype(int).tolist(), radius, 255, -1, cv2.LINE_AA)
        else:
            steps = rng.normal(0, 0.5 * size, (int(rng.integers(3, 9)), 2))
            line = np.vstack([spot, spot + np.cumsum(steps, axis=0)])
            thickness = max(1, round(size * log_between(rng, 0.02, 0.12)))
            cv2.polylines(
                sheet, [np.int32(8 * line)], False, 255, thickness, cv2.LINE_AA, 3
            )
    if chance(rng, 0.25):
        write_print(rng, sheet, size * between(rng, 0.3, 0.9), int(rng.integers(1, 3)))
    return sheet.astype(np.float32) / 255


def photographed(rng: Rng, sheet: Sheet, is_hard: bool = True) -> np.ndarray:
    """The sheet as a camera, scanner or screen shows it, uint8.

    `is_hard`: it may be faint, or have marks across it and the back show through.
    """
    tall, wide = sheet.ink.shape
    heights = [bottom - top for _, top, _, bottom, _ in sheet.boxes]
    height = float(np.median(heights)) if heights else between(rng, 15, 60)
    is_screen = chance(rng, 0.2)
    if is_screen:
        level = 255 if chance(rng, 0.5) else between(rng, 150, 255)
        paper, darkness = np.full((tall, wide), level, np.float32), between(rng, 0.6, 1)
    else:
        paper = lit_paper(rng, tall, wide)
        is_faint = chance(rng, 0.1) and is_hard
        darkness = log_between(rng, *FAINT) if is_faint else between(rng, *CLEAR)
    if chance(rng, 0.2 if is_screen else 0.5):
        lines = ruler(rng, sheet, height)
        paper = paper * (1 - lines * darkness * log_between(rng, 0.15, 1.1))
    if is_hard:
        paper = crossed(rng, paper, sheet, height, darkness, is_screen)
    picture = np.maximum(paper, 0) * (1 - darkness * np.minimum(sheet.ink, 1))
    return camera(rng, picture, height, darkness)


def crossed(
    rng: Rng,
    paper: np.ndarray,
    sheet: Sheet,
    height: float,
    darkness: float,
    is_screen: bool,
) -> np.ndarray:
    """Paper with marks, rubbish, and what is written on its other side."""
    tall, wide = paper.shape
    if chance(rng, 0.18):
        strength = darkness * between(rng, 0.3, 1)
        paper = paper * (1 - strength * marks(rng, tall, wide, height))
    if not is_screen and chance(rng, 0.1):
        strength = darkness * between(rng, 0.3, 1)
        paper = paper * (1 - strength * clutter(rng, tall, wide))
    if chance(rng, 0.08):
        turned = sheet.ink[:, ::-1] if chance(rng, 0.7) else sheet.ink[::-1]
        other = cv2.GaussianBlur(turned, (0, 0), log_between(rng, 0.7, 3))
        other = np.roll(other, rng.integers(0, min(tall, wide), 2), (0, 1))
        paper = paper * (1 - darkness * between(rng, 0.08, 0.4) * other)
    return paper


def camera(rng: Rng, picture: np.ndarray, height: float, darkness: float) -> np.ndarray:
    """Blur, noise, a negative, JPEG: float32 grey levels → uint8."""
    if chance(rng, 0.45):
        picture = cv2.GaussianBlur(
            picture, (0, 0), log_between(rng, 0.35, max(0.5, 0.05 * height))
        )
    if chance(rng, 0.55):
        grain = noise(rng, picture.shape)
        if chance(rng, 0.4):
            grain = 2 * cv2.GaussianBlur(grain, (0, 0), log_between(rng, 0.5, 2.5))
        picture = picture + grain * log_between(rng, 0.5, max(1, 40 * darkness))
    if chance(rng, 0.12):
        picture = 255 - picture
    picture = to_uint8(picture)
    if chance(rng, 0.4):
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 96))]
        jpeg = cv2.imencode(".jpg", picture, quality)[1]
        picture = cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)
    return picture
