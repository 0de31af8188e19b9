"""Write digits, signs and words on a sheet: their ink, and a box for every digit."""

from typing import NamedTuple

import cv2
import numpy as np

from training.draw import Rng, between, chance, log_between, slanted
from training.glyphs import Bank, Glyph

# Heights of digits in pixels, of a row alone and of the smallest that are to be found.
HEIGHTS, TALLEST, SMALLEST = (12, 72), 150, 9
# Of those in tight crops, mostly: about what the detector's second look shows.
TIGHT_HEIGHTS = (18, 50)
# Gaps between neighbours over their height, and how often: overlapping, touching,
# close, apart.
GAPS = {
    (-0.3, -0.05): 0.2,
    (-0.1, 0.06): 0.26,
    (0.02, 0.22): 0.26,
    (0.15, 0.5): 0.16,
    (0.4, 2.0): 0.12,
}
# A digit is marked if this share of its box is on the page, and left out of the loss if
# less is, but more than the second.
SHOWN, HARDLY_SHOWN = 0.85, 0.08
# Letters that look like digits, among those of a word: there they are none.
LOOKALIKE_SHARE = 0.3
# A box's label where a digit may or may not be found.
IGNORED = -1
# Levels of ink, of 255, that belong to a glyph.
INKED = 70
# What is written in print.
TEXT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


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
    # The longer side of every glyph has the same length, of a lying 1 too.
    return style.slant @ own * (height / max(glyph.ink.shape))


def contents(
    rng: Rng, bank: Bank, style: Style, count: int, mixed: dict
) -> list[Glyph]:
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


def write(
    rng: Rng,
    sheet: Sheet,
    style: Style,
    glyphs: list[Glyph],
    x: float,
    y: float,
    tilt: float,
) -> None:
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
    count = min(int(rng.integers(1, 9)) for _ in range(3 if chance(rng, 0.6) else 1))
    tallest = min(0.97 * height, TALLEST, 1.9 * width / count)
    is_usual = chance(rng, 0.75)
    tall = log_between(rng, *TIGHT_HEIGHTS) if is_usual else between(rng, 30, TALLEST)
    style = any_style(rng, min(tall, tallest))
    glyphs = contents(rng, bank, style, count, mixture(rng))
    for place in (0, -1):
        if chance(rng, 0.3):
            glyphs[place] = bank.digit(rng, 1, style.pen)
    write(rng, sheet, style, glyphs, 30, 40 + height / 2, rng.normal(0, 0.03))
    if not sheet.boxes:
        return sheet.crop(0, 0, width, height)
    bounds = np.array([box[:4] for box in sheet.boxes])
    margins = [
        style.height
        * (between(rng, 0, 0.07) if chance(rng, 0.6) else between(rng, -0.06, 0.5))
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
    y = between(
        rng, min(0.5 * style.height, 0.5 * height), height - 0.45 * style.height
    )
    write(rng, sheet, style, [glyph], x, y, 0)
    return sheet


def write_words(
    rng: Rng, bank: Bank, sheet: Sheet, style: Style, x: float, y: float, tilt: float
) -> None:
    words = style._replace(gap=between(rng, -0.12, 0.15))
    while bank.letters and x < sheet.ink.shape[1]:
        places = rng.integers(0, len(bank.letters), int(rng.integers(2, 10)))
        left, is_word = x, len(places) > 2
        for place in places:
            glyph = bank.letters[place]
            if is_word and bank.lookalikes and chance(rng, LOOKALIKE_SHARE):
                glyph = bank.lookalikes[rng.integers(len(bank.lookalikes))]
            tall = style.height * between(rng, 0.5, 1.05)
            level = y + 0.5 * (style.height - tall) + tilt * (x - left)
            box = sheet.paste(
                glyph,
                x + words.gap * style.height,
                level,
                scaled(rng, words, glyph, tall),
                between(rng, 0.7, 1),
            )
            x = box[2] if box else x
        x += style.height * between(rng, 0.35, 1.2)
        if chance(rng, 0.25):
            break


def words(rng: Rng, bank: Bank, height: int, width: int) -> Sheet:
    """Letters, words and lines of them, and no digit."""
    sheet = Sheet(height, width)
    tall = (
        log_between(rng, 14, 0.9 * height)
        if chance(rng, 0.5)
        else log_between(rng, 12, 50)
    )
    style = any_style(rng, tall)
    y = style.height * between(rng, 0.5, 1)
    if chance(rng, 0.3):
        y = max(y, height * between(rng, 0.3, 0.6))
    while y < height:
        write_words(
            rng,
            bank,
            sheet,
            style,
            between(rng, 0, 0.3) * width,
            y,
            rng.normal(0, 0.03),
        )
        y += style.height * between(rng, 1.1, 2)
        if chance(rng, 0.3):
            break
    return sheet


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


LAYOUTS = {
    "rows": rows,
    "row": row,
    "tight": tight,
    "single": single,
    "words": words,
    "print": printed,
}
