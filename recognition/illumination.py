"""Pixels → paper and ink: the background estimate, and how strong the ink is."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.decoding import DETAIL_SIDE, reduce, thumbnail

# Longest sides, in pixels, of the copies on which the digit is looked for, the
# background is fitted, strokes are closed, the tones and the colours are measured.
SEARCH_SIDE = DETAIL_SIDE // 2
FIT_SIDE, CLOSING_SIDE, TONES_SIDE, COLOUR_SIDE = 32, 64, 64, 32

# A channel that shows the ink so many times as strongly as luminance is used instead,
# as blue for yellow on white.
CHANNEL_ADVANTAGE = 2
# How far local contrast reaches to each side of a pixel, in pixels of the thumbnail.
CONTRAST_REACH = COLOUR_SIDE // 5
# Grey level. Ink on darker paper would be amplified together with its noise.
DARKEST_BACKGROUND = 24
# Mean cube of the grey levels' deviation that rounding alone can cause.
ROUNDING_SKEW = 1e-3
# Two tones: the rarer one covers at least this share of the picture, and they explain
# at least this share of the variance.
RARER_TONE_SHARE, TWO_TONE_VARIANCE = 0.15, 0.85
# The fit of the background: the most iterations, the change in grey levels at which it
# has converged, the weight of the middle beside the border's, and the border's part of
# a side.
FIT_ITERATIONS, FIT_CONVERGED, MIDDLE_WEIGHT, BORDER_PARTS = 6, 1, 0.5, 8
# The distance at which a pixel counts a quarter: so many median distances, and grey
# levels besides, without which an even picture would have none.
SPREAD_FACTOR, LEAST_SPREAD = 1.5, 2
# Keeps the fit solvable in pictures of a pixel's width or height.
RIDGE = 1e-6 * np.eye(6)
# Smoothing before a closing, in pixels of the thumbnail.
CLOSING_SMOOTHING = 0.8
# Sizes of closings: the least in pixels; after it the background is smoothed by this
# share of the size; and it is bounded relative to the fit, which is 1.
LEAST_CLOSING, BACKGROUND_SMOOTHING = 5, 0.2
DARKEST_CLOSING, LIGHTEST_CLOSING = 0.1, 1.1
# Widths of the widest bold and fine strokes, as shares of the shorter side.
BOLD_STROKE, FINE_STROKE = 0.4, 0.12
# The share of pixels below the strongest ink, which are its outliers.
STRONGEST_INK = 0.997
# Ink of at least this share of the strongest is dark.
DARK_SHARE = 0.5
# A closing for fine strokes that keeps this share of the dark ink leaves it whole.
FINE_KEEPS = 0.8
# Ink that is nowhere stronger is faint.
FAINT_INK = 0.15
# Faint ink: so many times the noise with fine strokes is ink, and less than so many
# times with bold ones may be shade.
CLEAR_RATIO, UNCLEAR_RATIO = 20, 10
# Of a normal distribution: its standard deviation over its median absolute deviation.
NORMAL_DEVIATION = 1.4826
# Part of a side that lies outside the interior at either end: page edges, dark corners.
INTERIOR_PARTS = 12
# Strokes: a pixel of at least this share of the strong ink belongs to one; the strong
# ink is what this share of the pixels stays below.
STROKE_SHARE, STRONG_INK = 0.4, 0.98

Floats = NDArray[np.float32]


class View(NamedTuple):
    """One way to tell ink from paper.

    `grey`: uint8 (height, width), ink dark, a side at most DETAIL_SIDE; `background`:
    float32 grey levels and `ink`: float32, 0 on paper to 1 where black, both of a side
    of at most SEARCH_SIDE.
    """

    grey: np.ndarray
    background: np.ndarray
    ink: np.ndarray


def candidate_views(pixels: np.ndarray) -> Iterator[View]:
    """uint8 (height, width[, 3]) → the likeliest view, then others: ink in strokes of
    another width, and the negative.
    """
    grey = to_grey(pixels)
    small = reduce(grey, SEARCH_SIDE).astype(np.float32)
    background, is_light_ink = estimate_background(small)
    if is_light_ink:
        grey, small = 255 - grey, 255 - small
    flat = small / background
    likelier, other = closings(flat)
    yield View(grey, background, ink_map(flat, likelier))
    yield View(grey, background, ink_map(flat, other))
    background = np.maximum(255 - background, DARKEST_BACKGROUND)
    flat = (255 - small) / background
    yield View(255 - grey, background, ink_map(flat, closings(flat)[0]))


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Luminance, or the channel that shows the ink far more strongly."""
    if pixels.ndim == 2:
        return pixels
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    thumb = thumbnail(pixels, COLOUR_SIDE)
    planes = cv2.merge([thumb, cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY)])
    around = cv2.blur(planes, (2 * CONTRAST_REACH + 1,) * 2)
    _, contrasts = cv2.meanStdDev(cv2.absdiff(planes, around))
    *channels, luminance = contrasts[:, 0].tolist()
    best = max(channels)
    if best > CHANNEL_ADVANTAGE * luminance:
        return np.ascontiguousarray(pixels[..., channels.index(best)])
    return grey


