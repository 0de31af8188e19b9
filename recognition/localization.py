"""Ink → where the digit is."""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from recognition.illumination import (
    STRONGEST_INK,
    interior_margins,
    interior_sample,
    noise_of,
    quantile,
)

# Ink maps with a longer side than this, in pixels, are smoothed before the search, by
# one part in so many of that side.
UNSMOOTHED_SIDE, SMOOTHING_PARTS = 64, 200
# Ink: at least so strong, so many times the noise, and such a share of the strongest.
LEAST_INK, NOISE_RATIO, INK_SHARE = 0.02, 4, 0.25
# A component of more than this share of the picture is a dark page.
PAGE_SHARE = 0.95

# Ruled lines: how many columns of a picture are enough to find them, the least number
# of lines, the share of the width that each crosses, the part of it that a piece has to
# follow, the most that one rises over the height, and its area as a share of its
# length times the height.
LINE_COLUMNS, LEAST_LINES, LINE_LENGTH, PIECE_PARTS = 24, 2, 0.75, 4
LINE_RISE, LINE_AREA = 0.12, 0.03
# A line is removed with a pixel on each side of it: one of four pixels leaves a gap of
# six in a stroke, which a closing of seven closes again.
CROSSING = 7

# The score of a component. Sides below these pixels are a speck.
SPECK_SIDE = 4
# How fast the score falls from the centre to the border.
CENTRALITY = 1.5
# What touches the border counts so much, unless it fills the picture's height and so
# much of its width.
BORDER_FACTOR, FILLING_HEIGHT, FILLING_WIDTH = 0.1, 0.8, 0.2
# Ruled lines and page edges are longer than any stroke of a digit: width over height,
# height over width.
LINE_FACTOR, WIDEST_RATIO, TALLEST_RATIO = 0.02, 5, 20
# Specks and shade are filled, which of the digits only a bold 1 is, and that is slim.
FILLED_FACTOR, FILLED_SHARE, SLIM_RATIO = 0.1, 0.6, 0.45

# A frame around the picture comes so many pixels close to its borders, and has less
# than this share of its ink in the interior.
FRAME_GAP, FRAME_INTERIOR = 2, 0.3

# A loose stroke of the digit, beside it: its least share of the ink, its greatest
# length and the greatest gaps to the side and above or below, over the digit's size.
LOOSE_INK, LOOSE_LENGTH, GAP_BESIDE, GAP_ABOVE = 0.03, 1.5, 0.12, 0.2


class Box(NamedTuple):
    """A place in a picture, in pixels from its upper left corner."""

    x: int
    y: int
    width: int
    height: int


class Component(NamedTuple):
    """Connected ink: bounds, pixels, the sum of its strength, the interior's share."""

    left: int
    top: int
    right: int
    bottom: int
    area: int
    mass: float
    interior: float

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


def find_digit(ink: np.ndarray) -> Box | None:
    """The likeliest stroke of an ink map with its loose parts; None on bare paper."""
    return find_likeliest(ink)[0]


def find_likeliest(ink: np.ndarray) -> tuple[Box | None, float]:
    """The same, and the best score of what is beside that stroke, over its own."""
    components = find_components(ink)
    components = [c for c in components if not is_frame(c, *ink.shape)] or components
    components = [c for c in components if c.area < PAGE_SHARE * ink.size]
    scores = [score(component, *ink.shape) for component in components]
    best = max(scores, default=0)
    if best == 0:
        return None, 0.0
    digit = components.pop(scores.index(best))
    beside = [part for part in components if is_beside(part, digit)]
    while parts := [part for part in components if is_loose_part(part, digit)]:
        components = [part for part in components if part not in parts]
        digit = digit._replace(
            left=min(digit.left, *(part.left for part in parts)),
            top=min(digit.top, *(part.top for part in parts)),
            right=max(digit.right, *(part.right for part in parts)),
            bottom=max(digit.bottom, *(part.bottom for part in parts)),
        )
    rival = max((score(part, *ink.shape) for part in beside), default=0)
    return Box(digit.left, digit.top, digit.width, digit.height), rival / best


def find_components(ink: np.ndarray) -> list[Component]:
    """Connected ink that stands out from the paper's noise."""
    longest = max(ink.shape)
    if longest > UNSMOOTHED_SIDE:
        ink = cv2.GaussianBlur(ink, (0, 0), longest / SMOOTHING_PARTS)
    sample = interior_sample(ink)
    strongest = quantile(sample, STRONGEST_INK)
    threshold = max(LEAST_INK, NOISE_RATIO * noise_of(sample), INK_SHARE * strongest)
    mask = without_ruled_lines((ink > threshold).astype(np.uint8))
    # With labels of 32 bits it takes twice as long.
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask, connectivity=8, ltype=cv2.CV_16U
    )
    places = np.flatnonzero(mask.view(bool))
    owners = labels.reshape(-1)[places]
    masses = np.bincount(owners, ink.reshape(-1)[places], count)
    inner = np.bincount(owners, interior(*mask.shape)[places], count)
    return [
        Component(x, y, x + width, y + height, area, mass, inner / area)
        for (x, y, width, height, area), mass, inner in zip(
            stats[1:].tolist(), masses[1:].tolist(), inner[1:].tolist(), strict=True
        )
    ]


