"""Draw digits from small bitmaps and pen strokes: the ink alone, as maps in [0, 1]."""

import cv2
import numpy as np
from skimage.morphology import skeletonize

# Height or width of a drawing in pixels, whichever is larger.
GLYPH_SIDE = 112

Rng = np.random.Generator


def between(rng: Rng, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def log_between(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def chance(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def smooth_line(points: np.ndarray, steps: int = 8) -> np.ndarray:
    """A Catmull-Rom spline through the points."""
    if len(points) < 3:
        return points
    padded = np.concatenate(
        [2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]]
    )
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def slanted(rng: Rng, angle: float, shear: float, stretch: float) -> np.ndarray:
    """A random turn, shear and stretch of these standard deviations, as a matrix."""
    # Beyond that a 1 begins to look like a 7, and a 6 like nothing.
    angle, shear, stretch = np.clip(rng.normal(0, 1, 3), -2, 2) * (
        angle,
        shear,
        stretch,
    )
    cosine, sine, wide = np.cos(angle), np.sin(angle), np.exp(stretch)
    return np.array([[cosine, -sine], [sine, cosine]]) @ [[wide, shear], [0, 1 / wide]]


def shaken(rng: Rng, strokes: list[np.ndarray]) -> list[np.ndarray]:
    """Lean, stretch, turn and bend strokes a little, all by the same smooth map."""
    matrix = slanted(rng, 0.12, 0.15, 0.18)
    everything = np.concatenate(strokes)
    centre = (everything.max(axis=0) + everything.min(axis=0)) / 2
    size = max(float(np.ptp(everything, axis=0).max()), 1)
    phase, strength = rng.uniform(0, 2 * np.pi, (2, 2)), rng.normal(0, 0.02, (2, 2))
    moved = []
    for stroke in strokes:
        points = (stroke - centre) / size @ matrix.T
        waves = np.sin(points[:, None, ::-1] * [[3], [6]] * 1.5 + phase) * strength
        moved.append((points + waves.sum(axis=1)).astype(np.float32))
    return moved


def draw_strokes(rng: Rng, strokes: list[np.ndarray]) -> np.ndarray:
    """Strokes in pencil, pen or marker → float32 ink in [0, 1]."""
    strokes = [
        smooth_line(line) if len(line) < 20 else line for line in shaken(rng, strokes)
    ]
    everything = np.concatenate(strokes)
    low, high = everything.min(axis=0), everything.max(axis=0)
    pen = pen_width(rng)
    scale = GLYPH_SIDE / max(float((high - low).max()), 1e-3)
    margin = pen / 2 + 3
    width, height = ((high - low) * scale + 2 * margin + 1).astype(int)
    glyph = np.zeros((height, width), np.uint8)
    for stroke in strokes:
        line = (stroke - low) * scale + margin
        lines = [np.round(line * 16).astype(np.int32)]
        cv2.polylines(glyph, lines, False, 255, max(1, round(pen)), cv2.LINE_AA, 4)
        if len(line) == 1 or chance(rng, 0.3):
            x, y = np.round(line[0] * 16).astype(int).tolist()
            cv2.circle(glyph, (x, y), round(pen * 8), 255, -1, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(glyph, (0, 0), log_between(rng, 0.4, 1.2))
    return soft.astype(np.float32) / 255


def redraw_glyph(rng: Rng, glyph: np.ndarray) -> np.ndarray:
    """A small bitmap as if drawn anew, its strokes thinner or thicker, in [0, 1]."""
    inked = np.argwhere(glyph > 40)
    if len(inked):
        (top, left), (bottom, right) = inked.min(axis=0), inked.max(axis=0) + 1
        glyph = glyph[top:bottom, left:right]
    height, width = glyph.shape
    scale = GLYPH_SIDE / max(height, width)
    matrix = slanted(rng, 0.12, 0.15, 0.15) * scale
    corners = np.array([[x, y] for x in (0, width) for y in (0, height)]) @ matrix.T
    low, high = corners.min(axis=0) - 8, corners.max(axis=0) + 8
    size = tuple(int(n) for n in np.ceil(high - low))
    affine = np.hstack([matrix, -low[:, None]])
    large = cv2.warpAffine(glyph, affine, size, flags=cv2.INTER_CUBIC)
    large = large.astype(np.float32) / 255
    large = bent(rng, large)
    kind = rng.random()
    if kind < 0.1:
        return large
    if kind < 0.5:
        return retraced(rng, large)
    # A threshold on a blurred enlargement gives strokes with the clean rim of a pen.
    blur = between(rng, 0.06, 0.14) * scale * min(20, max(height, width)) / 4
    soft = cv2.GaussianBlur(large, (0, 0), blur)
    level = np.clip(rng.normal(0.45, 0.15), 0.15, 0.75) * max(float(soft.max()), 0.2)
    sharpness = log_between(rng, 4, 30)
    return 1 / (1 + np.exp(np.clip((level - soft) * sharpness, -30, 30)))


def retraced(rng: Rng, glyph: np.ndarray) -> np.ndarray:
    """The middle line of a glyph's strokes drawn again with a pen of any width."""
    soft = cv2.GaussianBlur(glyph, (0, 0), 0.02 * GLYPH_SIDE)
    middle = skeletonize(soft > 0.45 * max(float(soft.max()), 0.2))
    distance = cv2.distanceTransform((~middle).astype(np.uint8), cv2.DIST_L2, 5)
    return np.clip(pen_width(rng) / 2 + 0.5 - distance, 0, 1)


def pen_width(rng: Rng) -> float:
    """From a hairline on a large digit to a marker, in pixels."""
    return GLYPH_SIDE * log_between(rng, 0.008, 0.15)


def bent(rng: Rng, glyph: np.ndarray) -> np.ndarray:
    """An elastic warp (Simard 2003) by a coarse random field."""
    height, width = glyph.shape
    field = rng.normal(0, 0.03 * GLYPH_SIDE, (2, 4, 4)).astype(np.float32)
    shift_x, shift_y = (
        cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)
        for part in field
    )
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(glyph, x + shift_x, y + shift_y, cv2.INTER_LINEAR)


def draw(rng: Rng, content: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Glyph or strokes → the ink of one drawing, float32 in [0, 1]."""
    is_glyph = isinstance(content, np.ndarray)
    ink = redraw_glyph(rng, content) if is_glyph else draw_strokes(rng, content)
    if chance(rng, 0.06):
        # Outlined digits, as on posters.
        around = square(0.04)
        ink = cv2.dilate(ink, around) - cv2.erode(ink, around) * 0.95
    elif chance(rng, 0.1):
        ink = cv2.dilate(ink, square(between(rng, 0.03, 0.08)))
    return np.clip(ink, 0, 1).astype(np.float32)


def square(share: float) -> np.ndarray:
    """A kernel whose side is this share of a drawing's."""
    side = max(3, round(GLYPH_SIDE * share))
    return np.ones((side, side), np.uint8)


def varied(rng: Rng, glyph: np.ndarray) -> np.ndarray:
    """A small bitmap in its own size and pixels, moved and bent a little."""
    height, width = glyph.shape
    strength = log_between(rng, 0.15, 1)
    matrix = slanted(rng, 0.12 * strength, 0.15 * strength, 0.1 * strength)
    matrix *= np.exp(rng.normal(0, 0.08 * strength))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    middle = np.array([width - 1, height - 1]) / 2
    places = np.dstack([x, y]) - middle
    places = places @ matrix.T + middle + rng.normal(0, 0.7 * strength, 2)
    field = rng.normal(0, 0.025 * strength * max(height, width), (2, 4, 4))
    for axis, part in enumerate(field.astype(np.float32)):
        places[..., axis] += cv2.resize(
            part, (width, height), interpolation=cv2.INTER_CUBIC
        )
    return cv2.remap(glyph, places.astype(np.float32), None, cv2.INTER_CUBIC)
