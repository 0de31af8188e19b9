"""Compose pages of handwritten digits, and see them as the service does.

A page is drawn as ink, photographed or scanned, and goes through the service's own
functions; the result is what the detector sees, with a box for every digit.
"""

import os
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from recognition.decoding import to_uint8
from recognition.detection import STRONGEST, detailed_ink, detector_input
from recognition.illumination import candidate_views
from training.augmentations import noise
from training.data import fashion
from training.draw import Rng, between, chance, log_between, slanted
from training.empty import empty_scene
from training.glyphs import Bank, Glyph, load_bank
from training.render import clutter, lit_paper

# Height and width of the pages, all of the same area, and how often each is composed.
SHAPES = {(192, 192): 0.5, (128, 288): 0.25, (96, 384): 0.17, (288, 128): 0.08}
# What is on a page, and how often.
KINDS = {
    "rows": 0.34,
    "row": 0.16,
    "tight": 0.19,
    "single": 0.06,
    "words": 0.09,
    "print": 0.03,
    "thing": 0.05,
    "empty": 0.08,
}
# Heights of digits in pixels, of a row alone and of the smallest that are to be found.
HEIGHTS, TALLEST, SMALLEST = (12, 72), 150, 9
# Gaps between neighbours over their height, and how often: overlapping, touching,
# close, apart.
GAPS = {(-0.28, -0.05): 0.14, (-0.08, 0.06): 0.2, (0.02, 0.22): 0.3, (0.15, 0.5): 0.22,
        (0.4, 2.0): 0.14}
# A digit is marked if this share of its box is on the page, and left out of the loss if
# less is, but more than the second.
SHOWN, HARDLY_SHOWN = 0.85, 0.08
# Letters that look like digits, among those of a word: there they are none.
LOOKALIKE_SHARE = 0.3
# A box's label where a digit may or may not be found.
IGNORED = -1
# Levels of ink, of 255, that belong to a glyph.
INKED = 70
# The least correlation of what is seen with what was drawn: else the ink was taken for
# paper.
LEAST_CORRELATION = 0.25
# A page as bytes: this is the usual strength of strokes.
FULL = 170
CHUNK = 200
Boxes = list[tuple[float, float, float, float, int]]


class Style(NamedTuple):
    """How a writer writes: height in pixels, gap over the height, slant as a matrix,
    place of the pen among all by width, and how much the digits differ.
    """

    height: float
    gap: float
    slant: np.ndarray
    pen: float
    jitter: float


class Sheet:
    """Ink, float32 (height, width) in [0, 1], and the boxes of the digits on it."""

    def __init__(self, height: int, width: int) -> None:
        self.ink = np.zeros((height, width), np.float32)
        self.boxes: list[tuple[int, int, int, int, int]] = []

    def paste(self, glyph: Glyph, x: float, y: float, matrix, strength=1.0):
        """Draw a glyph with its left side at x and its middle at y; returns its box."""
        placed = transformed(glyph.ink, matrix)
        if placed is None:
            return None
        ink, (left, top, right, bottom) = placed
        x, y = round(x - left), round(y - (top + bottom) / 2)
        height, width = self.ink.shape
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + ink.shape[1], width), min(y + ink.shape[0], height)
        if x1 > x0 and y1 > y0:
            part = ink[y0 - y : y1 - y, x0 - x : x1 - x] * np.float32(strength / 255)
            place = self.ink[y0:y1, x0:x1]
            np.maximum(place, part, out=place)
        return x + left, y + top, x + right, y + bottom

    def mark(self, box: tuple, label: int) -> None:
        left, top, right, bottom = box
        height, width = self.ink.shape
        inside = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        shown = max(inside[2] - inside[0], 0) * max(inside[3] - inside[1], 0)
        share = shown / max((right - left) * (bottom - top), 1)
        is_small = max(inside[2] - inside[0], inside[3] - inside[1]) < SMALLEST
        if share > HARDLY_SHOWN:
            is_marked = share > SHOWN and not is_small
            self.boxes.append((*inside, label if is_marked else IGNORED))

    def crop(self, left: int, top: int, right: int, bottom: int) -> "Sheet":
        height, width = self.ink.shape
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, width), min(bottom, height)
        cropped = Sheet(max(bottom - top, 8), max(right - left, 8))
        part = self.ink[top:bottom, left:right]
        cropped.ink[: part.shape[0], : part.shape[1]] = part
        for x0, y0, x1, y1, label in self.boxes:
            cropped.mark((x0 - left, y0 - top, x1 - left, y1 - top), label)
        return cropped


