"""Put drawings into scenes as people photograph, scan and draw them.

A scene is a uint8 (height, width, 3) picture, as the service would decode it.
"""

import cv2
import numpy as np

from recognition.decoding import to_uint8
from recognition.localization import Box
from training.augmentations import augment, noise, waves
from training.draw import Rng, between, chance, log_between, slanted, varied

# Longest side of a scene in pixels, from and to, similar to what the service decodes.
SCENE_LONGEST = (48, 360)
SCENE_SHORTEST = 28
# Where a page would make a digit smaller than that, it is cut off by the limit above.
SMALLEST_DIGIT = 18
# A scene in which less is left of a digit, from 0 to 1, would be a wrong label.
LEAST_SIMILARITY = 0.33
# A part of a drawing is at least so long, in pixels, and a picture cuts at most this
# share of its own side off it.
SMALLEST_PART, CUT_OFF = 12, 0.02
# Of some drawings nothing is ever seen.
MOST_TRIES = 200
# How often a drawing reaches from edge to edge.
TIGHT_SHARE = 0.25
# How often a scene is a drawing on a screen, lies on a larger page, is faint.
SCREEN_SHARE, LARGER_PAGE_SHARE, FAINT_SHARE = 0.22, 0.08, 0.12
# How often a scene on paper, on a screen, or a small bitmap is augmented.
AUGMENTED_SHARE, SCREEN_AUGMENTED_SHARE, AS_IS_AUGMENTED_SHARE = 0.16, 0.35, 0.35


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


def place(
    rng: Rng, ink: np.ndarray, height: int, width: int, tight_share: float
) -> tuple[np.ndarray, Box]:
    """Put a drawing somewhere on an empty sheet, or from edge to edge if it is tight.

    Also returns where it is.
    """
    fits = min(height / ink.shape[0], width / ink.shape[1])
    tight = chance(rng, tight_share)
    scale = fits * (between(rng, 0.85, 1.04) if tight else log_between(rng, 0.16, 0.95))
    scale = max(scale, 14 / max(ink.shape))
    size = max(2, round(ink.shape[1] * scale)), max(2, round(ink.shape[0] * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(ink, size, interpolation=interpolation)
    free = np.array([height - size[1], width - size[0]])
    anywhere = chance(rng, 0.3)
    spot = rng.uniform(0, 1, 2) if anywhere else rng.normal(0.5, 0.16, 2)
    top, left = np.round(free * np.clip(spot, 0, 1)).astype(int)
    rims = *borders(top, height - size[1] - top), *borders(left, width - size[0] - left)
    sheet = cv2.copyMakeBorder(small, *rims, cv2.BORDER_CONSTANT, value=0)
    cut_top, cut_left = max(0, -top), max(0, -left)
    sheet = sheet[cut_top : cut_top + height, cut_left : cut_left + width]
    return sheet, Box(int(left), int(top), *size)


def part_of(drawing: Box, part: Box, ink: np.ndarray, sheet: np.ndarray) -> Box:
    """Where on a sheet a part of a drawing is; empty if the sheet cuts it off."""
    scale_x, scale_y = drawing.width / ink.shape[1], drawing.height / ink.shape[0]
    left, top = drawing.x + scale_x * part.x, drawing.y + scale_y * part.y
    right, bottom = left + scale_x * part.width, top + scale_y * part.height
    height, width = sheet.shape
    if min(left, top, width - right, height - bottom) < -CUT_OFF * max(sheet.shape):
        return Box(0, 0, 0, 0)
    left, right = np.clip([left, right], 0, width)
    top, bottom = np.clip([top, bottom], 0, height)
    sides = left, top, right - left, bottom - top
    return Box(*(round(float(side)) for side in sides))


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
        if shown := attempt(rng, ink):
            return shown


def scene_of_part(
    rng: Rng, ink: np.ndarray, part: Box, tight_share: float = TIGHT_SHARE
) -> tuple[np.ndarray, Box] | None:
    """The same, and where a part of the drawing is; None if it can hardly be seen."""
    tries = (attempt(rng, ink, part, tight_share) for _ in range(MOST_TRIES))
    return next(filter(None, tries), None)


def attempt(
    rng: Rng,
    ink: np.ndarray,
    part: Box | None = None,
    tight_share: float = TIGHT_SHARE,
) -> tuple[np.ndarray, Box] | None:
    """None if too little is left of the drawing, or of the part."""
    height, width = scene_size(rng)
    sheet, drawing = place(rng, ink, height, width, tight_share)
    box = Box(*cv2.boundingRect((sheet > 0.3).astype(np.uint8)))
    if part:
        box = part_of(drawing, part, ink, sheet)
    # A hairline may vanish where it is made small.
    if max(box) == 0 or (part and max(box.width, box.height) < SMALLEST_PART):
        return None
    show = on_screen if chance(rng, SCREEN_SHARE) else on_paper
    picture = show(rng, sheet, box)
    box_there = enlarged(box, picture.shape[0] / height)
    if similarity(sheet, box, picture, box_there) <= LEAST_SIMILARITY:
        return None
    if chance(rng, LARGER_PAGE_SHARE):
        return on_larger_page(rng, picture, box_there)
    return picture, box_there


def similarity(one: np.ndarray, one_box: Box, other: np.ndarray, box: Box) -> float:
    """Correlation of what two pictures show in their boxes, at a low resolution.

    Few pixels average out noise in which a person can still read the digit.
    """
    return abs(float((coarse_detail(one, one_box) * coarse_detail(other, box)).mean()))


def coarse_detail(picture: np.ndarray, box: Box) -> np.ndarray:
    """What is in a box and close to it, in few pixels, without its shade."""
    margin = max(1, max(box.width, box.height) // 8)
    size = box.width + 2 * margin, box.height + 2 * margin
    centre = box.x + (box.width - 1) / 2, box.y + (box.height - 1) / 2
    cropped = cv2.getRectSubPix(picture, size, centre)
    small = cv2.resize(cropped, (20, 20), interpolation=cv2.INTER_AREA)
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
        # Little stronger than the paper's noise; a person can still see the stroke.
        depth = strength * float(darkness.mean() * paper.mean())
        grain = depth * between(rng, 0.1, 0.6) * noise(rng, (height, width))
        picture += tinted(grain, np.ones(3))
    if chance(rng, AUGMENTED_SHARE):
        picture = augment(rng, picture, box)
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
    if chance(rng, SCREEN_AUGMENTED_SHARE):
        box = enlarged(box, picture.shape[0] / sheet.shape[0])
        picture = augment(rng, picture, box)
    return to_uint8(picture)


def as_is(rng: Rng, glyph: np.ndarray) -> tuple[np.ndarray, Box]:
    """A small bitmap as the sets have it, light on dark, in its own few pixels."""
    glyph = varied(rng, glyph)
    box = Box(*cv2.boundingRect((glyph > 100).astype(np.uint8)))
    if chance(rng, 0.2):
        glyph = 255 - glyph
    picture = np.repeat(glyph[..., None], 3, axis=2)
    if chance(rng, AS_IS_AUGMENTED_SHARE):
        picture = to_uint8(augment(rng, picture.astype(np.float32), box))
    return picture, box


def few_pixels(
    rng: Rng, picture: np.ndarray, box: Box, longest: tuple[float, float]
) -> tuple[np.ndarray, Box]:
    """A picture in so few pixels that a box in it is so long, blurred, as JPEG."""
    scale = log_between(rng, *longest) / max(box.width, box.height)
    scale = min(1, max(scale, 14 / min(picture.shape[:2])))
    height, width = picture.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), log_between(rng, 0.3, 0.9))
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))]
    small = cv2.imdecode(cv2.imencode(".jpg", small, quality)[1], cv2.IMREAD_COLOR)
    return small, enlarged(box, scale)


