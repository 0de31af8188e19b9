"""Put drawings into scenes as people photograph, scan and draw them.

A scene is a uint8 (height, width, 3) picture, as the service would decode it.
"""

import cv2
import numpy as np

from preprocessing import Box, eight_bits
from training.draw import (
    Rng,
    between,
    chance,
    draw_strokes,
    log_between,
    slanted,
    smooth_line,
    varied,
)

# Longest side of a scene in pixels, from and to; the service looks at a similar size.
SCENE_LONGEST = (48, 360)
SCENE_SHORTEST = 28
# Where a page would make a digit smaller than that, it is cut off by the limit above.
SMALLEST_DIGIT = 18
# Longest side of a picture whose single pixels show.
FEW_PIXELS = 72
# A scene in which less is left of a digit, from 0 to 1, would be a wrong label.
LEAST_LIKENESS = 0.33
# How often a scene is a drawing on a screen, lies on a larger page, is faint.
SCREEN_SHARE, LARGER_PAGE_SHARE, FAINT_SHARE = 0.22, 0.08, 0.12
# How often something disturbs what is on paper, on a screen, in a small bitmap.
MISHAP_SHARE, SCREEN_MISHAP_SHARE, AS_IS_MISHAP_SHARE = 0.16, 0.35, 0.35


def noise(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def waves(rng: Rng, height: int, width: int, cells: int) -> np.ndarray:
    """Smooth noise with about `cells` bumps along each side, unit variance."""
    grid = rng.normal(0, 1, (cells + 1, cells + 1)).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)