def transformed(ink: np.ndarray, matrix: np.ndarray):
    """A glyph in pixels of the page, float32 of 255, and the bounds of its ink."""
    height, width = ink.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ matrix.T
    low, high = corners.min(axis=0) - 1, corners.max(axis=0) + 1
    size = np.ceil(high - low).astype(int).tolist()
    if min(size) < 2 or max(size) > 600:
        return None
    scale = np.sqrt(abs(np.linalg.det(matrix)))
    if scale < 0.5:
        ink = cv2.GaussianBlur(ink, (0, 0), 0.45 / scale)
    affine = np.hstack([matrix, -low[:, None]])
    placed = cv2.warpAffine(ink, affine, size, flags=cv2.INTER_LINEAR)
    mask = (placed > min(INKED, 0.4 * placed.max())).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return None
    return placed.astype(np.float32), (left, top, left + width, top + height)


def choose(rng: Rng, shares: dict):
    weights = np.array(list(shares.values()))
    return list(shares)[rng.choice(len(shares), p=weights / weights.sum())]


def any_style(rng: Rng, height: float) -> Style:
    low, high = choose(rng, GAPS)
    slant = slanted(rng, 0.06, 0.18, 0.1)
    jitter = log_between(rng, 0.3, 1.6)
    return Style(height, between(rng, low, high), slant, rng.random(), jitter)


def scaled(rng: Rng, style: Style, glyph: Glyph, height: float) -> np.ndarray:
    """The matrix from a glyph's pixels to those of the page."""
    own = slanted(rng, 0.05 * style.jitter, 0.06 * style.jitter, 0.07 * style.jitter)
    # The longer side of every glyph has the same length; a lying 1 is as long as others.
    return style.slant @ own * (height / max(glyph.ink.shape))


def contents(rng: Rng, bank: Bank, style: Style, count: int, mixed: dict) -> list[Glyph]:
    """Digits, with signs and letters between them as often as `mixed` says."""
    glyphs = []
    repeated = int(rng.integers(10)) if chance(rng, 0.12) else None
    for place in range(count):
        if place and chance(rng, mixed.get("signs", 0)):
            glyphs.append(bank.signs[rng.integers(len(bank.signs))])
        elif bank.letters and chance(rng, mixed.get("letters", 0)):
            glyphs.append(bank.letters[rng.integers(len(bank.letters))])
        digit = int(rng.integers(10)) if repeated is None else repeated
        if chance(rng, 0.08):
            digit = 0 if chance(rng, 0.4) else 1
        glyphs.append(bank.digit(rng, digit, style.pen))
    return glyphs


def write(rng: Rng, sheet: Sheet, style: Style, glyphs: list[Glyph], x: float, y: float,
          tilt: float) -> None:
    """A row of glyphs; what leaves the sheet is left out."""
    height, start, first = style.height, x, True
    strength = between(rng, 0.6, 1)
    for glyph in glyphs:
        if x > sheet.ink.shape[1]:
            break
        tall = height * glyph.height
        tall *= np.exp(style.jitter * np.clip(rng.normal(0, 0.09), -0.2, 0.2))
        if glyph.label > 9 and glyph.height == 1:
            tall *= between(rng, 0.55, 1.1)
        gap = 0 if first else height * (style.gap + 0.06 * style.jitter * rng.normal())
        level = y + tilt * (x - start) + height * glyph.drop
        level += 0.05 * style.jitter * height * rng.normal()
        matrix = scaled(rng, style, glyph, tall)
        shade = min(1, strength * between(rng, 0.85, 1.2))
        box = sheet.paste(glyph, x + gap, level, matrix, shade)
        if box is None:
            continue
        x, first = box[2], False
        if glyph.label <= 9:
            sheet.mark(box, glyph.label)
        if chance(rng, 0.03):
            x += height * between(rng, 0.3, 2)


