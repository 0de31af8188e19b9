"""Cut digits out of composed pages, as numbers.py cuts out what the detector finds."""

import numpy as np

from recognition.detection import Detection
from recognition.framing import normalise
from recognition.numbers import crop, without_neighbours
from training.draw import Rng
from training.glyphs import Bank
from training.layouts import IGNORED, LAYOUTS, choose
from training.pages import SHAPES, view_of

# Pages with digits, and how often each is cut from.
KINDS = {"rows": 0.3, "row": 0.2, "tight": 0.5}
# The detector's boxes are off by this share of their sides: a standard deviation.
DEVIATION = 0.05


def digit_of_page(rng: Rng, bank: Bank) -> tuple[np.ndarray, int]:
    """An input of the model, float32 (140, 90, 3), and its label."""
    while True:
        sheet = LAYOUTS[choose(rng, KINDS)](rng, bank, *choose(rng, SHAPES))
        digits = [box for box in sheet.boxes if box[4] != IGNORED]
        ink = view_of(rng, sheet) if digits else None
        if ink is None:
            continue
        *sides, label = digits[rng.integers(len(digits))]
        box = moved(rng, np.array(sides), ink.shape)
        found = Detection(tuple(box.tolist()), 1, np.empty(0))
        return normalise(without_neighbours(crop(ink, found))), label


def moved(rng: Rng, box: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A box as the detector might give it, within a map of that shape."""
    size = np.tile(box[2:] - box[:2], 2)
    box = box + DEVIATION * size * rng.standard_normal(4)
    return np.clip(box, 0, np.tile(shape[::-1], 2))
