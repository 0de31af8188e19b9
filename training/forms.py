"""Pen strokes of digits in the forms that the sets have too few of.

A unit is a hundredth of the digit's height; x goes right, y down. A new stroke begins
where the pen is lifted.
"""

import numpy as np

from training.draw import Rng, between, chance, log_between, smooth_line

Strokes = list[np.ndarray]


def one(rng: Rng) -> Strokes:
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


def seven(rng: Rng) -> Strokes:
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


def two(rng: Rng) -> Strokes:
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


def zero(rng: Rng) -> Strokes:
    """A 0 whose ends overlap, some with a small tail within or on top."""
    line = ring(rng, between(rng, 45, 85), 100, between(rng, 0, 0.12))
    if chance(rng, 0.3):
        line = np.vstack([line, line[-1] + [between(rng, -15, 15), -8]])
    return [line.astype(np.float32)]


def nine(rng: Rng) -> Strokes:
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


def jittered(rng: Rng, points: list, width: float, spread: float = 1.5) -> np.ndarray:
    """Points whose x is in widths of the digit, each moved a little by itself."""
    corners = np.array(points, np.float32) * [width, 1]
    return (corners + rng.normal(0, spread, corners.shape)).astype(np.float32)


def plain_two(rng: Rng) -> Strokes:
    """A 2 whose stem ends in a corner; of some the top is flat, as of a Z."""
    width = between(rng, 40, 85)
    top = [[0, between(rng, 10, 32)], [0.25, 4], [0.6, 0], [0.95, between(rng, 14, 28)]]
    if chance(rng, 0.2):
        top = [[0, between(rng, 2, 10)], [0.4, 0], [0.75, 2], [0.92, 14]]
    stem = [[0.8, 46], [0.4, 76], [between(rng, -0.05, 0.1), 98]]
    base = [
        [0.5, between(rng, 92, 100)],
        [between(rng, 0.9, 1.3), between(rng, 90, 102)],
    ]
    curve = smooth_line(jittered(rng, top + stem, width))
    return [np.concatenate([curve, jittered(rng, base, width)])]


def three(rng: Rng) -> Strokes:
    """A 3 of two bows, or with a flat roof and a corner."""
    width, waist = between(rng, 40, 75), between(rng, 40, 52)
    inner = between(rng, 0.2, 0.55)
    if chance(rng, 0.4):
        roof = [[0, between(rng, 0, 8)], [0.5, 1], [between(rng, 0.75, 1), 0]]
        start = jittered(rng, [*roof, [inner, waist - 4]], width)
    else:
        rise = between(rng, 6, 22)
        bow = [[0, rise], [0.3, 1], [0.7, 0], [0.95, 14], [0.9, 28], [0.65, waist - 5]]
        start = smooth_line(jittered(rng, [*bow, [inner, waist]], width))
    bow = [[0.7, waist + 1], [1, 64], [1, 80], [0.75, 97], [0.4, 100]]
    tail = [between(rng, -0.1, 0.1), between(rng, 74, 98)]
    middle = [inner + 0.12, waist + between(rng, -1, 2)]
    return [
        np.concatenate([start, smooth_line(jittered(rng, [middle, *bow, tail], width))])
    ]


def four(rng: Rng) -> Strokes:
    """A 4 that is open or closed above, in two strokes or in one without a lift."""
    width, bar = between(rng, 50, 95), between(rng, 50, 74)
    stem = between(rng, 0.55, 0.85)
    peak = stem if chance(rng, 0.4) else between(rng, 0.05, 0.4)
    start = between(rng, 0, 18)
    corner = [between(rng, -0.05, 0.08), bar + between(rng, -4, 2)]
    end = [between(rng, 0.9, 1.2), bar + between(rng, -8, 4)]
    angle = jittered(rng, [[peak, start], corner, end], width)
    lean = between(rng, -0.15, 0.05)
    top = peak * width if peak == stem else stem * width
    rise = start if peak == stem else between(rng, 0, 45)
    upright = [[top, rise], [top + (100 - rise) * lean, 100]]
    if chance(rng, 0.25):
        # Without a lift, the pen comes back to the stem from the end of the bar.
        angle[-1] = [width * (stem + between(rng, 0, 0.12)), angle[-1][1]]
        back = np.array([[top, between(rng, 5, 40)], upright[1]], np.float32)
        return [np.concatenate([angle, back])]
    return [angle, jittered(rng, upright, 1)]