def mixture(rng: Rng) -> dict:
    mixed = {"signs": between(rng, 0.2, 0.7)} if chance(rng, 0.25) else {}
    if chance(rng, 0.15):
        mixed["letters"] = between(rng, 0.1, 0.6)
    return mixed


def rows(rng: Rng, bank: Bank, height: int, width: int) -> Sheet:
    """Rows, columns, lists, some between lines of words."""
    sheet = Sheet(height, width)
    style = any_style(rng, min(log_between(rng, *HEIGHTS), 0.6 * height))
    count = 1 if chance(rng, 0.12) else int(rng.integers(1, 13))
    left, lead = between(rng, 0.02, 0.35) * width, style.height * between(rng, 1.1, 2.6)
    y, tilt = style.height * between(rng, 0.45, 1.5), rng.normal(0, 0.035)
    mixed, words = mixture(rng), between(rng, 0.1, 0.5) * chance(rng, 0.3)
    is_scattered = chance(rng, 0.12)
    while y < height + 0.3 * style.height:
        x = left + style.height * rng.normal(0, 0.3)
        if is_scattered:
            x, count = between(rng, -0.05, 0.9) * width, int(rng.integers(1, 3))
        if chance(rng, words):
            write_words(rng, bank, sheet, style, x, y, tilt)
        else:
            many = count if chance(rng, 0.6) else int(rng.integers(1, count + 1))
            glyphs = contents(rng, bank, style, many, mixed)
            write(rng, sheet, style, glyphs, x, y, tilt)
        if is_scattered:
            style = style._replace(height=style.height * between(rng, 0.8, 1.25))
        y += lead * np.exp(rng.normal(0, 0.08))
        if chance(rng, 0.06):
            break
    return sheet


def row(rng: Rng, bank: Bank, height: int, width: int) -> Sheet:
    """One row somewhere on the page."""
    sheet = Sheet(height, width)
    count = int(rng.integers(1, 13))
    tallest = min(0.95 * height, TALLEST, 1.9 * width / count)
    style = any_style(rng, log_between(rng, min(14, tallest), tallest))
    glyphs = contents(rng, bank, style, count, mixture(rng))
    x, y = between(rng, -0.05, 0.4) * width, np.clip(rng.normal(0.5, 0.15), 0.1, 0.9)
    tilt = rng.normal(0, 0.05 if chance(rng, 0.85) else 0.2)
    write(rng, sheet, style, glyphs, x, y * height, tilt)
    return sheet


def tight(rng: Rng, bank: Bank, height: int, width: int) -> Sheet:
    """One row in a crop that ends at its ink; it often begins or ends with a 1."""
    sheet = Sheet(height + 80, width + 80)
    count = min(int(rng.integers(1, 13)), int(rng.integers(1, 13)))
    tallest = min(0.97 * height, TALLEST, 1.9 * width / count)
    style = any_style(rng, max(12, tallest * between(rng, 0.25, 1)))
    glyphs = contents(rng, bank, style, count, mixture(rng))
    for place in (0, -1):
        if chance(rng, 0.2):
            glyphs[place] = bank.digit(rng, 1, style.pen)
    write(rng, sheet, style, glyphs, 30, 40 + height / 2, rng.normal(0, 0.03))
    if not sheet.boxes:
        return sheet.crop(0, 0, width, height)
    bounds = np.array([box[:4] for box in sheet.boxes])
    margins = [
        style.height * (between(rng, 0, 0.07) if chance(rng, 0.6) else between(rng, -0.06, 0.5))
        for _ in range(4)
    ]
    left, top = bounds[:, :2].min(axis=0) - margins[:2]
    right, bottom = bounds[:, 2:].max(axis=0) + margins[2:]
    right, bottom = min(right, left + width), min(bottom, top + height)
    return sheet.crop(*(round(side) for side in (left, top, right, bottom)))


def single(rng: Rng, bank: Bank, height: int, width: int) -> Sheet:
    """One digit, large or small: it must not be found in two parts."""
    sheet = Sheet(height, width)
    tallest = min(0.95 * height, TALLEST)
    style = any_style(rng, between(rng, 0.3, 1) * tallest)
    glyph = bank.digit(rng, int(rng.integers(10)), rng.random())
    x = between(rng, 0, max(width - 0.6 * style.height, 1))
    y = between(rng, min(0.5 * style.height, 0.5 * height), height - 0.45 * style.height)
    write(rng, sheet, style, [glyph], x, y, 0)
    return sheet


