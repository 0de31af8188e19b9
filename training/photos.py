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


def ruler(rng: Rng, sheet: Sheet, height: float) -> np.ndarray:
    """Printed lines: ruled or squared paper, frames, cells; ink in [0, 1]."""
    tall, wide = sheet.ink.shape
    lines = np.zeros((tall, wide), np.uint8)
    lean, thickness = (
        rng.normal(0, 0.015),
        max(1, round(log_between(rng, 0.8, max(1, 0.07 * height)))),
    )

    def line(x0, y0, x1, y1):
        shift_y, shift_x = (
            lean * np.array([x0 - wide / 2, x1 - wide / 2]),
            lean * np.array([y0 - tall / 2, y1 - tall / 2]),
        )
        ends = [(x0 - shift_x[0], y0 + shift_y[0]), (x1 - shift_x[1], y1 + shift_y[1])]
        first, last = (tuple(int(8 * n) for n in end) for end in ends)
        cv2.line(lines, first, last, 255, thickness, cv2.LINE_AA, 3)

    digits = [box[:4] for box in sheet.boxes]
    kind = choose(
        rng, {"ruled": 0.45, "rim": 0.2, "cells": 0.19, "boxes": 0.1, "one": 0.06}
    )
    if kind == "ruled":
        spacing = max(5, height * log_between(rng, 0.3, 2.2))
        for y in np.arange(between(rng, 0, spacing), tall, spacing):
            line(-9, y, wide + 9, y)
        if chance(rng, 0.5):
            for x in np.arange(between(rng, 0, spacing), wide, spacing):
                line(x, -9, x, tall + 9)
    elif kind == "rim":
        # Some sides of the frame of a cell, near the rim.
        for side in range(4):
            if chance(rng, 0.6):
                away, ends = (
                    between(rng, 0, 0.13),
                    (0, 1)
                    if chance(rng, 0.7)
                    else (between(rng, 0, 0.15), between(rng, 0.85, 1)),
                )
                place = (1 - away if side % 2 else away) * (tall if side < 2 else wide)
                if side < 2:
                    line(ends[0] * wide, place, ends[1] * wide, place)
                else:
                    line(place, ends[0] * tall, place, ends[1] * tall)
    elif kind == "cells" and digits:
        # Lines between neighbours, and often above and below.
        top, bottom = (
            min(d[1] for d in digits) - 0.2 * height,
            max(d[3] for d in digits) + 0.2 * height,
        )
        row = sorted(digits)
        for left, right in pairwise(row):
            if right[0] >= left[2]:
                x = (left[2] + right[0]) / 2
                line(x, top, x, bottom)
        for y in (top, bottom):
            if chance(rng, 0.7):
                line(-9, y, wide + 9, y)
    elif kind == "boxes":
        margin = height * between(rng, 0.04, 0.25)
        for left, top, right, bottom in digits:
            corners = [left - margin, top - margin, right + margin, bottom + margin]
            x0, y0, x1, y1 = (int(side) for side in corners)
            cv2.rectangle(lines, (x0, y0), (x1, y1), 255, thickness)
    elif chance(rng, 0.6):
        y = between(rng, 0, tall)
        line(-9, y, wide + 9, y)
    else:
        x = between(rng, 0, wide)
        line(x, -9, x, tall + 9)
    return lines.astype(np.float32) / 255


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
