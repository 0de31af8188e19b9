"""Ink map → where digits are, by a small fully convolutional network."""

import threading
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from recognition.illumination import (
    View,
    closings,
    enlarge,
    ink_map,
    interior_sample,
    noise_of,
    quantile,
)

WEIGHTS = Path(__file__).parent / "detector.tflite"
# The network answers for every so many pixels, takes sides that are multiples of the
# second, and gives a box as the logarithm of its sides over the last two.
STRIDE, SIDE_STEP, BASE_WIDTH, BASE_HEIGHT = 4, 32, 16, 24
# The ink of strokes: stronger than this, and than so many times the paper's noise. Of
# the strokes' pixels, so many stay below the usual full strength.
LEAST_INK, NOISE_RATIO, FULL_STRENGTH = 0.02, 5, 0.85
# So few pixels above the noise are no strokes; then full ink is at least so strong.
FEWEST_PIXELS, WEAKEST_FULL = 20, 0.05
# Stronger ink than the usual is clipped at this multiple of it.
STRONGEST = 1.5
# A larger map is searched in tiles, which bounds the memory; a digit is whole in one of
# them, as they overlap by more than the network is meant to find.
TILE, OVERLAP = 384, 96
# The least probability that a digit's centre is somewhere.
LEAST_CENTRE = 0.2
# Two detections are the same digit if they share so much of both boxes' union, or of
# the smaller box: parts of one digit lie within it.
SAME_UNION, SAME_SMALLER = 0.4, 0.5

# Left, top, right and bottom, in pixels of the ink map.
Sides = tuple[float, float, float, float]


class Detection(NamedTuple):
    """`box`: where it is; `centre`: the probability of a digit there; `probabilities`:
    float (10,), which digit.
    """

    box: Sides
    centre: float
    probabilities: np.ndarray

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]


def detailed_ink(view: View) -> np.ndarray:
    """The ink map of a view at the resolution of its `grey`."""
    flat = view.grey / enlarge(view.background, view.grey.shape)
    return ink_map(flat, closings(flat)[0])


def detector_input(ink: np.ndarray) -> np.ndarray:
    """Divide ink by its usual strength in strokes: float32 in [0, STRONGEST]."""
    sample = interior_sample(ink)
    base = max(LEAST_INK, NOISE_RATIO * noise_of(sample))
    strong = sample[sample > base]
    is_drawn = strong.size > FEWEST_PIXELS
    full = quantile(strong, FULL_STRENGTH) if is_drawn else max(base, WEAKEST_FULL)
    return np.clip(ink / full, 0, STRONGEST).astype(np.float32)


class Detector:
    """Finds digits; threads may share it."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._interpreter = Interpreter(model_path=str(weights), num_threads=1)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._lock = threading.Lock()

    def find(self, ink: np.ndarray, scale: float) -> list[Detection]:
        """Digits in what `detector_input` made, seen so many times as large."""
        height, width = ink.shape
        size = max(round(width * scale), 8), max(round(height * scale), 8)
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        seen = cv2.resize(ink, size, interpolation=interpolation)
        found = []
        for top in tile_starts(size[1]):
            for left in tile_starts(size[0]):
                tile = seen[top : top + TILE, left : left + TILE]
                found += decoded(self._answer(tile), left, top, scale, ink.shape)
        return suppress(found)

    def _answer(self, tile: np.ndarray) -> np.ndarray:
        """Float (height / STRIDE, width / STRIDE, 15), the logits and the boxes."""
        bottom, right = (-side % SIDE_STEP for side in tile.shape)
        padded = cv2.copyMakeBorder(tile, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
        shape = (1, *padded.shape, 1)
        with self._lock:
            self._interpreter.resize_tensor_input(self._input, shape)
            self._interpreter.allocate_tensors()
            self._interpreter.set_tensor(self._input, padded.reshape(shape))
            self._interpreter.invoke()
            answer: np.ndarray = self._interpreter.get_tensor(self._output)[0]
        return answer


def tile_starts(side: int) -> list[int]:
    """Where tiles begin that cover a side, evenly spaced."""
    if side <= TILE:
        return [0]
    count = -(-(side - OVERLAP) // (TILE - OVERLAP))
    return [round(start) for start in np.linspace(0, side - TILE, count).tolist()]


def decoded(
    answer: np.ndarray, left: int, top: int, scale: float, shape: tuple[int, int]
) -> list[Detection]:
    """The network's answer for a tile → detections in pixels of the ink map."""
    centre = 1 / (1 + np.exp(-answer[..., 0]))
    is_peak = cv2.dilate(centre, np.ones((3, 3), np.uint8)) <= centre
    found = []
    for row, column in np.argwhere(is_peak & (centre > LEAST_CENTRE)):
        values = answer[row, column].astype(float)
        odds = np.exp(values[1:11] - values[1:11].max())
        x = left + STRIDE * (column + 0.5 + values[11])
        y = top + STRIDE * (row + 0.5 + values[12])
        width, height = np.exp(np.minimum(values[13:], 4)) * (BASE_WIDTH, BASE_HEIGHT)
        box = (
            max((x - width / 2) / scale, 0.0),
            max((y - height / 2) / scale, 0.0),
            min((x + width / 2) / scale, shape[1]),
            min((y + height / 2) / scale, shape[0]),
        )
        if box[2] - box[0] > 1 and box[3] - box[1] > 1:
            found.append(Detection(box, float(centre[row, column]), odds / odds.sum()))
    return found


def suppress(found: list[Detection]) -> list[Detection]:
    """Of several detections of the same digit only the surest."""
    found = sorted(found, key=lambda each: -each.centre)
    boxes = np.array([each.box for each in found]).reshape(-1, 4)
    is_left = np.ones(len(found), bool)
    for place in range(len(found)):
        if is_left[place]:
            is_left[place + 1 :] &= ~are_same(boxes[place], boxes[place + 1 :])
    return [each for each, left in zip(found, is_left, strict=True) if left]


def are_same(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether boxes, (n, 4), show the digit of a box, (4,): bool (n,)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    area = (box[2:] - box[:2]).prod()
    is_same: np.ndarray = shared > SAME_UNION * (area + areas - shared)
    is_same |= shared > SAME_SMALLER * np.minimum(area, areas)
    return is_same