def write_words(rng: Rng, bank: Bank, sheet: Sheet, style: Style, x: float, y: float,
                tilt: float) -> None:
    words = style._replace(gap=between(rng, -0.12, 0.15))
    while x < sheet.ink.shape[1]:
        places = rng.integers(0, len(bank.letters), int(rng.integers(2, 10)))
        left, is_word = x, len(places) > 2
        for place in places:
            glyph = bank.letters[place]
            if is_word and bank.lookalikes and chance(rng, LOOKALIKE_SHARE):
                glyph = bank.lookalikes[rng.integers(len(bank.lookalikes))]
            tall = style.height * between(rng, 0.5, 1.05)
            level = y + 0.5 * (style.height - tall) + tilt * (x - left)
            box = sheet.paste(glyph, x + words.gap * style.height, level,
                              scaled(rng, words, glyph, tall), between(rng, 0.7, 1))
            x = box[2] if box else x
        x += style.height * between(rng, 0.35, 1.2)
        if chance(rng, 0.25):
            break


def words(rng: Rng, bank: Bank, height: int, width: int) -> Sheet:
    """Letters, words and lines of them, and no digit."""
    sheet = Sheet(height, width)
    tall = log_between(rng, 14, 0.9 * height) if chance(rng, 0.5) else log_between(rng, 12, 50)
    style = any_style(rng, tall)
    y = style.height * between(rng, 0.5, 1)
    if chance(rng, 0.3):
        y = max(y, height * between(rng, 0.3, 0.6))
    while y < height:
        write_words(rng, bank, sheet, style, between(rng, 0, 0.3) * width, y, rng.normal(0, 0.03))
        y += style.height * between(rng, 1.1, 2)
        if chance(rng, 0.3):
            break
    return sheet


TEXT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def printed(rng: Rng, bank: Bank, height: int, width: int) -> Sheet:
    """Lines of printed or typed words."""
    sheet = np.zeros((height, width), np.uint8)
    write_print(rng, sheet, log_between(rng, 12, 60), int(rng.integers(1, 9)))
    page = Sheet(height, width)
    page.ink = sheet.astype(np.float32) / 255
    return page


def write_print(rng: Rng, sheet: np.ndarray, tall: float, lines: int) -> None:
    font = int(rng.integers(0, 8)) | (16 if chance(rng, 0.3) else 0)
    y, letters = tall * between(rng, 0.8, 2), list(TEXT + 6 * " ")
    for _ in range(lines):
        text = "".join(rng.choice(letters, int(rng.integers(2, 24))))
        place = int(between(rng, -0.05, 0.5) * sheet.shape[1]), int(y)
        thickness = max(1, round(tall * log_between(rng, 0.03, 0.15)))
        cv2.putText(sheet, text, place, font, tall / 30, 255, thickness, cv2.LINE_AA)
        y += tall * between(rng, 1.2, 2.2)


LAYOUTS = {"rows": rows, "row": row, "tight": tight, "single": single, "words": words,
           "print": printed}


