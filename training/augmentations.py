"""Augmentations of a picture: stray lines, drops, bands, fog, noise, blur.

Each maps float32 (height, width, 3) in [0, 255] to the same, and takes the box in which
the digit is, or would be.
"""

import cv2
import numpy as np

from recognition.decoding import to_uint8
from recognition.localization import Box
from training.draw import Rng, between, chance, log_between, smooth_line

# Longest side, in pixels, of a picture whose single pixels are visible.
FEW_PIXELS = 72
LINES = ("straight", "dotted", "dotted", "wavy", "wavy", "zigzag", "zigzag", "zigzag")


def noise(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def waves(rng: Rng, height: int, width: int, cells: int) -> np.ndarray:
    """Smooth noise with about `cells` bumps along each side, unit variance."""
    grid = rng.normal(0, 1, (cells + 1, cells + 1)).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)


def augment(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """Apply one augmentation, now and then two."""
    for _ in range(2 if chance(rng, 0.15) else 1):
        shares = list(AUGMENTATIONS.values())
        change = list(AUGMENTATIONS)[rng.choice(len(AUGMENTATIONS), p=shares)]
        picture = np.clip(change(rng, picture, box), 0, 255).astype(np.float32)
    return picture


def tone_near(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """The colour of the ink itself, or any other."""
    inside = picture[box.y : box.y + box.height, box.x : box.x + box.width]
    if chance(rng, 0.4) or not inside.size:
        return rng.uniform(0, 255, 3).astype(np.float32)
    colours = inside.reshape(-1, 3)
    away = np.abs(colours - np.median(picture[::2, ::2], axis=(0, 1))).sum(axis=1)
    return colours[np.argmax(away)]


def covered(picture: np.ndarray, cover: np.ndarray, tone: np.ndarray) -> np.ndarray:
    return picture + cover[..., None] * (tone - picture)


def stray_line(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """A straight, dotted, wavy or zigzag line across the digit or beside it."""
    kind = LINES[rng.integers(len(LINES))]
    cover = line_across(rng, *picture.shape[:2], box, kind)
    return covered(picture, cover, tone_near(rng, picture, box))


def line_across(rng: Rng, height: int, width: int, box: Box, kind: str) -> np.ndarray:
    """One line, its width and teeth going by the digit's size; float32 in [0, 1]."""
    side = max(box.width, box.height, 8)
    tooth = max(1.5, side * log_between(rng, 0.06, 0.3))
    # A short straight line would make a plus sign of a 1.
    is_short = kind != "straight" and chance(rng, 0.6)
    half = side * between(rng, 0.7, 1.6) if is_short else height + width
    points = np.arange(-half, half, tooth)[:, None] * [1.0, 0.0]
    if kind in ("wavy", "zigzag"):
        points[1::2, 1] = tooth * between(rng, 0.4, 1.6)
    if kind == "wavy":
        points = smooth_line(points, 4)
    # Rather level than upright, where it might be a 1.
    angle = np.clip(rng.normal(0, 0.4), -1, 1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([box.x + box.width / 2, box.y + box.height / 2])
    points = points @ turn.T + middle + rng.normal(0, 0.3, 2) * side
    even = len(points) // 2 * 2
    lines = points[:even].reshape(-1, 2, 2) if kind == "dotted" else points[None]
    lines = list(np.round(lines * 16).astype(np.int32))
    thickness = max(1, round(side * log_between(rng, 0.012, 0.12)))
    sheet = np.zeros((height, width), np.uint8)
    cv2.polylines(sheet, lines, False, 255, thickness, cv2.LINE_AA, 4)
    return sheet.astype(np.float32) / 255


def spatter(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """Drops of any tone, their rims soft or hard."""
    height, width = picture.shape[:2]
    drop = max(box.width, box.height, 8) * log_between(rng, 0.08, 0.3)
    cells = int(np.clip(max(height, width) / drop, 3, min(height, width) // 2))
    depth = waves(rng, height, width, cells) - between(rng, 0.9, 1.8)
    drops = np.clip(depth * log_between(rng, 2, 20), 0, 1) * between(rng, 0.4, 1)
    return covered(picture, drops, tone_near(rng, picture, box))


def banded(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """Beside the digit, or over its sides, the picture is a negative or tinted."""
    angle = rng.integers(0, 4) * np.pi / 2
    if chance(rng, 0.3):
        angle = between(rng, 0, 2 * np.pi)
    y, x = np.ogrid[: picture.shape[0], : picture.shape[1]]
    away_x, away_y = x - box.x - box.width / 2, y - box.y - box.height / 2
    away = np.cos(angle) * away_x + np.sin(angle) * away_y
    across = abs(np.cos(angle)) * box.width + abs(np.sin(angle)) * box.height
    away, edge = 2 * away / max(across, 4), between(rng, 0.45, 1.5)
    if chance(rng, 0.6):
        away = np.abs(away)
    # Some bands end again.
    ends = between(rng, 1.2, 3) if chance(rng, 0.4) else np.inf
    band = (away > edge) & (away < edge * ends)
    if chance(rng, 0.65):
        return np.where(band[..., None], 255 - picture, picture)
    tone = rng.uniform(0, 255, 3).astype(np.float32)
    return covered(picture, band * between(rng, 0.3, 0.75), tone)


def fog(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """Uneven and bright, so that little contrast is left."""
    height, width = picture.shape[:2]
    cells = (2, 4, 8, 16)
    cloud = sum(waves(rng, height, width, n) / n for n in cells)
    low, high = float(cloud.min()), float(cloud.max())
    light = 255 * (cloud - low) / (high - low) * between(rng, 0.5, 1)
    return picture + between(rng, 0.3, 0.75) * (light[..., None] - picture)


def contrast(picture: np.ndarray, box: Box) -> float:
    """The largest difference of the digit from the picture's median grey level."""
    inside = picture[box.y : box.y + box.height, box.x : box.x + box.width]
    if not inside.size:
        return 0.0
    return float(np.abs(inside.mean(axis=2) - np.median(picture[::2, ::2])).max())


def shot_noise(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """Stronger where the picture is bright, as of too little light."""
    level = contrast(picture, box) * log_between(rng, 0.15, 0.7)
    grain = noise(rng, (*picture.shape[:2], 1 if chance(rng, 0.5) else 3))
    return picture + level * grain * np.sqrt(np.clip(picture / 255, 0, 1))


def impulses(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """Salt and pepper; less of it where strokes may be faint and a pixel wide."""
    is_robust = max(picture.shape) <= FEW_PIXELS and contrast(picture, box) > 100
    share = log_between(rng, 0.01, 0.2 if is_robust else 0.04)
    draws = rng.random(picture.shape[:2], np.float32)[..., None]
    return np.where(draws < share, np.where(draws < share / 2, 0, 255), picture)


def glass(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """Every pixel comes from somewhere near, then all is blurred, as behind glass."""
    height, width = picture.shape[:2]
    radius = max(1.0, max(box.width, box.height) * between(rng, 0.01, 0.04))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    shift = rng.random((2, height, width), np.float32) * 2 - 1
    shift_x, shift_y = np.round(shift * (radius + 0.4))
    near, border = cv2.INTER_NEAREST, cv2.BORDER_REPLICATE
    picture = cv2.remap(picture, x + shift_x, y + shift_y, near, borderMode=border)
    return cv2.GaussianBlur(picture, (0, 0), radius * between(rng, 0.4, 0.9))


def motion(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """Drawn out in one direction, evenly or trailing off."""
    length = max(box.width, box.height) * log_between(rng, 0.06, 0.25)
    reach = max(1, round(length))
    angle = between(rng, 0, np.pi)
    steps = np.linspace(-reach, reach, 4 * reach + 1)
    fades = (
        np.exp(-2 * (steps / reach + 1)) if chance(rng, 0.5) else np.ones_like(steps)
    )
    places = np.round(reach + np.outer([np.sin(angle), np.cos(angle)], steps))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    np.add.at(kernel, tuple(places.astype(int)), fades)
    border = cv2.BORDER_REPLICATE
    return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=border)


def edges(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """What an edge detector leaves of few pixels: both rims of every stroke."""
    if max(picture.shape) > FEW_PIXELS:
        return stray_line(rng, picture, box)
    soft = cv2.GaussianBlur(picture.mean(axis=2), (0, 0), between(rng, 0.5, 1.1))
    high = contrast(picture, box) * between(rng, 0.5, 1)
    rims = cv2.Canny(to_uint8(soft), 0.4 * high, high)
    rims = 255 - rims if chance(rng, 0.3) else rims
    return np.repeat(rims[..., None], 3, axis=2).astype(np.float32)


# How often each is applied.
AUGMENTATIONS = {
    stray_line: 0.26,
    spatter: 0.1,
    banded: 0.18,
    fog: 0.08,
    shot_noise: 0.08,
    impulses: 0.1,
    glass: 0.08,
    motion: 0.06,
    edges: 0.06,
}