def scan(rng: Rng, ink: np.ndarray) -> tuple[np.ndarray, Box]:
    """A bold drawing in two tones and few pixels, stretched over most of a square."""
    side = int(rng.integers(20, 49))
    bold = round(between(rng, 1, 0.14 * max(ink.shape)))
    ink = cv2.dilate(np.pad(ink, bold), np.ones((bold, bold), np.uint8))
    x, y, width, height = cv2.boundingRect((ink > 0.3).astype(np.uint8))
    ink = ink[y : y + height, x : x + width]
    narrowest = min(1, max(0.3, width / height))
    size = max(4, round(side * between(rng, narrowest, 1))), side
    small = cv2.resize(ink, size, interpolation=cv2.INTER_AREA) > between(rng, 0.3, 0.7)
    rims = (*rng.integers(0, 3, 2), *borders(*[(side - size[0]) // 2] * 2))
    picture = np.pad(small, (rims[:2], rims[2:])).astype(np.uint8)
    box = Box(*cv2.boundingRect(picture))
    picture = picture if chance(rng, 0.6) else 1 - picture
    return np.repeat(255 * picture[..., None], 3, axis=2), box


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
    interpolation = cv2.INTER_NEAREST if chance(rng, 0.4) else cv2.INTER_CUBIC
    return cv2.resize(small, (width, height), interpolation=interpolation)


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
    seen = camera(rng, page) if chance(rng, 0.5) else to_uint8(page)
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
    if chance(rng, AUGMENTED_SHARE):
        height, width = turned.shape[:2]
        box = Box(width // 6, height // 6, 2 * width // 3, 2 * height // 3)
        turned = augment(rng, turned, box)
    return camera(rng, turned)