@lru_cache(maxsize=64)
def interior(height: int, width: int) -> np.ndarray:
    """1 in the interior of a picture, else 0; float64 (pixels,)."""
    y, x = interior_margins(height, width)
    inside = np.zeros((height, width))
    inside[y : height - y, x : width - x] = 1
    return inside.reshape(-1)


def without_ruled_lines(mask: np.ndarray) -> np.ndarray:
    """Remove the lines of ruled paper, which run across the picture."""
    turned = cv2.transpose(mask)
    level, upright = find_lines(mask), find_lines(turned)
    if len(level) + len(upright) < LEAST_LINES:
        return mask
    lines = drawn_lines(level, mask.shape) | drawn_lines(upright, turned.shape).T
    gaps = np.ones((CROSSING, CROSSING), np.uint8)
    return cv2.morphologyEx(mask & ~lines, cv2.MORPH_CLOSE, gaps)


def line_columns(width: int) -> slice:
    """The columns of a mask in which lines across it are looked for."""
    step = width // LINE_COLUMNS | 1
    return slice(step // 2, None, step)


def find_lines(mask: np.ndarray) -> list[np.ndarray]:
    """Contours of the thin, nearly level lines across a mask, in some columns."""
    # Joining columns joins dashes. On strokes thickened by a pixel, runs of a quarter
    # of the width follow a line that is a few degrees off, and no digit's foot on it.
    columns = line_columns(mask.shape[1])
    inked = mask.max(axis=0, keepdims=True)
    inked = cv2.dilate(inked, np.ones((1, columns.step), np.uint8))[:, columns]
    if np.count_nonzero(inked) < LINE_LENGTH * inked.size:
        return []  # nothing is as wide, as in most pictures
    thick = cv2.dilate(mask, np.ones((3, columns.step), np.uint8))
    squeezed = np.ascontiguousarray(thick[:, columns])
    run = np.ones((1, squeezed.shape[1] // PIECE_PARTS), np.uint8)
    runs = cv2.morphologyEx(squeezed, cv2.MORPH_OPEN, run)
    contours, _ = cv2.findContours(runs, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [contour for contour in contours if is_line(contour, *squeezed.shape)]


def drawn_lines(contours: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    lines = np.zeros(shape, np.uint8)[:, line_columns(shape[1])].copy()
    cv2.drawContours(lines, contours, -1, 1, cv2.FILLED)
    return cv2.resize(lines, shape[::-1], interpolation=cv2.INTER_NEAREST)


def is_line(contour: np.ndarray, height: int, width: int) -> bool:
    """Whether it runs across a squeezed mask, nearly level, and is thin."""
    _, _, wide, tall = cv2.boundingRect(contour)
    is_thin = cv2.contourArea(contour) < LINE_AREA * height * wide
    return wide > LINE_LENGTH * width and tall < LINE_RISE * height and is_thin


def score(component: Component, height: int, width: int) -> float:
    """High if large, dark, near the centre and inside; 0 for a speck."""
    tall, wide = component.height, component.width
    if tall < SPECK_SIDE and wide < SPECK_SIDE:
        return 0.0
    away_x = ((component.left + component.right) / width - 1) ** 2
    away_y = ((component.top + component.bottom) / height - 1) ** 2
    points = np.sqrt(component.mass) * max(tall, wide)
    points *= np.exp(-CENTRALITY * (away_x + away_y)) * component.interior
    touches_x = component.left == 0 or component.right == width
    touches_y = component.top == 0 or component.bottom == height
    fills = tall > FILLING_HEIGHT * height and wide > FILLING_WIDTH * width
    if (touches_x or touches_y) and not fills:
        points *= BORDER_FACTOR
    if wide > WIDEST_RATIO * tall or tall > TALLEST_RATIO * wide:
        points *= LINE_FACTOR
    is_slim = min(tall, wide) <= SLIM_RATIO * max(tall, wide)
    if component.area > FILLED_SHARE * tall * wide and not is_slim:
        points *= FILLED_FACTOR
    return float(points)


def is_frame(component: Component, height: int, width: int) -> bool:
    """Whether it is a thin frame around the whole picture."""
    is_wide = component.width >= width - FRAME_GAP
    is_tall = component.height >= height - FRAME_GAP
    return is_wide and is_tall and component.interior < FRAME_INTERIOR


def is_beside(part: Component, digit: Component) -> bool:
    """Whether no part of one is above the other, or they are far apart."""
    is_apart = part.left >= digit.right or part.right <= digit.left
    return is_apart or not is_loose_part(part, digit)


def is_loose_part(part: Component, digit: Component) -> bool:
    """Whether a component is a loose stroke of the same digit, as the bar of a 5."""
    size = max(digit.height, digit.width)
    if part.mass < LOOSE_INK * digit.mass:
        return False
    if max(part.width, part.height) > LOOSE_LENGTH * size:
        return False
    gap_x = max(part.left - digit.right, digit.left - part.right, 0)
    gap_y = max(part.top - digit.bottom, digit.top - part.bottom, 0)
    return gap_x < GAP_BESIDE * size and gap_y < GAP_ABOVE * size
