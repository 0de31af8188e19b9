"""Draw more or less than one digit, and a digit among other ink.

A drawing is float32 (height, width) ink in [0, 1], as of draw.py.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from skimage.morphology import skeletonize

from recognition.localization import Box
from training import forms, signs
from training.data import LOOKALIKES, NO_DIGIT
from training.draw import GLYPH_SIDE, Rng, between, chance, draw, log_between
from training.forms import Strokes

Content = np.ndarray | Strokes
# A digit of any source, as draw() takes it, and which it is.
Pick = Callable[[Rng], tuple[Content, int]]

# Ink that belongs to a drawing.
INKED = 0.3
# Gaps between neighbours over a drawing's side, and how often: touching, close, apart.
GAPS = (((-0.04, 0.01), 0.4), ((0.01, 0.12), 0.35), ((0.12, 0.5), 0.25))
# At most this share of a neighbour is in the box of a digit, and at least this share of
# a digit is gone from a fragment.
NEIGHBOUR_SHARE, FRAGMENT_SHARES = 0.35, (0.3, 0.5)
# Halves that do not look like any digit, by the side that is left of each digit.
FRAGMENTS = {
    "left": (2, 3, 4, 5, 7, 8, 9),
    "right": (6,),
    "top": (0, 4, 5),
    "bottom": (0, 2, 3, 5),
}
# Of those in signs.py, those that resemble no digit when they are as large as one.
SIGNS = (
    signs.plus,
    signs.times,
    signs.minus,
    signs.equals,
    signs.divide,
    signs.number_sign,
    signs.star,
    signs.colon,
    signs.dollar,
    signs.percent,
)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
HERSHEY_FONTS = 8


class Composition(NamedTuple):
    """`part`: the place in the drawing that is to be read; `label`: of that place.
    `is_found`: whether the service may look for it by itself.
    """

    ink: np.ndarray
    part: Box
    label: int
    is_found: bool


def bounds(ink: np.ndarray) -> Box:
    return Box(*cv2.boundingRect((ink > INKED).astype(np.uint8)))


def trimmed(ink: np.ndarray) -> np.ndarray:
    x, y, width, height = bounds(ink)
    return ink[y : y + height, x : x + width] if width else ink


def whole(ink: np.ndarray, label: int) -> Composition:
    return Composition(ink, bounds(ink), label, True)


def written(rng: Rng, contents: list[Content]) -> list[np.ndarray]:
    """Drawings with the same pen and slant, as the same seed gives."""
    seed = int(rng.integers(2**62))
    return [trimmed(draw(np.random.default_rng(seed), one)) for one in contents]


def distance(left: np.ndarray, right: np.ndarray) -> int:
    """How far two sheets of the same height can be pushed until their ink meets."""
    left, right = left > INKED, right > INKED
    rows = left.any(axis=1) & right.any(axis=1)
    if not rows.any():
        return 0
    free = left[:, ::-1].argmax(axis=1) + right.argmax(axis=1)
    return int(free[rows].min())


def in_a_row(
    rng: Rng, drawings: list[np.ndarray], gap: float
) -> tuple[np.ndarray, list[Box]]:
    """Drawings side by side, so much of their side apart, and their boxes."""
    tall = max(len(drawing) for drawing in drawings)
    sheet, boxes = np.zeros((2 * tall, 0), np.float32), []
    for drawing in drawings:
        height, width = drawing.shape
        top = round(tall - height / 2 + 0.06 * tall * np.clip(rng.normal(), -2, 2))
        strip = np.zeros((2 * tall, width), np.float32)
        strip[top : top + height] = drawing
        x = 0
        if boxes:
            last = boxes[-1]
            before = sheet[:, last.x : last.x + last.width]
            x = last.x + last.width - distance(before, strip) + round(gap * tall)
            x = max(x, last.x + last.width // 2)
        wider = max(0, x + width - sheet.shape[1])
        sheet = np.pad(sheet, ((0, 0), (0, wider)))
        np.maximum(sheet[:, x : x + width], strip, out=sheet[:, x : x + width])
        boxes.append(Box(x, top, width, height))
    return sheet, boxes


def any_gap(rng: Rng) -> float:
    places, shares = zip(*GAPS, strict=True)
    return between(rng, *places[rng.choice(len(GAPS), p=shares)])


def resized(drawing: np.ndarray, scale: float) -> np.ndarray:
    height, width = drawing.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(drawing, size, interpolation=cv2.INTER_AREA)


def pair(rng: Rng, pick: Pick) -> Composition:
    """Two digits, at times three, side by side or one above the other."""
    is_column = chance(rng, 0.2)
    while True:
        count = 3 if chance(rng, 0.1) else 2
        digits = [pick(rng) for _ in range(count)]
        labels = [label for _, label in digits]
        # In a column a 1 looks like a part of the other, and two zeros like an 8.
        if not is_column or (1 not in labels and labels.count(0) < 2):
            break
    drawings = written(rng, [content for content, _ in digits])
    if chance(rng, 0.3):
        drawings[-1] = resized(drawings[-1], between(rng, 0.5, 0.9))
    if chance(rng, 0.5):
        drawings.reverse()
    gap = any_gap(rng) + (0.08 if labels == [1, 1] else 0)
    if is_column:
        turned = [np.ascontiguousarray(drawing.T) for drawing in drawings]
        return whole(np.ascontiguousarray(in_a_row(rng, turned, gap)[0].T), NO_DIGIT)
    return whole(in_a_row(rng, drawings, gap)[0], NO_DIGIT)


def fragment(rng: Rng, pick: Pick) -> Composition:
    """A side of a digit, alone or where the rest of the digit is outside the box."""
    side = list(FRAGMENTS)[rng.integers(len(FRAGMENTS))]
    while True:
        content, digit = pick(rng)
        if digit in FRAGMENTS[side]:
            break
    (ink,) = written(rng, [content])
    height, width = ink.shape
    share = between(rng, *FRAGMENT_SHARES)
    wide, tall = max(2, round(share * width)), max(2, round(share * height))
    part = {
        "left": Box(0, 0, wide, height),
        "right": Box(width - wide, 0, wide, height),
        "top": Box(0, 0, width, tall),
        "bottom": Box(0, height - tall, width, tall),
    }[side]
    if chance(rng, 0.5):
        return Composition(ink, part, NO_DIGIT, False)
    return whole(cut(ink, part), NO_DIGIT)


def cut(ink: np.ndarray, part: Box) -> np.ndarray:
    return ink[part.y : part.y + part.height, part.x : part.x + part.width]


def among_neighbours(rng: Rng, pick: Pick) -> Composition:
    """A digit whose box holds parts of what is written beside, above or below it."""
    content, label = pick(rng)
    before, after = ((True, True), (True, False), (False, True))[rng.integers(3)]
    others = [another(rng, pick) for _ in range(before + after)]
    drawings = written(rng, [*others[:before], content, *others[before:]])
    gap, is_column = any_gap(rng), chance(rng, 0.15)
    if is_column:
        drawings = [np.ascontiguousarray(drawing.T) for drawing in drawings]
    ink, boxes = in_a_row(rng, drawings, gap)
    own = boxes[before]
    left, right = own.x, own.x + own.width
    if before and chance(rng, 0.7):
        reach = between(rng, -0.2, NEIGHBOUR_SHARE) * boxes[0].width
        left = min(left, boxes[0].x + boxes[0].width - round(reach))
    if after and chance(rng, 0.7):
        reach = between(rng, -0.2, NEIGHBOUR_SHARE) * boxes[-1].width
        right = max(right, boxes[-1].x + round(reach))
    part = Box(left, own.y, right - left, own.height)
    if is_column:
        ink = np.ascontiguousarray(ink.T)
        part = Box(part.y, part.x, part.height, part.width)
    return Composition(ink, part, label, False)


def another(rng: Rng, pick: Pick) -> Content:
    """A digit or a sign."""
    return any_sign(rng) if chance(rng, 0.15) else pick(rng)[0]


def any_sign(rng: Rng) -> Strokes:
    return SIGNS[rng.integers(len(SIGNS))](rng)


def enclosed(rng: Rng, pick: Pick) -> Composition:
    """A digit in a printed frame, a circle or a cell, or on squared paper."""
    content, label = pick(rng)
    (ink,) = written(rng, [content])
    rim = GLYPH_SIDE
    ink = np.pad(ink, rim)
    height, width = ink.shape
    own = Box(rim, rim, width - 2 * rim, height - 2 * rim)
    lines = np.zeros(ink.shape, np.uint8)
    thickness = max(1, round(GLYPH_SIDE * log_between(rng, 0.008, 0.06)))
    shape = (box_around, circle_around, cell_around, squares_around)[rng.integers(4)]
    outer = shape(rng, lines, own, thickness)
    ink = np.maximum(ink, lines * np.float32(between(rng, 0.3, 1) / 255))
    part = own if chance(rng, 0.5) else outer
    crop = grown(outer, between(rng, 0, 0.3), ink.shape)
    part = part._replace(x=part.x - crop.x, y=part.y - crop.y)
    is_alone = shape in (box_around, circle_around)
    return Composition(cut(ink, crop), part, label, is_alone)


def grown(box: Box, share: float, shape: tuple[int, int]) -> Box:
    """A box with a margin of that share of its sides, inside a sheet."""
    across, down = round(share * box.width), round(share * box.height)
    left, top = max(box.x - across, 0), max(box.y - down, 0)
    right = min(box.x + box.width + across, shape[1])
    bottom = min(box.y + box.height + down, shape[0])
    return Box(left, top, right - left, bottom - top)


def box_around(rng: Rng, lines: np.ndarray, own: Box, thickness: int) -> Box:
    margins = GLYPH_SIDE * rng.uniform(0.06, 0.45, 4)
    outer = with_margins(own, margins)
    corner = outer.x + outer.width, outer.y + outer.height
    cv2.rectangle(lines, (outer.x, outer.y), corner, 255, thickness, cv2.LINE_AA)
    return outer


def circle_around(rng: Rng, lines: np.ndarray, own: Box, thickness: int) -> Box:
    half = np.array([own.width, own.height]) / 2
    if chance(rng, 0.6):
        half[:] = np.linalg.norm(half)
    axes = np.minimum(half * between(rng, 1.1, 1.5), half + 0.8 * GLYPH_SIDE)
    middle = (own.x + own.width // 2, own.y + own.height // 2)
    across, down = np.round(axes).astype(int).tolist()
    cv2.ellipse(
        lines, middle, (across, down), 0, 0, 360, 255, thickness, lineType=cv2.LINE_AA
    )
    return Box(middle[0] - across, middle[1] - down, 2 * across, 2 * down)


def cell_around(rng: Rng, lines: np.ndarray, own: Box, thickness: int) -> Box:
    """Some sides of a table's cell, whose lines go on."""
    outer = with_margins(own, GLYPH_SIDE * rng.uniform(0.03, 0.3, 4))
    height, width = lines.shape
    right, bottom = outer.x + outer.width, outer.y + outer.height
    upright = [(x, 0, x, height) for x in (outer.x, right)]
    level = [(0, y, width, y) for y in (outer.y, bottom)]
    for x0, y0, x1, y1 in (*upright, *level):
        if chance(rng, 0.75):
            cv2.line(lines, (x0, y0), (x1, y1), 255, thickness, cv2.LINE_AA)
    return outer


