"""Pictures without a digit: paper, noise, textures, blobs, scribbles, lines, shapes."""

from collections.abc import Callable

import cv2
import numpy as np

from recognition.localization import Box
from training.augmentations import covered, fog, line_across, noise, spatter, waves
from training.draw import Rng, between, chance, draw_strokes, log_between
from training.render import (
    camera,
    clutter,
    coloured,
    ink_colour,
    lit_paper,
    on_larger_page,
    ruling,
    scene,
    scene_size,
)

# Height and width → a picture of that size.
Kind = Callable[[Rng, int, int], np.ndarray]
SCRIBBLE_SHARE = 0.15


def empty_scene(rng: Rng) -> np.ndarray:
    """Blank paper, noise, textures, blobs, scribbles, rows of them, lines, shapes."""
    return scribbled_or(rng, (*BACKGROUNDS, *DISTRACTORS))


def background(rng: Rng) -> np.ndarray:
    """Blank paper, noise or a texture."""
    return photographed(rng, BACKGROUNDS)


def distractor(rng: Rng) -> np.ndarray:
    """Something drawn or photographed that is not a digit."""
    return scribbled_or(rng, DISTRACTORS)


def scribbled_or(rng: Rng, kinds: tuple[Kind, ...]) -> np.ndarray:
    return scribble(rng) if chance(rng, SCRIBBLE_SHARE) else photographed(rng, kinds)


def photographed(rng: Rng, kinds: tuple[Kind, ...]) -> np.ndarray:
    height, width = scene_size(rng)
    kind = kinds[rng.integers(len(kinds))]
    picture = camera(rng, np.ascontiguousarray(kind(rng, height, width), np.float32))
    if chance(rng, 0.12):
        middle = Box(width // 4, height // 4, width // 2, height // 2)
        return on_larger_page(rng, picture, middle)[0]
    return picture


def bare_paper(rng: Rng, height: int, width: int) -> np.ndarray:
    picture = coloured(rng, lit_paper(rng, height, width), 0.1)
    if chance(rng, 0.5):
        lines = ruling(rng, height, width, 0.4 * height)
        picture *= 1 - log_between(rng, 0.05, 0.7) * lines[..., None]
    if chance(rng, 0.4):
        picture *= 1 - between(rng, 0.2, 0.95) * clutter(rng, height, width)[..., None]
    return picture


def plain_noise(rng: Rng, height: int, width: int) -> np.ndarray:
    level, strength = between(rng, 30, 220), log_between(rng, 1, 80)
    picture = level + strength * noise(rng, (height, width, 3))
    return cv2.GaussianBlur(picture, (0, 0), log_between(rng, 0.2, 4))


def texture(rng: Rng, height: int, width: int) -> np.ndarray:
    bumps = waves(rng, height, width, int(rng.integers(3, 30)))
    return coloured(rng, 128 + between(rng, 5, 70) * bumps, 0.2)


def blobs(rng: Rng, height: int, width: int) -> np.ndarray:
    bumps = waves(rng, height, width, int(rng.integers(3, 12)))
    cover = 0.8 * (bumps > between(rng, 0, 1.5))
    return coloured(rng, lit_paper(rng, height, width) * (1 - cover), 0.1)


def scribble(rng: Rng) -> np.ndarray:
    """One long tangle, on paper or on a screen."""
    points = rng.normal(0, 1, (int(rng.integers(9, 30)), 2)).astype(np.float32)
    return scene(rng, draw_strokes(rng, [points]))[0]


def scribbled_rows(rng: Rng, height: int, width: int) -> np.ndarray:
    """Hatching, or rows that resemble handwriting."""
    picture = coloured(rng, lit_paper(rng, height, width), 0.1)
    ink = np.zeros((height, width), np.float32)
    rows = int(rng.integers(3, 9))
    for row in range(rows):
        line = Box(0, height * row // rows, width, max(4, height // rows))
        line = line._replace(x=width // 2 - line.height // 2, width=line.height)
        ink = np.maximum(ink, line_across(rng, height, width, line, "wavy"))
    return covered(picture, ink, 255 * ink_colour(rng))


def lines_alone(rng: Rng, height: int, width: int) -> np.ndarray:
    """Lines of many teeth: few might be taken for a 1, a 2 or a 7."""
    picture = coloured(rng, lit_paper(rng, height, width), 0.1)
    side = min(height, width) // 2
    box = Box(width // 2 - side // 2, height // 2 - side // 2, side, side)
    for _ in range(int(rng.integers(1, 4))):
        kind = ("wavy", "zigzag")[rng.integers(2)]
        cover = line_across(rng, height, width, box, kind)
        picture = covered(picture, cover, 255 * ink_colour(rng))
    return picture


def textured_shape(rng: Rng, height: int, width: int) -> np.ndarray:
    """A broad polygon, filled with a texture, on an even background."""
    corners = int(rng.integers(4, 12))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = around * rng.uniform(0.25, 0.48, (corners, 1)) + 0.5
    sheet = np.zeros((height, width), np.uint8)
    outline = (points * [width, height]).astype(np.int32)
    cv2.fillPoly(sheet, [outline], 255, cv2.LINE_AA)
    ground, tone = rng.uniform(0, 255, (2, 3)).astype(np.float32)
    bumps = waves(rng, height, width, int(rng.integers(2, 20)))[..., None]
    filling = tone + between(rng, 0, 60) * bumps
    return ground + sheet[..., None] / np.float32(255) * (filling - ground)


def stained(rng: Rng, height: int, width: int) -> np.ndarray:
    """Paper with drops or fog."""
    picture = bare_paper(rng, height, width)
    middle = Box(width // 4, height // 4, width // 2, height // 2)
    augmentation = (spatter, fog)[rng.integers(2)]
    return np.clip(augmentation(rng, picture, middle), 0, 255)


BACKGROUNDS = bare_paper, plain_noise, texture
DISTRACTORS = blobs, scribbled_rows, lines_alone, textured_shape, stained