def lit_paper(rng: Rng, height: int, width: int) -> np.ndarray:
    """The brightness of bare paper: level, gradient, vignette, shadow, grain."""
    paper = np.full((height, width), between(rng, 120, 255), np.float32)
    if chance(rng, 0.25):
        return paper
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    angle = between(rng, 0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    paper *= 1 + between(rng, -0.25, 0.25) * along
    if chance(rng, 0.4):
        away = (x - rng.normal(0, 0.3)) ** 2 + (y - rng.normal(0, 0.3)) ** 2
        paper *= 1 - between(rng, 0, 0.55) * away / 2
    if chance(rng, 0.25):
        steepness = (along - between(rng, -1, 1)) * log_between(rng, 2, 30)
        shadow = 1 / (1 + np.exp(np.clip(-steepness, -30, 30)))
        paper *= 1 - between(rng, 0.1, 0.55) * shadow
    if chance(rng, 0.3):
        cells = int(rng.integers(2, 9))
        paper *= 1 + between(rng, 0, 0.06) * waves(rng, height, width, cells)
    if chance(rng, 0.6):
        paper += between(rng, 0, 6) * noise(rng, (height, width))
    return np.maximum(paper, 8)


def lines_across(
    rng: Rng, height: int, width: int, spacing: float, angle: float, dash: bool
) -> np.ndarray:
    """Parallel lines on empty ground, float32 in [0, 1]."""
    sheet = np.zeros((height, width), np.uint8)
    direction = np.array([np.cos(angle), np.sin(angle)])
    normal = np.array([-np.sin(angle), np.cos(angle)])
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
        upright = lines_across(rng, height, width, spacing, angle + np.pi / 2, dash)
        ink = np.maximum(ink, upright)
    return ink


def clutter(rng: Rng, height: int, width: int) -> np.ndarray:
    """Specks, a stray stroke at the rim, a page edge: other ink, in [0, 1]."""
    sheet = np.zeros((height, width), np.uint8)
    size, longest = np.array([width, height]), max(height, width)
    for _ in range(int(rng.integers(0, 4))):
        spot = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        radius = max(1, round(longest * between(rng, 0.001, 0.008)))
        cv2.circle(sheet, spot, radius, 255, -1, cv2.LINE_AA)
    if chance(rng, 0.5):
        corner = rng.integers(0, 2, 2)
        points = (corner + rng.normal(0, 0.08, (4, 2))) * size
        thickness = max(1, round(longest * between(rng, 0.003, 0.03)))
        cv2.polylines(sheet, [points.astype(np.int32)], False, 255, thickness)
    if chance(rng, 0.35):
        side, depth = int(rng.integers(0, 4)), between(rng, 0.01, 0.12)
        block = np.array([[0, 0], [1, 0], [1, depth + rng.normal(0, 0.02)], [0, depth]])
        block = [block, 1 - block, block[:, ::-1], 1 - block[:, ::-1]][side]
        cv2.fillPoly(sheet, [(block * size).astype(np.int32)], 255, cv2.LINE_AA)
    return sheet.astype(np.float32) / 255


def scene_size(rng: Rng) -> tuple[int, int]:
    """Height and width from 1:2 to 2:1, mostly upright or square."""
    longest = log_between(rng, *SCENE_LONGEST)
    ratio = np.clip(np.exp(rng.normal(0.15, 0.35)), 0.5, 2)
    height, width = longest * min(ratio, 1), longest / max(ratio, 1)
    return max(SCENE_SHORTEST, round(height)), max(SCENE_SHORTEST, round(width))


def place(rng: Rng, ink: np.ndarray, height: int, width: int) -> np.ndarray:
    """Put a drawing somewhere on an empty sheet."""
    fits = min(height / ink.shape[0], width / ink.shape[1])
    tight = chance(rng, 0.25)
    scale = fits * (between(rng, 0.85, 1.04) if tight else log_between(rng, 0.16, 0.95))
    scale = max(scale, 14 / max(ink.shape))
    size = max(2, round(ink.shape[1] * scale)), max(2, round(ink.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(ink, size, interpolation=way)
    free = np.array([height - size[1], width - size[0]])
    anywhere = chance(rng, 0.3)
    spot = rng.uniform(0, 1, 2) if anywhere else rng.normal(0.5, 0.16, 2)
    top, left = np.round(free * np.clip(spot, 0, 1)).astype(int)
    rims = *borders(top, height - size[1] - top), *borders(left, width - size[0] - left)
    sheet = cv2.copyMakeBorder(small, *rims, cv2.BORDER_CONSTANT, value=0)
    cut_top, cut_left = max(0, -top), max(0, -left)
    return sheet[cut_top : cut_top + height, cut_left : cut_left + width]


def borders(before: int, after: int) -> tuple[int, int]:
    return max(0, int(before)), max(0, int(after))


def coloured(rng: Rng, brightness: np.ndarray, strength: float) -> np.ndarray:
    """A grey level with a tint, as (…, 3)."""
    return tinted(brightness, 1 + rng.uniform(-strength, strength, 3))


def tinted(grey: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """(height, width) times a colour. NumPy's broadcasting takes far longer."""
    return cv2.merge([grey * np.float32(part) for part in colour])


def ink_colour(rng: Rng) -> np.ndarray:
    """Black, grey, blue, red or any other ink, relative to white paper at 1."""
    if chance(rng, 0.6):
        return np.full(3, between(rng, 0, 0.35), np.float32)
    colour = rng.uniform(0, 0.9, 3).astype(np.float32)
    return colour * min(1.0, 0.65 / float(colour @ [0.299, 0.587, 0.114]))


def scene(rng: Rng, ink: np.ndarray) -> tuple[np.ndarray, Box]:
    """One drawing photographed, scanned or on a screen, and where it is in there."""
    while True:
        height, width = scene_size(rng)
        sheet = place(rng, ink, height, width)
        box = Box(*cv2.boundingRect((sheet > 0.3).astype(np.uint8)))
        # A hairline may vanish where it is made small.
        if max(box) == 0:
            continue
        way = on_screen if chance(rng, SCREEN_SHARE) else on_paper
        picture = way(rng, sheet, box)
        box_there = enlarged(box, picture.shape[0] / height)
        if how_alike(sheet, box, picture, box_there) > LEAST_LIKENESS:
            break
    if chance(rng, LARGER_PAGE_SHARE):
        return on_larger_page(rng, picture, box_there)
    return picture, box_there


def how_alike(one: np.ndarray, one_box: Box, other: np.ndarray, box: Box) -> float:
    """Correlation of what two pictures show in their boxes, seen from afar.

    Few pixels average out the noise through which the eye still sees a digit.
    """
    return abs(float((from_afar(one, one_box) * from_afar(other, box)).mean()))


def from_afar(picture: np.ndarray, box: Box) -> np.ndarray:
    """What is in a box and close to it, in few pixels, without its shade."""
    margin = max(1, max(box.width, box.height) // 8)
    size = box.width + 2 * margin, box.height + 2 * margin
    centre = box.x + (box.width - 1) / 2, box.y + (box.height - 1) / 2
    closeup = cv2.getRectSubPix(picture, size, centre)
    small = cv2.resize(closeup, (20, 20), interpolation=cv2.INTER_AREA)
    grey = small.reshape(20, 20, -1).mean(axis=2)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), 3)
    return (detail - detail.mean()) / (detail.std() + 1e-6)


def enlarged(box: Box, scale: float) -> Box:
    return Box(*(round(side * scale) for side in box))


def on_paper(rng: Rng, sheet: np.ndarray, box: Box) -> np.ndarray:
    height, width = sheet.shape
    paper = lit_paper(rng, height, width)
    picture = coloured(rng, paper, 0.08)
    if chance(rng, 0.3):
        lines = ruling(rng, height, width, box.height) * log_between(rng, 0.08, 0.7)
        picture *= 1 - tinted(lines, rng.uniform(0, 1, 3))
    if chance(rng, 0.25):
        darkness = np.full(3, between(rng, 0.3, 0.95))
        picture *= 1 - tinted(clutter(rng, height, width), darkness)
    is_faint = chance(rng, FAINT_SHARE)
    strength = log_between(rng, 0.08, 0.25) if is_faint else log_between(rng, 0.12, 1)
    cover = sheet * strength
    if chance(rng, 0.3):
        cells = max(2, min(height, width) // 4)
        cover *= 1 + 0.3 * waves(rng, height, width, cells)
    darkness = 1 - ink_colour(rng)
    picture *= 1 - tinted(np.clip(cover, 0, 1), darkness)
    if is_faint:
        # Hardly more than the paper's noise, which the eye still tells from a stroke.
        depth = strength * float(darkness.mean() * paper.mean())
        grain = depth * between(rng, 0.1, 0.6) * noise(rng, (height, width))
        picture += tinted(grain, np.ones(3))
    if chance(rng, MISHAP_SHARE):
        picture = mishap(rng, picture, box)
    return camera(rng, picture)


def on_screen(rng: Rng, sheet: np.ndarray, box: Box) -> np.ndarray:
    """Drawn with mouse or finger, or scanned to two tones, on even ground."""
    ground, tone = (255.0, 0.0) if chance(rng, 0.5) else rng.uniform(0, 255, 2)
    if abs(ground - tone) < 60:
        ground, tone = 245.0, 30.0
    if chance(rng, 0.3):
        sheet = (sheet > between(rng, 0.3, 0.7)).astype(np.float32)
    picture = (ground + (tone - ground) * sheet).astype(np.float32)
    picture = np.repeat(picture[..., None], 3, axis=2)
    if chance(rng, 0.4):
        picture = coarse(rng, picture)
    if chance(rng, SCREEN_MISHAP_SHARE):
        box = enlarged(box, picture.shape[0] / sheet.shape[0])
        picture = mishap(rng, picture, box)
    return eight_bits(picture)


def as_is(rng: Rng, glyph: np.ndarray) -> tuple[np.ndarray, Box]:
    """A small bitmap as the sets have it, light on dark, in its own few pixels."""
    glyph = varied(rng, glyph)
    box = Box(*cv2.boundingRect((glyph > 100).astype(np.uint8)))
    if chance(rng, 0.2):
        glyph = 255 - glyph
    picture = np.repeat(glyph[..., None], 3, axis=2)
    if chance(rng, AS_IS_MISHAP_SHARE):
        picture = eight_bits(mishap(rng, picture.astype(np.float32), box))
    return picture, box


def coarse(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """A picture of few pixels, left so or enlarged with hard or soft pixels."""
    height, width = picture.shape[:2]
    factor = max(height, width) / between(rng, 20, 64)
    if factor <= 1:
        return picture
    size = max(12, round(width / factor)), max(12, round(height / factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if chance(rng, 0.6):
        return small
    way = cv2.INTER_NEAREST if chance(rng, 0.4) else cv2.INTER_CUBIC
    return cv2.resize(small, (width, height), interpolation=way)


def camera(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """What lens, sensor and file do: blur, noise, a negative, a black border, JPEG."""
    longest = max(picture.shape[:2])
    if chance(rng, 0.5):
        blur = log_between(rng, 0.3, 0.012 * longest + 0.5)
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    if chance(rng, 0.1):
        picture = coarse(rng, picture)
    if chance(rng, 0.5):
        is_coloured, strength = chance(rng, 0.3), log_between(rng, 0.5, 12)
        grain = strength * noise(rng, picture.shape[: 3 if is_coloured else 2])
        picture = picture + (grain if is_coloured else tinted(grain, np.ones(3)))
    if chance(rng, 0.1):
        picture = 255 - picture
    if chance(rng, 0.04):
        edge = max(1, round(0.01 * picture.shape[1]))
        picture[:edge] = picture[-edge:] = 0
        picture[:, :edge] = picture[:, -edge:] = 0
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if chance(rng, 0.5):
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 96))]
        jpeg = cv2.imencode(".jpg", picture, quality)[1]
        picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return picture


def on_larger_page(rng: Rng, photo: np.ndarray, box: Box) -> tuple[np.ndarray, Box]:
    """A picture on a page or desk of another tone, often in a corner of it."""
    height, width = photo.shape[:2]
    page_size = np.array([height, width]) * rng.uniform(1.1, 2.1, 2)
    shrink = min(1, SCENE_LONGEST[1] / page_size.max())
    shrink = min(1, max(shrink, SMALLEST_DIGIT / max(box.width, box.height, 1)))
    size = round(width * shrink), round(height * shrink)
    photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    rim = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]])
    tone = rim.mean(axis=0) if chance(rng, 0.5) else rng.uniform(0, 255, 3)
    if chance(rng, 0.3):
        tone[:] = tone.mean()
    page_height, page_width = np.round(page_size * shrink).astype(int).tolist()
    page = np.full((page_height, page_width, 3), tone, np.float32)
    free = page_height - size[1], page_width - size[0]
    spot = rng.integers(0, 2, 2) if chance(rng, 0.5) else rng.uniform(0, 1, 2)
    top, left = np.round(spot * free).astype(int).tolist()
    if chance(rng, 0.3):
        shade = np.zeros((page_height, page_width), np.float32)
        shade[top : top + size[1], left : left + size[0]] = 1
        reach = 0.02 * max(size)
        page *= 1 - 0.5 * cv2.GaussianBlur(shade, (0, 0), reach + 0.5)[..., None]
    page[top : top + size[1], left : left + size[0]] = photo
    box = enlarged(box, shrink)
    box = box._replace(x=box.x + left, y=box.y + top)
    seen = camera(rng, page) if chance(rng, 0.5) else eight_bits(page)
    return seen, enlarged(box, seen.shape[0] / page_height)


def rephotographed(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """A real crop, turned and squeezed a little, seen again by a camera."""
    height, width = picture.shape[:2]
    slant, zoom = slanted(rng, 0.1, 0.12, 0.15), log_between(rng, 0.7, 3)
    corners = np.abs(slant).max(axis=1) * [width, height] * zoom
    size = np.maximum(16, np.round(corners)).astype(int)
    offset = size / 2 - zoom * slant @ [width / 2, height / 2]
    turned = cv2.warpAffine(
        picture,
        np.hstack([zoom * slant, offset[:, None]]),
        tuple(size.tolist()),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    if chance(rng, MISHAP_SHARE):
        height, width = turned.shape[:2]
        box = Box(width // 6, height // 6, 2 * width // 3, 2 * height // 3)
        turned = mishap(rng, turned, box)
    return camera(rng, turned)


# What goes wrong with a picture: float32 (height, width, 3) → the same. `box` is where
# the digit is, or where one would be.


def mishap(rng: Rng, picture: np.ndarray, box: Box) -> np.ndarray:
    """One thing, now and then two, that disturbs whoever reads the picture."""
    for _ in range(2 if chance(rng, 0.15) else 1):
        way = list(MISHAPS)[rng.choice(len(MISHAPS), p=list(MISHAPS.values()))]
        picture = np.clip(way(rng, picture, box), 0, 255).astype(np.float32)
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
    """How far the digit stands out from what most of the picture is like."""
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
    rims = cv2.Canny(eight_bits(soft), 0.4 * high, high)
    rims = 255 - rims if chance(rng, 0.3) else rims
    return np.repeat(rims[..., None], 3, axis=2).astype(np.float32)


# And how often, of all of them.
MISHAPS = {
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
LINES = ("straight", "dotted", "dotted", "wavy", "wavy", "zigzag", "zigzag", "zigzag")


# Pictures without a digit


def empty_scene(rng: Rng) -> np.ndarray:
    """Blank paper, noise, textures, blobs, scribbles, rows of them, lines, things."""
    if chance(rng, 0.15):
        return scribble(rng)
    height, width = scene_size(rng)
    kinds = (
        bare_paper,
        plain_noise,
        texture,
        blobs,
        scribbled_rows,
        lines_alone,
        thing,
        stained,
    )
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
    """Hatching, or rows of what looks like writing from afar."""
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


def thing(rng: Rng, height: int, width: int) -> np.ndarray:
    """The outline of something broad, filled with a texture, on even ground."""
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
    """Paper with drops, fog or a tinted half."""
    picture = bare_paper(rng, height, width)
    middle = Box(width // 4, height // 4, width // 2, height // 2)
    way = (spatter, fog)[rng.integers(2)]
    return np.clip(way(rng, picture, middle), 0, 255)