def squares_around(rng: Rng, lines: np.ndarray, own: Box, thickness: int) -> Box:
    """Squared paper."""
    spacing = GLYPH_SIDE * log_between(rng, 0.25, 1.3)
    height, width = lines.shape
    thickness = min(thickness, 3)
    for x in np.arange(between(rng, 0, spacing), width, spacing).astype(int).tolist():
        cv2.line(lines, (x, 0), (x, height), 255, thickness, cv2.LINE_AA)
    for y in np.arange(between(rng, 0, spacing), height, spacing).astype(int).tolist():
        cv2.line(lines, (0, y), (width, y), 255, thickness, cv2.LINE_AA)
    return with_margins(own, GLYPH_SIDE * rng.uniform(0, 0.25, 4))


def with_margins(own: Box, margins: np.ndarray) -> Box:
    left, top, right, bottom = np.round(margins).astype(int).tolist()
    width, height = own.width + left + right, own.height + top + bottom
    return Box(own.x - left, own.y - top, width, height)


def straight_digit(rng: Rng, _pick: Pick) -> Composition:
    digit = int(rng.integers(10))
    style = forms.STRAIGHT_STYLES[rng.integers(len(forms.STRAIGHT_STYLES))]
    return whole(draw(rng, forms.straight(rng, digit, style)), digit)