def script_four(rng: Rng) -> Strokes:
    """A 4 in one stroke whose bar turns up into the stem in a loop, like an alpha."""
    width, bar = between(rng, 55, 90), between(rng, 52, 70)
    start = [between(rng, 0.05, 0.35), between(rng, 0, 20)]
    corner = [[0.05, bar - 14], [between(rng, -0.02, 0.1), bar], [0.3, bar + 2]]
    loop = [[0.75, bar - 6], [1, bar - 24], [0.98, 14], [0.84, between(rng, 4, 12)]]
    stem = [[0.7, 18], [0.62, 45], [between(rng, 0.45, 0.65), 100]]
    line = jittered(rng, [start, *corner, *loop, *stem], width)
    return [smooth_line(line)]


def five(rng: Rng) -> Strokes:
    """A 5 whose roof is long, short or apart from its stem."""
    width, waist = between(rng, 42, 75), between(rng, 34, 50)
    left = between(rng, 0.02, 0.25)
    foot = [left - between(rng, -0.05, 0.12), waist + between(rng, -4, 5)]
    top = [left, between(rng, -4, 8)]
    bow = [[0.45, waist - between(rng, 0, 8)], [0.85, waist + 7], [1, 68], [0.85, 88]]
    end = [[0.45, 100], [between(rng, -0.15, 0.1), between(rng, 80, 98)]]
    bowl = smooth_line(jittered(rng, [foot, *bow, *end], width))
    reach = [left + between(rng, 0.5, 1.2), between(rng, -8, 6)]
    kind = rng.random()
    if kind < 0.3:
        curve = [reach, [(reach[0] + left) / 2, reach[1] - 2], top]
        return [np.concatenate([jittered(rng, curve, width), bowl])]
    gap = [0, 0] if kind < 0.65 else [between(rng, -0.1, 0.15), between(rng, -10, 6)]
    stem = np.concatenate([jittered(rng, [top], width), bowl])
    roof = jittered(rng, [[top[0] + gap[0], top[1] + gap[1]], reach], width)
    return [stem, roof]


def six(rng: Rng) -> Strokes:
    """A 6 with a straight or bent stem and a loop that closes, or nearly does."""
    width, loop = between(rng, 42, 72), between(rng, 34, 58)
    top = [between(rng, 0.35, 1), between(rng, 0, 6)]
    bend = between(rng, -0.15, 0.3)
    stem = [
        [0.12 + (top[0] - 0.12) * 0.45 + bend / 2 - 0.2, 26],
        [0.03, 58],
        [0.04, 76],
    ]
    brow = 100 - loop
    bowl = [[0.25, 96], [0.55, 100], [0.9, 90], [1, 100 - loop / 2], [0.8, brow + 6]]
    close = [[0.5, brow], [0.2, brow + 10], [0.06, brow + between(rng, 14, 28)]]
    line = [top, *stem, *bowl, *close][: 12 if chance(rng, 0.75) else 11]
    return [smooth_line(jittered(rng, line, width))]


def eight(rng: Rng) -> Strokes:
    """An 8 in one stroke that crosses itself, or of two rings."""
    upper, lower = between(rng, 30, 55), between(rng, 36, 68)
    waist = between(rng, 38, 54)
    if chance(rng, 0.3):
        rings = ring(rng, upper, waist, 0.03), ring(rng, lower, 100 - waist, 0.03)
        shift = (lower - upper) / 2 + between(rng, -5, 5)
        return [
            (rings[0] + [shift, 0]).astype(np.float32),
            (rings[1] + [0, waist - between(rng, 0, 3)]).astype(np.float32),
        ]
    a, b = upper / 2, lower / 2
    start = [a * between(rng, 0.6, 1.1), between(rng, 4, 16)]
    left = [[0, 0], [-a, waist * 0.3], [-a * 0.75, waist * 0.68], [0, waist]]
    below = [[b, waist + (100 - waist) * 0.4], [b * 0.85, 90], [0, 100], [-b, 84]]
    back = [[-b * 0.8, waist + (100 - waist) * 0.35], [0, waist + 1]]
    end = [[a * 0.9, waist * 0.65], [a * between(rng, 0.7, 1.2), between(rng, 4, 22)]]
    return [smooth_line(jittered(rng, [start, *left, *below, *back, *end], 1))]


def footed_nine(rng: Rng) -> Strokes:
    """A 9 whose stem curls to the left at its foot."""
    width, height = between(rng, 38, 65), between(rng, 36, 58)
    side = width * between(rng, 0.92, 1.08)
    top = [side, between(rng, 0, 10)]
    down = [[side, 55], [side - width * between(rng, 0, 0.12), 84]]
    curl = [[width * 0.6, 99], [width * 0.25, 100]]
    end = [width * between(rng, -0.15, 0.1), between(rng, 80, 97)]
    bowl = ring(rng, width, height, 0.03).astype(np.float32)
    return [bowl, smooth_line(jittered(rng, [top, *down, *curl, end], 1))]


