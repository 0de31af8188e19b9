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


def one(rng: Rng) -> list[np.ndarray]:
    """A 1 as the countries write it: bare, hooked, with an up-stroke, on a foot."""
    lean = between(rng, -0.15, 0.3)
    top, foot = np.array([50 + 50 * lean, 0]), np.array([50 - 50 * lean, 100])
    strokes = [np.stack([top, foot])]
    if chance(rng, 0.75):
        reach, drop = between(rng, 8, 62), between(rng, 8, 72)
        bend = between(rng, -6, 6)
        start = top + np.array([-reach, drop])
        strokes = [np.stack([start, (start + top) / 2 + bend, top, foot])]
        strokes = [np.concatenate([smooth_line(strokes[0][:3]), foot[None]])]
    if chance(rng, 0.35):
        half = between(rng, 10, 45)
        shift = between(rng, -8, 8)
        slope = np.array([half, -shift])
        strokes.append(np.stack([foot - slope, foot + slope / [1, 2]]))
    return [stroke.astype(np.float32) for stroke in strokes]


def seven(rng: Rng) -> list[np.ndarray]:
    """A 7 with a straight or waved top and stem, half of them barred."""
    width = between(rng, 35, 80)
    tilt = between(rng, -10, 12)
    left, right = np.array([0, tilt]), np.array([width, 0])
    foot = np.array([width * between(rng, -0.1, 0.7), 100])
    middle = (right + foot) / 2 + [between(rng, -12, 6), between(rng, -6, 6)]
    top = smooth_line(
        np.stack([left, (left + right) / 2 + [0, between(rng, -6, 6)], right])
    )
    strokes = [np.concatenate([top, smooth_line(np.stack([right, middle, foot]))])]
    if chance(rng, 0.3):
        strokes[0] = np.concatenate(
            [left[None] + [between(rng, -3, 4), between(rng, 6, 25)], strokes[0]]
        )
    if chance(rng, 0.5):
        half = width * between(rng, 0.2, 0.5)
        shift = between(rng, -8, 8)
        slope = np.array([half, -shift])
        strokes.append(np.stack([middle - slope, middle + slope]))
    return [stroke.astype(np.float32) for stroke in strokes]


def shaken(rng: Rng, strokes: list[np.ndarray]) -> list[np.ndarray]:
    """Lean, stretch, turn and bend strokes a little, all by the same smooth map."""
    angle, shear = rng.normal(0, 0.12), rng.normal(0, 0.15)
    stretch = np.exp(rng.normal(0, 0.18))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[stretch, shear], [0, 1 / stretch]])
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
    strokes = shaken(rng, strokes)
    everything = np.concatenate(strokes)
    low, high = everything.min(axis=0), everything.max(axis=0)
    pen = pen_width(rng)
    scale = GLYPH_SIDE / max(float((high - low).max()), 1e-3)
    margin = pen / 2 + 3
    width, height = ((high - low) * scale + 2 * margin + 1).astype(int)
    glyph = np.zeros((height, width), np.uint8)
    for stroke in strokes:
        line = (stroke - low) * scale + margin
        line = smooth_line(line) if len(line) < 20 else line
        lines = [np.round(line * 16).astype(np.int32)]
        cv2.polylines(glyph, lines, False, 255, max(1, round(pen)), cv2.LINE_AA, 4)
        if len(line) == 1 or chance(rng, 0.3):
            x, y = np.round(line[0] * 16).astype(int).tolist()
            cv2.circle(glyph, (x, y), round(pen * 8), 255, -1, cv2.LINE_AA, 4)
    return (
        cv2.GaussianBlur(glyph, (0, 0), log_between(rng, 0.4, 1.2)).astype(np.float32)
        / 255
    )


def redraw_glyph(rng: Rng, glyph: np.ndarray) -> np.ndarray:
    """A small bitmap as if drawn anew, its strokes thinner or thicker, in [0, 1]."""
    inked = np.argwhere(glyph > 40)
    if len(inked):
        (top, left), (bottom, right) = inked.min(axis=0), inked.max(axis=0) + 1
        glyph = glyph[top:bottom, left:right]
    height, width = glyph.shape
    scale = GLYPH_SIDE / max(height, width)
    stretch = np.exp(rng.normal(0, 0.15))
    angle, shear = rng.normal(0, 0.12), rng.normal(0, 0.15)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = matrix @ np.array([[stretch, shear], [0, 1 / stretch]]) * scale
    corners = np.array([[x, y] for x in (0, width) for y in (0, height)]) @ matrix.T
    low, high = corners.min(axis=0) - 8, corners.max(axis=0) + 8
    size = tuple(int(n) for n in np.ceil(high - low))
    offset = (-low)[:, None]
    large = (
        cv2.warpAffine(
            glyph, np.hstack([matrix, offset]), size, flags=cv2.INTER_CUBIC
        ).astype(np.float32)
        / 255
    )
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
    ink = (
        redraw_glyph(rng, content)
        if isinstance(content, np.ndarray)
        else draw_strokes(rng, content)
    )
    if chance(rng, 0.06):
        # Outlined digits, as on posters.
        kernel = np.ones((max(3, round(GLYPH_SIDE * 0.04)),) * 2, np.uint8)
        ink = cv2.dilate(ink, kernel) - cv2.erode(ink, kernel) * 0.95
    elif chance(rng, 0.1):
        ink = cv2.dilate(
            ink,
            np.ones(
                (max(3, round(GLYPH_SIDE * between(rng, 0.03, 0.08))),) * 2, np.uint8
            ),
        )
    return np.clip(ink, 0, 1)