def steep(rng: Rng, pick: Pick) -> Composition:
    """A digit that leans far to the right, or to the left."""
    content, label = pick(rng)
    ink = draw(rng, content)
    lean = between(rng, 0.3, 0.65) if chance(rng, 0.75) else -between(rng, 0.2, 0.4)
    height, width = ink.shape
    aside = round(abs(lean) * height)
    affine = np.float32([[1, -lean, aside if lean > 0 else 0], [0, 1, 0]])
    return whole(cv2.warpAffine(ink, affine, (width + aside, height)), label)


def hairline(rng: Rng, pick: Pick) -> Composition:
    content, label = pick(rng)
    line = skeletonize(draw(rng, content) > 0.4).astype(np.float32)
    line = cv2.copyMakeBorder(line, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    line = np.clip(2 * cv2.GaussianBlur(line, (0, 0), between(rng, 0.5, 0.9)), 0, 1)
    return whole(line, label)


def single(rng: Rng, pick: Pick) -> Composition:
    content, label = pick(rng)
    return whole(draw(rng, content), label)


def frame_piece(rng: Rng, _pick: Pick) -> Composition:
    """Corners, crossings and cells of frames, tables and squared paper."""
    kind = (corner, crossing, cells)[rng.integers(3)]
    return whole(draw(rng, kind(rng)), NO_DIGIT)


def corner(rng: Rng) -> Strokes:
    """Of a frame, but not the upper right one, which looks like a 7."""
    x, y = ((0, 0), (0, 1), (1, 1))[rng.integers(3)]
    size = np.array([between(rng, 40, 160), 100])
    lines = [[x, y], [1 - x, y]], [[x, y], [x, 1 - y]]
    return [(np.array(line) * size).astype(np.float32) for line in lines]


def crossing(rng: Rng) -> Strokes:
    """Two lines that cross, or one that ends on the other."""
    x, y = rng.uniform(0.2, 0.8, 2)
    left = x if chance(rng, 0.5) else between(rng, 0, x)
    top = 0 if chance(rng, 0.6) else y
    size = np.array([between(rng, 60, 180), 100])
    lines = [[left, y], [1, y]], [[x, top], [x, 1]]
    return [(np.array(line) * size).astype(np.float32) for line in lines]


def cells(rng: Rng) -> Strokes:
    """Two or three lines each way, whose ends stand out."""
    size = np.array([between(rng, 80, 130), 100])
    strokes = []
    for is_level in (True, False):
        ends = between(rng, 0.1, 0.35), between(rng, 0.65, 0.9)
        for place in np.linspace(*ends, int(rng.integers(2, 4))):
            line = np.array([[0, place], [1, place]])
            line = line if is_level else line[:, ::-1]
            strokes.append((line * size).astype(np.float32))
    return strokes


def lone_sign(rng: Rng, _pick: Pick) -> Composition:
    return whole(draw(rng, any_sign(rng)), NO_DIGIT)


def word(rng: Rng, _pick: Pick) -> Composition:
    """Printed letters, alone or several."""
    count = 1 if chance(rng, 0.4) else int(rng.integers(2, 6))
    letters = [one for one in LETTERS if count > 1 or one not in LOOKALIKES]
    text = "".join(rng.choice(letters, count))
    sheet = np.zeros((90, 60 * count + 40), np.uint8)
    font, thickness = int(rng.integers(HERSHEY_FONTS)), int(rng.integers(1, 5))
    cv2.putText(sheet, text, (10, 60), font, 1.6, 255, thickness, cv2.LINE_AA)
    return whole(draw(rng, sheet), NO_DIGIT)


# What compositions show. Of the first there is no digit to read.
KINDS = {
    "pairs": pair,
    "fragments": fragment,
    "frame pieces": frame_piece,
    "signs": lone_sign,
    "words": word,
    "neighbours": among_neighbours,
    "enclosed": enclosed,
    "straight": straight_digit,
    "steep": steep,
    "hairlines": hairline,
    "low resolution": single,
}
