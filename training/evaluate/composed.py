"""Composed pictures of numbers and of words, for everyone who has the sets."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from training.data import NO_DIGIT, Sample, as_picture
from training.draw import Rng, between, chance, log_between
from training.evaluate.numbers import Number
from training.glyphs import Bank, draw_bank, load_bank
from training.layouts import (
    GAPS,
    Sheet,
    any_style,
    choose,
    contents,
    scaled,
    write,
    write_words,
)
from training.photos import photographed

# Of the pictures and of the glyphs on them, which are of samples that training leaves
# out; and how many there are of each kind.
SEED, GLYPHS_SEED, COUNT = 900, 2, 400
# Heights of digits in pixels, and margins around them over that height.
HEIGHTS, MARGINS = (24, 110), (0.15, 1.6)
MOST_DIGITS, MOST_ROWS, MOST_IN_ROWS = 12, 4, 6
# Ink of at least this strength belongs to a stroke; touching digits come closer by such
# a share of their height until their strokes join, at most by the last.
STROKE, CLOSER, FARTHEST = 0.35, 0.03, 0.4


def test_bank(directory: Path) -> Bank:
    """Glyphs of the sets in a directory that training does not see."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "glyphs.npz"
        draw_bank(directory, "test", GLYPHS_SEED, file)
        return load_bank(file)


def all_composed(bank: Bank) -> list[Number]:
    kinds = {"composed": composed_numbers, "touching pairs": touching_pairs}
    return [
        Number(as_picture(Sample(picture, NO_DIGIT, kind)).content, text, kind)
        for kind, compose in kinds.items()
        for picture, text in compose(bank)
    ]


def composed_numbers(bank: Bank) -> Iterator[tuple[np.ndarray, str]]:
    """Pictures of 1 to 12 digits in one or several rows, and their text."""
    for number in range(COUNT):
        rng = np.random.default_rng((SEED, 0, number))
        sheet, text = rows_of_digits(rng, bank)
        yield photographed(rng, sheet, is_hard=False), text


def touching_pairs(bank: Bank) -> Iterator[tuple[np.ndarray, str]]:
    for number in range(COUNT):
        rng = np.random.default_rng((SEED, 1, number))
        sheet, text = pair(rng, bank)
        yield photographed(rng, sheet, is_hard=False), text


def composed_words(bank: Bank) -> Iterator[np.ndarray]:
    """Pictures of a word or some, without a digit."""
    for number in range(COUNT):
        rng = np.random.default_rng((SEED, 2, number))
        style = any_style(rng, log_between(rng, *HEIGHTS))
        # No lookalikes: even a person may read them as digits.
        letters = Bank([*bank.letters])
        sheet = Sheet(round(2 * style.height), round(between(rng, 3, 9) * style.height))
        left = between(rng, 0.1, 0.8) * style.height
        write_words(rng, letters, sheet, style, left, style.height, 0)
        yield photographed(rng, sheet, is_hard=False)


def rows_of_digits(rng: Rng, bank: Bank) -> tuple[Sheet, str]:
    style = any_style(rng, log_between(rng, *HEIGHTS))
    # Here neighbours may touch, but not hide each other.
    gap = between(rng, *choose(rng, {g: s for g, s in GAPS.items() if g[1] > 0}))
    style = style._replace(gap=max(gap, 0.0))
    rows = 1 if chance(rng, 0.75) else int(rng.integers(2, MOST_ROWS + 1))
    most = MOST_DIGITS if rows == 1 else MOST_IN_ROWS
    lead = between(rng, 1.5, 2.6) * style.height
    sheet = Sheet(round((rows + 1) * lead), round(40 * style.height))
    texts = []
    for row in range(rows):
        glyphs = contents(rng, bank, style, int(rng.integers(1, most + 1)), {})
        write(rng, sheet, style, glyphs, style.height, (row + 1) * lead, 0)
        texts.append("".join(str(glyph.label) for glyph in glyphs))
    return trimmed(rng, sheet, style.height), "\n".join(texts)


def pair(rng: Rng, bank: Bank) -> tuple[Sheet, str]:
    """Two digits whose strokes touch."""
    style = any_style(rng, log_between(rng, *HEIGHTS))
    glyphs = contents(rng, bank, style, 2, {})
    matrices = [scaled(rng, style, glyph, style.height) for glyph in glyphs]
    side = round(6 * style.height)
    alone = [Sheet(side, side) for _ in glyphs]
    for sheet, glyph, matrix in zip(alone, glyphs, matrices, strict=True):
        sheet.paste(glyph, style.height, side / 2, matrix)
    apart = sum(strokes(sheet) for sheet in alone)
    for gap in np.arange(0.1, -FARTHEST, -CLOSER):
        sheet, x = Sheet(side, side), style.height
        for glyph, matrix in zip(glyphs, matrices, strict=True):
            box = sheet.paste(glyph, x, side / 2, matrix)
            sheet.mark(box, glyph.label)
            x = box[2] + gap * style.height
        if strokes(sheet) < apart:
            break
    text = "".join(str(glyph.label) for glyph in glyphs)
    return trimmed(rng, sheet, style.height), text


def strokes(sheet: Sheet) -> int:
    """How many there are that do not touch."""
    mask = (sheet.ink > STROKE).astype(np.uint8)
    return cv2.connectedComponents(mask, connectivity=8)[0] - 1


def trimmed(rng: Rng, sheet: Sheet, height: float) -> Sheet:
    """The part of a sheet with digits, and margins."""
    bounds = np.array([box[:4] for box in sheet.boxes])
    margins = [height * between(rng, *MARGINS) for _ in range(4)]
    left, top = bounds[:, :2].min(axis=0) - margins[:2]
    right, bottom = bounds[:, 2:].max(axis=0) + margins[2:]
    return sheet.crop(*(round(side) for side in (left, top, right, bottom)))