def open_nine(rng: Rng) -> Strokes:
    """A 9 whose bow does not come back to its stem, in one stroke or in two."""
    width, height = between(rng, 38, 65), between(rng, 36, 58)
    start = between(rng, -1.3, -0.6)
    angles = start - np.linspace(0, between(rng, 4.2, 5.3), 20)
    bow = np.stack([1 + np.cos(angles), 1 + np.sin(angles)], axis=1)
    bow *= [width / 2, height / 2]
    side = width * between(rng, 0.98, 1.12)
    foot = [side - width * between(rng, -0.05, 0.6), 100]
    stem = jittered(rng, [[side, between(rng, -4, 8)], [side, 45], foot], 1)
    return [bow.astype(np.float32), smooth_line(stem)]


def closed_four(rng: Rng) -> Strokes:
    """A 4 whose corner is round or sharp and meets the top of its stem."""
    width, bar = between(rng, 45, 85), between(rng, 48, 72)
    lean = width * between(rng, -0.12, 0.2)
    top = [width * 0.75, between(rng, -3, 5)]
    corner = [[width * 0.05, bar - between(rng, 2, 14)], [width * 0.08, bar]]
    end = [width * between(rng, 0.9, 1.2), bar + between(rng, -6, 4)]
    angle = jittered(rng, [top, *corner, end], 1)
    if chance(rng, 0.5):
        angle = smooth_line(angle)
    foot = [top[0] - lean, 100]
    return [angle, jittered(rng, [[top[0], top[1] - 2], foot], 1)]


# The seven segments of a pocket calculator, as corners from the upper left, row by row,
# and those of each digit; of 6, 7 and 9 there are two forms.
SEGMENTS = {"a": (0, 1), "b": (1, 3), "c": (3, 5), "d": (4, 5), "e": (2, 4)}
SEGMENTS |= {"f": (0, 2), "g": (2, 3)}
STRAIGHT_DIGITS = (
    ("abcdef",),
    ("bc",),
    ("abged",),
    ("abgcd",),
    ("fgbc",),
    ("afgcd",),
    ("afgecd", "fgecd"),
    ("abc", "fabc"),
    ("abcdefg",),
    ("abcdfg", "abcfg"),
)
# How segments meet: in corners, each drawn alone, apart as on a display. The last is
# kept for the evaluation: bowed, in corners that each segment misses in its own way.
STRAIGHT_STYLES, HELD_BACK_STYLE = ("joined", "lifted", "apart"), "wavering"


def straight(rng: Rng, digit: int, style: str) -> Strokes:
    """A digit of straight lines as on a pocket calculator, drawn by hand."""
    width, waist = between(rng, 36, 78), between(rng, 42, 58)
    if style == HELD_BACK_STYLE:
        width, waist = between(rng, 32, 85), between(rng, 38, 60)
    rows = [[0, 0], [1, 0], [0, waist], [1, waist], [0, 100], [1, 100]]
    corners = jittered(rng, rows, width, between(rng, 0.5, 4))
    forms = STRAIGHT_DIGITS[digit]
    short = between(rng, 5, 12) if style == "apart" else 0
    spread = {"joined": 0, "lifted": 3, "apart": 1, HELD_BACK_STYLE: 2.5}[style]
    bow = 2.5 if style == HELD_BACK_STYLE else between(rng, 0, 1.5)
    strokes = []
    for name in forms[rng.integers(len(forms))]:
        start, end = (corners[place] for place in SEGMENTS[name])
        along = (end - start) / np.linalg.norm(end - start)
        ends = np.stack([start + short * along, end - short * along])
        start, end = ends + rng.normal(0, spread, (2, 2))
        steps = np.linspace(0, 1, 24)[:, None]
        aside = np.sin(np.pi * steps) * along[::-1] * [1, -1] * rng.normal(0, bow)
        strokes.append((start + steps * (end - start) + aside).astype(np.float32))
    return strokes


# The digit that each form is, and how often it is drawn.
FORMS = {
    zero: (0, 0.06),
    one: (1, 0.22),
    two: (2, 0.08),
    plain_two: (2, 0.05),
    three: (3, 0.06),
    four: (4, 0.08),
    script_four: (4, 0.06),
    five: (5, 0.08),
    six: (6, 0.05),
    seven: (7, 0.18),
    eight: (8, 0.04),
    nine: (9, 0.05),
    footed_nine: (9, 0.05),
    open_nine: (9, 0.04),
    closed_four: (4, 0.05),
}


def form(rng: Rng) -> tuple[Strokes, int]:
    """The strokes of a digit, and which it is."""
    labels, shares = zip(*FORMS.values(), strict=True)
    number = rng.choice(len(FORMS), p=np.array(shares) / sum(shares))
    return list(FORMS)[number](rng), labels[number]
