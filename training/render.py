"""Put drawings into scenes as people photograph, scan and draw them.

A scene is a uint8 (height, width, 3) picture, as the service would decode it.
"""

import cv2
import numpy as np

from preprocessing import Box, eight_bits
from training.draw import Rng, between, chance, draw_strokes, log_between

# Longest side of a scene in pixels, from and to; the service looks at a similar size.
SCENE_LONGEST = (48, 400)
SCENE_SHORTEST = 28


def waves(rng: Rng, height: int, width: int, cells: int) -> np.ndarray:
    """Smooth noise with about `cells` bumps along each side, unit variance."""
    grid = rng.normal(0, 1, (cells + 1, cells + 1)).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)


def lit_paper(rng: Rng, height: int, width: int) -> np.ndarray:
    """The brightness of bare paper: level, gradient, vignette, shadow, grain."""
    paper = np.full((height, width), between(rng, 120, 255), np.float32)
    if chance(rng, 0.25):
        return paper
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = between(rng, 0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    paper *= 1 + between(rng, -0.25, 0.25) * along
    if chance(rng, 0.4):
        paper *= (
            1
            - between(rng, 0, 0.55)
            * ((x - rng.normal(0, 0.3)) ** 2 + (y - rng.normal(0, 0.3)) ** 2)
            / 2
        )
    if chance(rng, 0.25):
        edge = 1 / (
            1
            + np.exp(
                np.clip(
                    -(along - between(rng, -1, 1)) * log_between(rng, 2, 30), -30, 30
                )
            )
        )
        paper *= 1 - between(rng, 0.1, 0.55) * edge
    if chance(rng, 0.3):
        paper *= 1 + between(rng, 0, 0.06) * waves(
            rng, height, width, int(rng.integers(2, 9))
        )
    if chance(rng, 0.6):
        paper += rng.normal(0, between(rng, 0, 6), (height, width)).astype(np.float32)
    return np.maximum(paper, 8)


def lines_across(
    rng: Rng, height: int, width: int, spacing: float, angle: float, dash: bool
) -> np.ndarray:
    """Parallel lines on empty ground, float32 in [0, 1]."""
    sheet = np.zeros((height, width), np.uint8)
    normal, direction = (
        np.array([-np.sin(angle), np.cos(angle)]),
        np.array([np.cos(angle), np.sin(angle)]),
    )
    reach = height + width
    thickness = max(1, round(spacing * log_between(rng, 0.01, 0.06)))
    for place in np.arange(between(rng, 0, spacing) - reach, reach, spacing):
        middle = np.array([width / 2, height / 2]) + normal * place
        ends = [middle - direction * reach, middle + direction * reach]
        first, last = (tuple(int(n) for n in np.round(end * 16)) for end in ends)
        cv2.line(sheet, first, last, 255, thickness, cv2.LINE_AA, 4)
    ink = sheet.astype(np.float32) / 255
    if dash:
        ink *= (np.add.outer(np.arange(height), np.arange(width)) % 4) < 3
    return ink


def ruling(rng: Rng, height: int, width: int, digit_height: float) -> np.ndarray:
    """Ruled or squared paper; the spacing goes by the digit that is written on it."""
    angle = rng.normal(0, 0.03)
    spacing = max(6.0, digit_height * log_between(rng, 0.25, 2.2))
    dash = chance(rng, 0.15)
    ink = lines_across(rng, height, width, spacing, angle, dash)
    if chance(rng, 0.6):
        ink = np.maximum(
            ink, lines_across(rng, height, width, spacing, angle + np.pi / 2, dash)
        )
    elif chance(rng, 0.3):
        ink = ink.T if height == width else ink
    return ink


def clutter(rng: Rng, height: int, width: int) -> np.ndarray:
    """Specks, a stray stroke at the rim, a page edge: other ink, in [0, 1]."""
    sheet = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(0, 4))):
        place = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        cv2.circle(
            sheet,
            place,
            max(1, round(max(height, width) * between(rng, 0.001, 0.008))),
            255,
            -1,
            cv2.LINE_AA,
        )
    if chance(rng, 0.5):
        corner = rng.integers(0, 2, 2) * [width, height]
        points = (corner + rng.normal(0, 0.08, (4, 2)) * [width, height]).astype(
            np.int32
        )
        cv2.polylines(
            sheet,
            [points],
            False,
            255,
            max(1, round(max(height, width) * between(rng, 0.003, 0.03))),
        )
    if chance(rng, 0.35):
        side, depth = int(rng.integers(0, 4)), between(rng, 0.01, 0.12)
        block = np.array([[0, 0], [1, 0], [1, depth + rng.normal(0, 0.02)], [0, depth]])
        block = [block, 1 - block, block[:, ::-1], 1 - block[:, ::-1]][side]
        cv2.fillPoly(
            sheet, [(block * [width, height]).astype(np.int32)], 255, cv2.LINE_AA
        )
    return sheet.astype(np.float32) / 255