def ruler(rng: Rng, sheet: Sheet, height: float) -> np.ndarray:
    """Printed lines: ruled or squared paper, frames, cells; ink in [0, 1]."""
    tall, wide = sheet.ink.shape
    lines = np.zeros((tall, wide), np.uint8)
    lean, thickness = rng.normal(0, 0.015), max(1, round(log_between(rng, 0.8, max(1, 0.07 * height))))

    def line(x0, y0, x1, y1):
        shift_y, shift_x = lean * np.array([x0 - wide / 2, x1 - wide / 2]), lean * np.array([y0 - tall / 2, y1 - tall / 2])
        ends = [(x0 - shift_x[0], y0 + shift_y[0]), (x1 - shift_x[1], y1 + shift_y[1])]
        first, last = (tuple(int(8 * n) for n in end) for end in ends)
        cv2.line(lines, first, last, 255, thickness, cv2.LINE_AA, 3)

    digits = [box[:4] for box in sheet.boxes]
    kind = choose(rng, {"ruled": 0.45, "rim": 0.25, "cells": 0.15, "boxes": 0.09, "one": 0.06})
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
                away, ends = between(rng, 0, 0.13), (0, 1) if chance(rng, 0.7) else (between(rng, 0, 0.15), between(rng, 0.85, 1))
                place = (1 - away if side % 2 else away) * (tall if side < 2 else wide)
                if side < 2:
                    line(ends[0] * wide, place, ends[1] * wide, place)
                else:
                    line(place, ends[0] * tall, place, ends[1] * tall)
    elif kind == "cells" and digits:
        # Lines between neighbours, and often above and below.
        top, bottom = min(d[1] for d in digits) - 0.2 * height, max(d[3] for d in digits) + 0.2 * height
        row = sorted(digits)
        for left, right in zip(row, row[1:]):
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
            cv2.polylines(sheet, [np.int32(8 * line)], False, 255, thickness, cv2.LINE_AA, 3)
    if chance(rng, 0.25):
        write_print(rng, sheet, size * between(rng, 0.3, 0.9), int(rng.integers(1, 3)))
    return sheet.astype(np.float32) / 255


def photographed(rng: Rng, sheet: Sheet) -> np.ndarray:
    """The sheet as a camera, scanner or screen shows it, uint8."""
    tall, wide = sheet.ink.shape
    heights = [bottom - top for _, top, _, bottom, _ in sheet.boxes]
    height = float(np.median(heights)) if heights else between(rng, 15, 60)
    is_screen = chance(rng, 0.2)
    if is_screen:
        paper = np.full((tall, wide), 255 if chance(rng, 0.5) else between(rng, 150, 255), np.float32)
        darkness = between(rng, 0.6, 1)
    else:
        paper = lit_paper(rng, tall, wide)
        darkness = log_between(rng, 0.08, 0.25) if chance(rng, 0.1) else between(rng, 0.25, 0.97)
    if chance(rng, 0.2 if is_screen else 0.5):
        lines = ruler(rng, sheet, height)
        paper = paper * (1 - lines * darkness * log_between(rng, 0.15, 1.1))
    if chance(rng, 0.18):
        paper = paper * (1 - darkness * between(rng, 0.3, 1) * marks(rng, tall, wide, height))
    if not is_screen and chance(rng, 0.1):
        paper = paper * (1 - darkness * between(rng, 0.3, 1) * clutter(rng, tall, wide))
    if chance(rng, 0.08):
        # What is written on the other side shows through.
        other = cv2.GaussianBlur(sheet.ink[:, ::-1] if chance(rng, 0.7) else sheet.ink[::-1], (0, 0), log_between(rng, 0.7, 3))
        other = np.roll(other, rng.integers(0, min(tall, wide), 2), (0, 1))
        paper = paper * (1 - darkness * between(rng, 0.08, 0.4) * other)
    picture = np.maximum(paper, 0) * (1 - darkness * np.minimum(sheet.ink, 1))
    return camera(rng, picture, height, darkness)


def camera(rng: Rng, picture: np.ndarray, height: float, darkness: float) -> np.ndarray:
    """Blur, noise, a negative, JPEG: float32 grey levels → uint8."""
    if chance(rng, 0.45):
        picture = cv2.GaussianBlur(picture, (0, 0), log_between(rng, 0.35, max(0.5, 0.05 * height)))
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


def seen(picture: np.ndarray) -> np.ndarray:
    """What the detector sees of a picture: float32 (height, width)."""
    return detector_input(detailed_ink(next(candidate_views(picture))))


