"""A digit that was found → the model's input."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from recognition.decoding import Picture
from recognition.illumination import (
    SEARCH_SIDE,
    View,
    candidate_views,
    close,
    closing_thumbnail,
    enlarge,
    ink_map,
    quantile,
    stroke_width,
)
from recognition.localization import Box, find_likeliest

INPUT_WIDTH, INPUT_HEIGHT = 90, 140
# The name of the input of models that were trained on what is made here, as ours was.
PREPARED_INK = "prepared_ink"
# The digit fills at most this much of the input; the rest is paper.
DIGIT_WIDTH, DIGIT_HEIGHT = 72, 116
# Margins around the digit's box, as shares of its longer side: what is shown, and what
# the background is estimated from.
CROP_MARGIN, BACKGROUND_MARGIN = 0.05, 0.25
# The closing that finds the background is so many times as wide as the strokes.
STROKE_WIDTHS = 3
# Reduced by less than this, linear interpolation leaves no pixel out, and takes a
# quarter of the time.
LINEAR_SCALE = 0.5
# The share of the crop below the strongest strokes, which become black, and below the
# paper, which becomes white.
BLACK_INK, WHITE_INK = 0.96, 0.3
# Weaker ink is noise, which must not be amplified to black.
LEAST_BLACK = 0.05
# Shade becomes white up to this share of black: more of it may be the digit.
MOST_WHITE = 0.5


class Finding(NamedTuple):
    """A digit found in a view, as the model's input.

    `rival`: the best score of what is beside it, as a share of its own.
    """

    view: View | None
    rival: float
    input: "ModelInput"


class ModelInput(NamedTuple):
    """`pixels`: float32 (140, 90, 3) in [0, 1], ink dark; `box`: where in the picture
    that is, None for the whole of it.
    """

    pixels: np.ndarray
    box: Box | None


def findings(picture: Picture) -> Iterator[Finding]:
    """The likeliest input with its box in the upright picture, then other views of it:
    with other ink, in negative, and whole.
    """
    height, width = picture.pixels.shape[:2]
    scale = picture.size[0] / width, picture.size[1] / height
    for finding in array_findings(picture.pixels):
        pixels, box = finding.input
        box = box and scale_box(box, *scale, picture.size)
        yield finding._replace(input=ModelInput(pixels, box))


def array_inputs(pixels: np.ndarray) -> Iterator[ModelInput]:
    """The inputs alone, of uint8 (height, width[, 3]), a side at most DETAIL_SIDE."""
    return (finding.input for finding in array_findings(pixels))


def array_findings(pixels: np.ndarray) -> Iterator[Finding]:
    views = candidate_views(pixels)
    likeliest = next(views)
    yield find(likeliest)
    yield from map(find, views)
    yield Finding(likeliest, 0, ModelInput(normalise(likeliest.ink), None))


def find(view: View) -> Finding:
    found, rival = find_likeliest(view.ink)
    return Finding(view, rival, frame_digit(view, found))


def frame_digit(view: View, found: Box | None) -> ModelInput:
    """Frame what was found on the small ink map, or the whole of it."""
    if found is None:
        return ModelInput(normalise(view.ink), None)
    return frame_box(view, found)


def frame_box(view: View, found: Box) -> ModelInput:
    """Frame a box of the small ink map as the larger picture shows it.

    The box returned is in pixels of the latter.
    """
    if view.grey.shape == view.ink.shape:
        return ModelInput(normalise(crop(view.ink, found, CROP_MARGIN)[0]), found)
    scale = max(view.grey.shape) / SEARCH_SIDE
    box = scale_box(found, scale, scale, view.grey.shape[::-1])
    around, (left, top) = crop(view.grey, box, BACKGROUND_MARGIN)
    background, _ = crop(view.background, found, BACKGROUND_MARGIN)
    flat = around / enlarge(background, around.shape)
    thumb = closing_thumbnail(flat)
    strokes = stroke_width(crop(view.ink, found, 0)[0])
    widest = STROKE_WIDTHS * scale * strokes * len(thumb) / len(flat)
    ink = ink_map(flat, close(thumb, widest))
    inner = box._replace(x=box.x - left, y=box.y - top)
    return ModelInput(normalise(crop(ink, inner, CROP_MARGIN)[0]), box)


def crop(
    pixels: np.ndarray, box: Box, share: float
) -> tuple[np.ndarray, tuple[int, int]]:
    """A box and a margin of that share of its longer side; also the corner's (x, y)."""
    margin = round(share * max(box.width, box.height))
    left, top = max(box.x - margin, 0), max(box.y - margin, 0)
    right, bottom = box.x + box.width + margin, box.y + box.height + margin
    return pixels[top:bottom, left:right], (left, top)


def scale_box(box: Box, scale_x: float, scale_y: float, size: tuple[int, ...]) -> Box:
    """The box in a picture of another (width, height), at least a pixel on a side."""
    left, top = round(box.x * scale_x), round(box.y * scale_y)
    right = min(round((box.x + box.width) * scale_x), size[0])
    bottom = min(round((box.y + box.height) * scale_y), size[1])
    return Box(left, top, max(right - left, 1), max(bottom - top, 1))


def normalise(ink: np.ndarray) -> np.ndarray:
    """Scale ink into the middle of a white page, its darkest strokes black."""
    height, width = ink.shape
    scale = min(DIGIT_WIDTH / width, DIGIT_HEIGHT / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    is_linear = scale >= LINEAR_SCALE
    interpolation = cv2.INTER_LINEAR if is_linear else cv2.INTER_AREA
    ink = cv2.resize(ink, size, interpolation=interpolation)
    sample = ink[::2, ::2]
    black = max(quantile(sample, BLACK_INK), LEAST_BLACK)
    white = min(quantile(sample, WHITE_INK), MOST_WHITE * black)
    ink = np.clip((ink - white) / (black - white + 1e-3), 0, 1)
    page = np.ones((INPUT_HEIGHT, INPUT_WIDTH), np.float32)
    top, left = (INPUT_HEIGHT - size[1]) // 2, (INPUT_WIDTH - size[0]) // 2
    page[top : top + size[1], left : left + size[0]] -= ink
    return cv2.cvtColor(page, cv2.COLOR_GRAY2RGB)
