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
        reach = between(rng, 8, 52)
        # A hook that hardly falls would be the roof of a 7.
        drop = min(reach * log_between(rng, 0.9, 3), 75)
        start, bend = top + np.array([-reach, drop]), between(rng, -5, 5)
        hook = smooth_line(np.stack([start, (start + top) / 2 + bend, top]))
        strokes = [np.concatenate([hook, foot[None]])]
    if chance(rng, 0.35):
        half = between(rng, 10, 45)
        slope = np.array([half, between(rng, -8, 8)])
        strokes.append(np.stack([foot - slope, foot + slope / [1, 2]]))
    return [stroke.astype(np.float32) for stroke in strokes]


def seven(rng: Rng) -> list[np.ndarray]:
    """A 7 with a straight or waved roof and stem, half of them barred."""
    width = between(rng, 36, 80)
    left, right = np.array([0, width * between(rng, -0.15, 0.1)]), np.array([width, 0])
    foot = np.array([width * between(rng, -0.1, 0.8), 100])
    middle = (right + foot) / 2 + [between(rng, -12, 6), between(rng, -6, 6)]
    sag = [0, between(rng, -0.1, 0.1) * width]
    roof = smooth_line(np.stack([left, (left + right) / 2 + sag, right]))
    stem = smooth_line(np.stack([right, middle, foot]))
    line = [roof, stem]
    if chance(rng, 0.3):
        serif = left + np.array([between(rng, -3, 4), between(rng, 6, 25)])
        line = [serif[None], *line]
    strokes = [np.concatenate(line)]
    if chance(rng, 0.5):
        slope = np.array([width * between(rng, 0.2, 0.5), between(rng, -8, 8)])
        strokes.append(np.stack([middle - slope, middle + slope]))
    return [stroke.astype(np.float32) for stroke in strokes]


def two(rng: Rng) -> list[np.ndarray]:
    """A 2 whose stem ends in a loop, small or large, before it goes to the right."""
    width, loop = between(rng, 45, 75), between(rng, 8, 26)
    arc = [[0, between(rng, 12, 30)], [0.3, 3], [0.65, 0], [0.95, 18], [0.85, 40]]
    stem = [[0.45, 72], [0.2, 96]]
    turn = [[0, 98], [-0.08, 98 - loop / 2], [0.1, 98 - loop]]
    tail = [[0.45, 100 - 0.5 * loop], [0.75, 100], [1.1, between(rng, 80, 100)]]
    points = np.array(arc + stem + turn + tail) * [width, 1]
    return [(points + rng.normal(0, 1.5, points.shape)).astype(np.float32)]


def ring(rng: Rng, width: float, height: float, over: float) -> np.ndarray:
    """A closed ring, drawn leftwards from its upper right; `over` turns too far."""
    start = between(rng, -1.2, -0.4)
    angles = start - np.linspace(0, 2 * np.pi * (1 + over), 24)
    points = np.stack([np.cos(angles) * width, np.sin(angles) * height], axis=1) / 2
    return points + np.array([width, height]) / 2


def zero(rng: Rng) -> list[np.ndarray]:
    """A 0 whose ends overlap, some with a small tail within or on top."""
    line = ring(rng, between(rng, 45, 85), 100, between(rng, 0, 0.12))
    if chance(rng, 0.3):
        line = np.vstack([line, line[-1] + [between(rng, -15, 15), -8]])
    return [line.astype(np.float32)]


def nine(rng: Rng) -> list[np.ndarray]:
    """A 9 whose ring is closed, with a straight or bent stem clearly below it."""
    width, height = between(rng, 35, 65), between(rng, 35, 62)
    top = np.array([width * between(rng, 0.95, 1.1), between(rng, 0, 12)])
    foot = np.array([width * between(rng, 0.2, 1.1), 100])
    middle = (top + foot) / 2 + [width * between(rng, 0, 0.15), 0]
    stem = smooth_line(np.stack([top, middle, foot]))
    return [
        ring(rng, width, height, 0.03).astype(np.float32),
        stem.astype(np.float32),
    ]


# Forms that the sets have too few of, and how often each is drawn.
FORMS = {one: 0.4, seven: 0.32, two: 0.12, nine: 0.08, zero: 0.08}
LABELS = {zero: 0, one: 1, two: 2, seven: 7, nine: 9}


def form(rng: Rng) -> tuple[list[np.ndarray], int]:
    """The strokes of a digit that is easily confused, and which it is."""
    way = list(FORMS)[rng.choice(len(FORMS), p=list(FORMS.values()))]
    return way(rng), LABELS[way]


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