def estimate_background(small: np.ndarray) -> tuple[np.ndarray, bool]:
    """The paper's grey level at every pixel, and whether the ink is lighter than it.

    With light ink, the levels are those of the negative.
    """
    tones = two_tones(small)
    if tones is not None:
        background, is_light_ink = np.full_like(small, tones[0]), tones[1] > tones[0]
    else:
        background = enlarge(fit_background(thumbnail(small, FIT_SIDE)), small.shape)
        # What deviates most strongly from the paper is the ink.
        deviation = (small - background).reshape(-1)
        cubes = np.dot(deviation * deviation, deviation)
        is_light_ink = bool(cubes > ROUNDING_SKEW * deviation.size)
    background = 255 - background if is_light_ink else background
    return np.maximum(background, DARKEST_BACKGROUND), is_light_ink


def two_tones(small: np.ndarray) -> tuple[float, float] | None:
    """Grey levels of paper and ink, if a picture has no others and is full of ink.

    There the border tells them apart: what deviates may as well be the paper.
    """
    step = max(1, max(small.shape) // TONES_SIDE)
    sample = np.ascontiguousarray(small[::step, ::step])
    _, is_light = cv2.threshold(sample.astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    is_dark = cv2.bitwise_not(is_light)
    share = cv2.mean(is_light)[0] / 255
    if not RARER_TONE_SHARE < share < 1 - RARER_TONE_SHARE:
        return None
    light, dark = cv2.mean(sample, is_light)[0], cv2.mean(sample, is_dark)[0]
    _, ((deviation,),) = cv2.meanStdDev(sample)  # NumPy's takes eight times as long
    explained = share * (1 - share) * (light - dark) ** 2
    if explained < TWO_TONE_VARIANCE * deviation**2:
        return None
    border = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    is_light_paper = cv2.mean(border)[0] > (light + dark) / 2
    return (light, dark) if is_light_paper else (dark, light)


def fit_background(thumb: np.ndarray) -> np.ndarray:
    """A quadratic surface through most of a picture, above all its border.

    Iteratively reweighted least squares (Holland & Welsch 1977) with Cauchy's weights,
    squared.
    """
    height, width = thumb.shape
    terms, prior = quadratic_terms(height, width)
    values, weights = thumb.reshape(-1), prior
    factors: np.ndarray = np.zeros((6, 1))
    for _ in range(FIT_ITERATIONS):
        before = factors
        weighted = terms * weights
        normal = weighted @ terms.T + RIDGE
        moments = (weighted @ values)[:, np.newaxis].astype(float)
        # NumPy's takes three times as long for so few unknowns.
        _, factors = cv2.solve(normal, moments, flags=cv2.DECOMP_CHOLESKY)
        surface = factors[:, 0].astype(np.float32) @ terms
        if cv2.norm(factors, before, cv2.NORM_L1) < FIT_CONVERGED:
            break
        distance = np.abs(values - surface)
        spread = SPREAD_FACTOR * quantile(distance, 0.5) + LEAST_SPREAD
        weights = prior / np.square(1 + np.square(distance / spread))
    return surface.reshape(height, width)


@lru_cache(maxsize=64)
def quadratic_terms(height: int, width: int) -> tuple[Floats, Floats]:
    """1, x, y, x², xy and y² at every pixel, float32 (6, pixels), and its weight."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    weights = np.ones((height, width), np.float32)
    edge_y, edge_x = max(1, height // BORDER_PARTS), max(1, width // BORDER_PARTS)
    weights[edge_y:-edge_y, edge_x:-edge_x] = MIDDLE_WEIGHT
    return terms.reshape(6, -1), weights.reshape(-1)


def closings(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The background around bold strokes and around fine ones, the likelier first."""
    thumb = closing_thumbnail(flat)
    bold = close(thumb, BOLD_STROKE * min(thumb.shape))
    fine = close(thumb, FINE_STROKE * min(thumb.shape))
    # A fine closing leaves no trace of shade, but only the outlines of a bold stroke.
    strong = interior_sample(ink_map(thumb, bold))
    kept = interior_sample(ink_map(thumb, fine))
    top = quantile(strong, STRONGEST_INK)
    dark = strong > DARK_SHARE * top
    is_fine = dark.any() and quantile(kept[dark] / strong[dark], 0.5) > FINE_KEEPS
    if top < FAINT_INK and not is_fine:
        # There shade is as strong as hairlines, and a fine closing removes it.
        is_clear = quantile(kept, STRONGEST_INK) > CLEAR_RATIO * noise_of(kept)
        is_fine = is_clear and top < UNCLEAR_RATIO * noise_of(strong)
    return (fine, bold) if is_fine else (bold, fine)


def closing_thumbnail(flat: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(thumbnail(flat, CLOSING_SIDE), (0, 0), CLOSING_SMOOTHING)


def close(thumb: np.ndarray, widest: float) -> np.ndarray:
    """The background around all strokes below `widest` pixels: 1, and less in shade.

    A morphological closing, which follows hard shadows too.
    """
    side = max(LEAST_CLOSING, round(widest)) | 1
    kernel = np.ones((side, side), np.uint8)
    edges = cv2.BORDER_REPLICATE
    paper = cv2.morphologyEx(thumb, cv2.MORPH_CLOSE, kernel, borderType=edges)
    paper = np.minimum(paper, LIGHTEST_CLOSING)
    paper = cv2.GaussianBlur(paper, (0, 0), BACKGROUND_SMOOTHING * side)
    return np.maximum(paper, DARKEST_CLOSING)


def ink_map(flat: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Strength of the ink: 0 on paper, 1 where black."""
    ink: np.ndarray = flat / enlarge(background, flat.shape)
    np.subtract(1, ink, out=ink)
    np.maximum(ink, 0, out=ink)
    return ink


def enlarge(grid: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return cv2.resize(grid, shape[1::-1], interpolation=cv2.INTER_LINEAR)


def stroke_width(ink: np.ndarray) -> float:
    """The usual width of the strokes on an ink map, in its pixels."""
    is_stroke = ink > STROKE_SHARE * quantile(ink, STRONG_INK)
    mask = cv2.copyMakeBorder(
        is_stroke.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT
    )
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    # Over a stroke's width the depth rises from 0 to a half: its median is a quarter.
    return 4 * quantile(depth[mask > 0], 0.5) if mask.any() else 1.0


def noise_of(ink: np.ndarray) -> float:
    """The paper's standard deviation, by the median, which ink hardly changes."""
    return NORMAL_DEVIATION * quantile(np.abs(ink - quantile(ink, 0.5)), 0.5)


def interior_sample(ink: np.ndarray) -> np.ndarray:
    """Every fourth pixel of the interior."""
    y, x = interior_margins(*ink.shape)
    height, width = ink.shape
    return ink[y : height - y : 2, x : width - x : 2]


def interior_margins(height: int, width: int) -> tuple[int, int]:
    return height // INTERIOR_PARTS, width // INTERIOR_PARTS


def quantile(values: np.ndarray, share: float) -> float:
    """The nearest of the values; np.quantile takes many times as long."""
    flat = values.flatten()
    place = int(share * (flat.size - 1) + 0.5)
    flat.partition(place)
    return float(flat[place])
