"""Pen strokes of the signs that stand between digits: + - x : = # * , . ( ) $ %.

The unit is that of training/forms.py: a hundredth of the sign's height.
"""

import numpy as np

from training.draw import Rng, between, chance
from training.forms import Strokes


def line(rng: Rng, start: tuple, end: tuple, spread: float = 4) -> np.ndarray:
    """A hand-drawn straight line between points in [0, 1]."""
    steps = np.linspace(0, 1, 4)[:, None]
    points = 100 * (np.array(start) * (1 - steps) + np.array(end) * steps)
    return (points + rng.normal(0, spread, points.shape)).astype(np.float32)


def ring(x: float, y: float, radius: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 10)
    points = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1)
    return (100 * points).astype(np.float32)


def plus(rng: Rng) -> Strokes:
    return [line(rng, (0, 0.5), (1, 0.5)), line(rng, (0.5, 0), (0.5, 1))]


def times(rng: Rng) -> Strokes:
    return [line(rng, (0, 0), (1, 1)), line(rng, (1, 0), (0, 1))]


def minus(rng: Rng) -> Strokes:
    return [line(rng, (0, 0.5), (1, 0.5), 2)]


def equals(rng: Rng) -> Strokes:
    return [line(rng, (0, 0.3), (1, 0.3), 2), line(rng, (0, 0.7), (1, 0.7), 2)]


def divide(rng: Rng) -> Strokes:
    return [
        line(rng, (0, 0.5), (1, 0.5), 2),
        ring(0.5, 0.1, 0.05),
        ring(0.5, 0.9, 0.05),
    ]


def number_sign(rng: Rng) -> Strokes:
    upright = [line(rng, (x, 0), (x - 0.05, 1)) for x in (0.35, 0.7)]
    return upright + [line(rng, (0, y), (1, y - 0.03)) for y in (0.35, 0.68)]


def star(rng: Rng) -> Strokes:
    return [*times(rng), line(rng, (0.5, 0), (0.5, 1))]


def comma(rng: Rng) -> Strokes:
    return [line(rng, (0.6, 0), (0.4, 1))]


def point(rng: Rng) -> Strokes:
    return [ring(0.5, 0.5, between(rng, 0.2, 0.45))]


def colon(rng: Rng) -> Strokes:
    return [ring(0.5, 0.05, 0.06), ring(0.5, 0.95, 0.06)]


def bracket(rng: Rng) -> Strokes:
    side = 1 if chance(rng, 0.5) else -1
    points = [[side * 20, 0], [0, 25], [-side * 3, 50], [0, 75], [side * 20, 100]]
    return [np.array(points, np.float32)]


def dollar(rng: Rng) -> Strokes:
    bows = [[0.9, 0.2], [0.5, 0.08], [0.1, 0.28], [0.5, 0.5], [0.9, 0.72], [0.5, 0.92]]
    curve = 100 * np.array([*bows, [0.08, 0.8]], np.float32)
    return [curve, line(rng, (0.5, -0.08), (0.5, 1.08), 2)]


def percent(rng: Rng) -> Strokes:
    return [line(rng, (0.9, 0), (0.1, 1)), ring(0.15, 0.2, 0.15), ring(0.85, 0.8, 0.15)]


def scrawl(rng: Rng) -> Strokes:
    steps = rng.normal(0, 25, (int(rng.integers(5, 14)), 2))
    return [np.cumsum(steps, axis=0).astype(np.float32)]


# How often each is drawn, its longer side over the height of the digits beside it, from
# and to, and how far below their middle it stands.
SIGNS = {
    plus: (0.2, 0.4, 0.85, 0),
    times: (0.14, 0.35, 0.8, 0),
    minus: (0.14, 0.3, 0.8, 0),
    equals: (0.1, 0.3, 0.75, 0),
    divide: (0.05, 0.35, 0.8, 0),
    number_sign: (0.06, 0.7, 1.1, 0),
    star: (0.03, 0.4, 0.9, 0),
    comma: (0.05, 0.15, 0.35, 0.45),
    point: (0.06, 0.05, 0.2, 0.42),
    colon: (0.03, 0.4, 0.7, 0),
    bracket: (0.04, 0.9, 1.4, 0),
    dollar: (0.05, 0.9, 1.3, 0),
    percent: (0.02, 0.8, 1.1, 0),
    scrawl: (0.03, 0.5, 1.4, 0),
}


def sign(rng: Rng) -> tuple[Strokes, float, float]:
    """Strokes, and height and drop relative to the digits beside it."""
    shares = np.array([share for share, *_ in SIGNS.values()])
    kind = list(SIGNS)[rng.choice(len(SIGNS), p=shares / shares.sum())]
    _, low, high, drop = SIGNS[kind]
    return kind(rng), between(rng, low, high), drop