def scene_size(rng: Rng) -> tuple[int, int]:
    """Height and width from 1:2 to 2:1, mostly upright or square."""
    longest = log_between(rng, *SCENE_LONGEST)
    ratio = np.clip(np.exp(rng.normal(0.15, 0.35)), 0.5, 2)
    height, width = (
        (longest, longest / ratio) if ratio > 1 else (longest * ratio, longest)
    )
    return max(SCENE_SHORTEST, round(height)), max(SCENE_SHORTEST, round(width))


def place(rng: Rng, ink: np.ndarray, height: int, width: int) -> np.ndarray:
    """Put a drawing somewhere on an empty sheet."""
    fits = min(height / ink.shape[0], width / ink.shape[1])
    tight = chance(rng, 0.25)
    scale = fits * (between(rng, 0.85, 1.04) if tight else log_between(rng, 0.16, 0.95))
    scale = max(scale, 14 / max(ink.shape))
    size = max(2, round(ink.shape[1] * scale)), max(2, round(ink.shape[0] * scale))
    small = cv2.resize(
        ink, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    free = np.array([height - size[1], width - size[0]])
    spot = 0.5 + (
        rng.uniform(-0.5, 0.5, 2) if chance(rng, 0.3) else rng.normal(0, 0.16, 2)
    )
    top, left = np.round(free * np.clip(spot, 0, 1)).astype(int)
    rims = *borders(top, height - size[1] - top), *borders(left, width - size[0] - left)
    sheet = cv2.copyMakeBorder(small, *rims, cv2.BORDER_CONSTANT, value=0)
    cut_top, cut_left = max(0, -top), max(0, -left)
    return sheet[cut_top : cut_top + height, cut_left : cut_left + width]


def borders(before: int, after: int) -> tuple[int, int]:
    return max(0, int(before)), max(0, int(after))


def coloured(rng: Rng, brightness: np.ndarray, strength: float) -> np.ndarray:
    """A grey level with a tint, as (…, 3)."""
    tint = 1 + rng.uniform(-strength, strength, 3).astype(np.float32)
    return brightness[..., None] * tint


def ink_colour(rng: Rng) -> np.ndarray:
    """Black, grey, blue, red or any other ink, relative to white paper at 1."""
    if chance(rng, 0.6):
        return np.full(3, between(rng, 0, 0.35), np.float32)
    colour = rng.uniform(0, 0.9, 3).astype(np.float32)
    return colour * min(1.0, 0.65 / float(colour @ [0.299, 0.587, 0.114]))


def scene(rng: Rng, ink: np.ndarray) -> tuple[np.ndarray, Box]:
    """One drawing photographed, scanned or on a screen, and where it is in there."""
    height, width = scene_size(rng)
    sheet = place(rng, ink, height, width)
    box = Box(*cv2.boundingRect((sheet > 0.3).astype(np.uint8)))
    picture = (
        on_screen(rng, sheet) if chance(rng, 0.22) else on_paper(rng, sheet, box.height)
    )
    scale = picture.shape[0] / height
    return picture, Box(*(round(side * scale) for side in box))


def on_paper(rng: Rng, sheet: np.ndarray, digit_height: int) -> np.ndarray:
    height, width = sheet.shape
    paper = lit_paper(rng, height, width)
    picture = coloured(rng, paper, 0.08)
    if chance(rng, 0.3):
        lines = ruling(rng, height, width, digit_height) * log_between(rng, 0.08, 0.7)
        picture *= 1 - lines[..., None] * (1 - rng.uniform(0, 1, 3).astype(np.float32))
    if chance(rng, 0.25):
        picture *= 1 - clutter(rng, height, width)[..., None] * between(rng, 0.3, 0.95)
    strength = log_between(rng, 0.12, 1)
    grain = (
        1 + 0.3 * waves(rng, height, width, max(2, min(height, width) // 4))
        if chance(rng, 0.3)
        else 1
    )
    cover = np.clip(sheet * strength * grain, 0, 1)[..., None]
    picture *= 1 - cover * (1 - ink_colour(rng))
    return camera(rng, picture)


def on_screen(rng: Rng, sheet: np.ndarray) -> np.ndarray:
    """Drawn with mouse or finger, or scanned to two tones, on even ground."""
    ground, tone = (255.0, 0.0) if chance(rng, 0.5) else rng.uniform(0, 255, 2)
    if abs(ground - tone) < 60:
        ground, tone = 245.0, 30.0
    if chance(rng, 0.3):
        sheet = (sheet > between(rng, 0.3, 0.7)).astype(np.float32)
    picture = np.repeat(
        (ground + (tone - ground) * sheet)[..., None], 3, axis=2
    ).astype(np.float32)
    return eight_bits(coarse(rng, picture) if chance(rng, 0.4) else picture)


def coarse(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """A picture of few pixels, left so or enlarged with hard or soft pixels."""
    height, width = picture.shape[:2]
    factor = max(height, width) / between(rng, 20, 64)
    if factor <= 1:
        return picture
    small = cv2.resize(
        picture,
        (max(12, round(width / factor)), max(12, round(height / factor))),
        interpolation=cv2.INTER_AREA,
    )
    if chance(rng, 0.6):
        return small
    return cv2.resize(
        small,
        (width, height),
        interpolation=cv2.INTER_NEAREST if chance(rng, 0.4) else cv2.INTER_CUBIC,
    )


def camera(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """What lens, sensor and file do: blur, noise, a negative, a black border, JPEG."""
    height, width = picture.shape[:2]
    if chance(rng, 0.5):
        picture = cv2.GaussianBlur(
            picture, (0, 0), log_between(rng, 0.3, 0.012 * max(height, width) + 0.5)
        )
    if chance(rng, 0.1):
        picture = coarse(rng, picture)
    if chance(rng, 0.5):
        picture = picture + rng.normal(
            0, log_between(rng, 0.5, 12), picture.shape
        ).astype(np.float32)
    if chance(rng, 0.1):
        picture = 255 - picture
    if chance(rng, 0.04):
        edge = max(1, round(0.01 * width))
        picture[:edge], picture[-edge:], picture[:, :edge], picture[:, -edge:] = (
            0,
            0,
            0,
            0,
        )
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if chance(rng, 0.5):
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 96))]
        picture = cv2.imdecode(
            cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR
        )
    return picture


def rephotographed(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """A real crop, turned and squeezed a little, seen again by a camera."""
    height, width = picture.shape[:2]
    angle, shear, stretch = (
        rng.normal(0, 0.1),
        rng.normal(0, 0.12),
        np.exp(rng.normal(0, 0.15)),
    )
    zoom = log_between(rng, 0.7, 3)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = matrix @ np.array([[stretch, shear], [0, 1 / stretch]]) * zoom
    size = np.maximum(
        16, np.round(np.array([width * stretch, height / stretch]) * zoom)
    ).astype(int)
    offset = size / 2 - matrix @ [width / 2, height / 2]
    affine = np.hstack([matrix, offset[:, None]])
    turned = cv2.warpAffine(
        picture,
        affine,
        tuple(size.tolist()),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return camera(rng, turned.astype(np.float32))


def empty_scene(rng: Rng) -> np.ndarray:
    """Blank paper, ruled paper, clutter, noise, textures, blobs, scribbles."""
    height, width = scene_size(rng)
    kind = int(rng.integers(0, 5))
    if kind == 0:
        picture = coloured(rng, lit_paper(rng, height, width), 0.1)
        if chance(rng, 0.5):
            picture *= (
                1
                - (
                    ruling(rng, height, width, 0.4 * height)
                    * log_between(rng, 0.05, 0.7)
                )[..., None]
            )
        if chance(rng, 0.4):
            picture *= 1 - clutter(rng, height, width)[..., None] * between(
                rng, 0.2, 0.95
            )
    elif kind == 1:
        level = rng.normal(
            between(rng, 30, 220), log_between(rng, 1, 80), (height, width, 3)
        )
        picture = cv2.GaussianBlur(
            level.astype(np.float32), (0, 0), log_between(rng, 0.2, 4)
        )
    elif kind == 2:
        cells = int(rng.integers(3, 30))
        picture = coloured(
            rng, 128 + between(rng, 5, 70) * waves(rng, height, width, cells), 0.2
        )
    elif kind == 3:
        blobs = waves(rng, height, width, int(rng.integers(3, 12))) > between(
            rng, 0, 1.5
        )
        picture = coloured(rng, lit_paper(rng, height, width) * (1 - 0.8 * blobs), 0.1)
    else:
        points = [rng.normal(0, 1, (int(rng.integers(9, 30)), 2)).astype(np.float32)]
        return scene(rng, draw_strokes(rng, points))[0]
    return camera(rng, np.ascontiguousarray(picture, np.float32))