def resized(pixels: np.ndarray, scale: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    size = max(8, round(width * scale)), max(8, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(pixels, size, interpolation=interpolation)


def view_of(rng: Rng, sheet: Sheet) -> np.ndarray | None:
    """The sheet as the detector sees it; None if the ink was taken for paper."""
    heights = [bottom - top for _, top, _, bottom, _ in sheet.boxes]
    coarse = 1.0
    if heights and chance(rng, 0.3):
        # A picture of few pixels, enlarged for the detector.
        coarse = min(1, between(rng, 10, 30) / np.median(heights))
    small = Sheet(*resized(sheet.ink, coarse).shape) if coarse < 1 else sheet
    if coarse < 1:
        small.ink = resized(sheet.ink, coarse)
        small.boxes = [(*(coarse * side for side in box[:4]), box[4]) for box in sheet.boxes]
    ink = seen(photographed(rng, small))
    ink = cv2.resize(ink, sheet.ink.shape[::-1]) if coarse < 1 else ink
    if sheet.boxes and np.corrcoef(ink[::2, ::2].ravel(), sheet.ink[::2, ::2].ravel())[0, 1] < LEAST_CORRELATION:
        return None
    return ink


def without_digits(rng: Rng, kind: str, things: list, height: int, width: int) -> np.ndarray:
    """The ink of a picture of something else, or of nothing."""
    if kind == "thing" and things:
        thing = things[rng.integers(len(things))].content
        picture = thing if chance(rng, 0.5) else 255 - thing
    else:
        picture = empty_scene(rng)
    if chance(rng, 0.3):
        picture = np.tile(picture, (1, 2) + (1,) * (picture.ndim - 2))
    fit = min(height / picture.shape[0], width / picture.shape[1])
    return seen(resized(picture, fit * between(rng, 0.5, 1)))


def page(rng: Rng, bank: Bank, things: list, shape: tuple[int, int]) -> tuple[np.ndarray, Boxes]:
    """What the detector sees, uint8 of that shape, and left, top, right, bottom and
    label of every digit."""
    height, width = shape
    while True:
        kind, boxes = choose(rng, KINDS), []
        if kind in LAYOUTS:
            sheet = LAYOUTS[kind](rng, bank, *smaller(rng, height, width))
            ink, boxes = view_of(rng, sheet), sheet.boxes
        else:
            ink = without_digits(rng, kind, things, height, width)
        if ink is not None:
            break
    canvas = np.zeros(shape, np.uint8)
    ink = ink[:height, :width]
    canvas[: ink.shape[0], : ink.shape[1]] = np.clip(FULL * ink, 0, FULL * STRONGEST)
    return canvas, boxes


def smaller(rng: Rng, height: int, width: int) -> tuple[int, int]:
    """The whole page, or one that leaves a part of it empty."""
    if chance(rng, 0.65):
        return height, width
    return max(24, int(height * between(rng, 0.4, 1))), max(24, int(width * between(rng, 0.5, 1)))


_material: list = []


def start_worker(bank: Path, directory: Path) -> None:
    has_things = (directory / "fashion_mnist").is_dir()
    _material[:] = load_bank(bank), fashion(directory) if has_things else []


def chunk_of_pages(job: tuple) -> tuple[np.ndarray, list[Boxes]]:
    shape, seed = job
    rng = np.random.default_rng(seed)
    pages = [page(rng, *_material, shape) for _ in range(CHUNK)]
    return np.stack([ink for ink, _ in pages]), [boxes for _, boxes in pages]


def draw_pages(bank: Path, directory: Path, count: int, seed: int, folder: Path) -> None:
    """Write about `count` pages, the same on any number of cores, and their boxes.

    For each of SHAPES, HxW.npy is uint8 (pages, H, W) and boxes-HxW.npy float32 (boxes,
    6): the number of the page, left, top, right, bottom, label.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pool = get_context("spawn").Pool(os.cpu_count(), start_worker, (bank, directory))
    with pool:
        for shape, share in SHAPES.items():
            chunks = round(share * count / CHUNK)
            name = f"{shape[0]}x{shape[1]}.npy"
            inks = np.lib.format.open_memmap(
                folder / name, "w+", np.uint8, (chunks * CHUNK, *shape)
            )
            boxes, jobs = [], [(shape, (seed, *shape, n)) for n in range(chunks)]
            done = pool.imap(chunk_of_pages, jobs)
            for number, (pages, found) in enumerate(tqdm(done, name, chunks)):
                start = number * CHUNK
                inks[start : start + CHUNK] = pages
                for place, of_page in enumerate(found, start):
                    boxes += [(place, *box) for box in of_page]
            inks.flush()
            np.save(folder / f"boxes-{name}", np.array(boxes, np.float32))
