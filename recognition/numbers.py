"""Every digit of a picture, in reading order: numbers, rows, columns, sheets.

The detector says where digits are, at two sizes of the picture; the model that reads
single digits says which, and whether it is one.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import cv2
import numpy as np

from recognition.decoding import DETAIL_SIDE, Picture, Size, decode_larger
from recognition.detection import (
    Detection,
    Detector,
    Sides,
    detailed_ink,
    detector_input,
)
from recognition.framing import Finding, normalise
from recognition.illumination import View, candidate_views, quantile
from recognition.localization import Box

# More digits than this are left out.
MAX_DIGITS = 200
# Below this probability a digit is not legible, and this sign stands for it.
LEGIBLE, ILLEGIBLE = 0.5, "?"

# A picture may show several digits if something beside the one that was found has such
# a share of its score, if the box is wider than so many times its height, or if the
# answer is less certain than this. Smaller pictures, in pixels, are too coarse.
RIVAL_SHARE, WIDE_RATIO, SURE, SMALLEST_PICTURE = 0.003, 1.0, 0.9, 36

# The first look is at about so many pixels, at most so many on a side; the second at
# the size at which a usual digit is so high, unless it was nearly so already.
FIRST_PIXELS, FIRST_SIDE = 208 * 208, 640
SECOND_HEIGHT, NEARLY = 36, (0.75, 1.35)
# The classifier needs digits of this height, and a picture is decoded once more with at
# most so many pixels on a side if they are much smaller.
CLASSIFIED_HEIGHT, LARGEST_SIDE = 40, 1_400
# Where nothing is found, digits are taken to be as high as the likeliest place of one,
# if that has at most such a share of the picture's height; else so many pixels of the
# first ink map.
SHEET_SHARE, TINY = 0.5, 8

# If a single digit was read surely, one of several must be within its box and have more
# than this share of its height.
MOST_OF_HEIGHT = 0.6

# A picture whose sides have a larger ratio than this is a strip: its light is estimated
# in parts of such a ratio, and its shorter side has so many pixels if it can.
STRIP_RATIO, STRIP_SIDE = 4, 90
# In a longer strip no digit would have enough of LARGEST_SIDE.
LONGEST_STRIP = 100

# A digit's score: the exponents of the probability that it is there, and of which digit
# it is by the detector, which is often sure of another one, and by the classifier.
THERE_WEIGHT, DETECTED_WEIGHT, CLASSIFIED_WEIGHT, LEAST_DETECTED = 0.7, 0.2, 0.35, 0.1
# The least score of a digit, also as a share of the best one's, and the least mean of
# all: letters and textures resemble some digit a little. Detections that are less
# likely than such a share of the likeliest are left out before.
LEAST_SCORE, LEAST_OF_BEST, USUAL_SCORE, LEAST_SHARE = 0.3, 0.4, 0.5, 0.3
# Which digit: the weights of detector and classifier in a logarithmic opinion pool, and
# the floor by which neither rules a digit out.
DETECTOR_WEIGHT, CLASSIFIER_WEIGHT, FLOOR = 0.5, 0.5, 1e-3
# Much lower or higher than the usual digit is none.
LOWEST, HIGHEST = 0.35, 2.6

# The margin around a detected box that the classifier sees, over its longer side. Ink
# above this share of the strongest is a stroke, and one that touches the border of the
# crop and has less than this share of the largest one's pixels is a neighbour's.
CROP_MARGIN, STROKE_INK, STRONGEST, NEIGHBOUR_SHARE = 0.06, 0.35, 0.97, 0.35
# A digit continues a row if one of the last ones of it shares this much of its height,
# less by this much for each usual height between them.
RECENT, SHARED_HEIGHT, LESS_PER_GAP = 3, 0.15, 0.04

Classify = Callable[[np.ndarray], np.ndarray]


class Digit(NamedTuple):
    """`probabilities`: float (10,); `box`: in pixels of the upright picture, None for
    the whole of it; `row`: its number, from the top.
    """

    probabilities: np.ndarray
    box: Box | None
    row: int = 0

    @property
    def label(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def percent(self) -> float:
        return round(100 * float(self.probabilities.max()), 2)

    @property
    def is_legible(self) -> bool:
        return bool(self.probabilities.max() >= LEGIBLE)


def ranking(probabilities: np.ndarray) -> list[tuple[int, float]]:
    """Each digit and its probability in percent, the most probable first."""
    order = np.argsort(-probabilities, kind="stable").tolist()
    percent = (100 * probabilities.astype(float)).tolist()
    return [(digit, round(percent[digit], 2)) for digit in order]


def main_digit(digits: list[Digit], size: Size) -> Digit:
    """The largest near the centre of the picture."""

    def prominence(digit: Digit) -> float:
        if digit.box is None:
            return 0
        x = (digit.box.x + digit.box.width / 2) / size[0] - 0.5
        y = (digit.box.y + digit.box.height / 2) / size[1] - 0.5
        return digit.box.height * (1 - max(abs(x), abs(y)))

    return max(digits, key=prominence)


def text_of(digits: list[Digit]) -> str:
    """Rows separated by newlines, ILLEGIBLE for what is not legible."""
    rows: dict[int, str] = {}
    for digit in digits:
        sign = str(digit.label) if digit.is_legible else ILLEGIBLE
        rows[digit.row] = rows.get(digit.row, "") + sign
    return "\n".join(rows.values())


def may_show_several(picture: Picture, finding: Finding, answer: Digit) -> bool:
    """Whether the detector is to look at it: a cheap guess, which may be wrong."""
    longer, shorter = max(picture.size), min(picture.size)
    if longer < SMALLEST_PICTURE or longer > LONGEST_STRIP * shorter:
        return False
    if finding.rival > RIVAL_SHARE or answer.probabilities.max() < SURE:
        return True
    if is_strip(picture.size):  # the search for one digit passes over its ends
        return True
    box = answer.box
    return box is None or box.width > WIDE_RATIO * box.height


def is_strip(size: Size) -> bool:
    return max(size) > STRIP_RATIO * min(size)


def read_digits(
    picture: Picture,
    views: Iterable[View],
    answer: Digit,
    detector: Detector,
    classify: Classify,
) -> list[Digit]:
    """All digits in reading order, some more than MAX_DIGITS at most; none unless there
    are several, or one in a strip.

    `views`: tried until there are; `answer`: that of a single digit.
    """
    for view in views:
        ink, found = find_digits(picture, view, answer.box, detector)
        digits = read_found(ink, found, picture.size, classify)
        if len(digits) > 1 or (digits and is_strip(picture.size)):
            return digits if includes(digits, answer, picture.size) else []
    return []


def includes(digits: list[Digit], answer: Digit, size: Size) -> bool:
    """Whether a sure answer is among them: else they are small things around it."""
    if answer.probabilities.max() < SURE:
        return True
    whole = answer.box or Box(0, 0, *size)
    boxes = [digit.box for digit in digits if digit.box]
    return any(is_most_of(whole, box) for box in boxes)


def is_most_of(whole: Box, part: Box) -> bool:
    x, y = part.x + part.width / 2 - whole.x, part.y + part.height / 2 - whole.y
    is_within = 0 <= x <= whole.width and 0 <= y <= whole.height
    return is_within and part.height > MOST_OF_HEIGHT * whole.height


def read_found(
    ink: np.ndarray, found: list[Detection], size: Size, classify: Classify
) -> list[Digit]:
    """Those of the detections that are digits; none if they are all rather unclear."""
    scale = max(size) / max(ink.shape)
    digits, scores = [], []
    for number, row in enumerate(rows_of(found)):
        for detection in row:
            probabilities, score = read_digit(ink, detection, classify)
            if score > LEAST_SCORE:
                box = as_box(detection, scale, size)
                digits.append(Digit(probabilities, box, number))
                scores.append(score)
        # Enough, even if half of them are left out below.
        if len(digits) > 2 * MAX_DIGITS:
            break
    least = LEAST_OF_BEST * max(scores, default=0)
    digits = [d for d, score in zip(digits, scores, strict=True) if score > least]
    scores = [score for score in scores if score > least]
    return digits if digits and np.mean(scores) > USUAL_SCORE else []


def find_digits(
    picture: Picture, view: View, likeliest: Box | None, detector: Detector
) -> tuple[np.ndarray, list[Detection]]:
    """The ink map that shows the digits well, and where on it they are."""
    ink = strip_ink(picture) if is_strip(picture.size) else detailed_ink(view)
    seen = detector_input(ink)
    first = min(np.sqrt(FIRST_PIXELS / ink.size), FIRST_SIDE / max(ink.shape))
    found = plausible(detector.find(seen, first))
    usual: float = TINY
    if found:
        usual = usual_height(found)
    elif likeliest and likeliest.height < SHEET_SHARE * picture.size[1]:
        usual = max(TINY, likeliest.height * max(ink.shape) / max(picture.size))
    second, larger = SECOND_HEIGHT / usual, 1.0
    longest = min(LARGEST_SIDE, round(max(ink.shape) * CLASSIFIED_HEIGHT / usual))
    if not is_strip(picture.size) and min(longest, max(picture.size)) > NEARLY[1] * max(
        ink.shape
    ):
        pixels = decode_larger(picture, longest)
        larger = max(pixels.shape) / max(ink.shape)
        ink = detailed_ink(next(candidate_views(pixels)))
        seen = detector_input(ink)
    if found and NEARLY[0] < second / first < NEARLY[1]:
        return ink, [enlarged(each, larger) for each in found]
    return ink, plausible(detector.find(seen, second / larger))


def strip_ink(picture: Picture) -> np.ndarray:
    """The ink map of a long strip, estimated in parts that are not so long."""
    ratio = max(picture.size) / min(picture.size)
    longest = min(LARGEST_SIDE, max(DETAIL_SIDE, round(STRIP_SIDE * ratio)))
    pixels = decode_larger(picture, longest)
    axis = int(pixels.shape[1] > pixels.shape[0])
    parts = np.array_split(pixels, int(np.ceil(ratio / STRIP_RATIO)), axis)
    inks = [detailed_ink(next(candidate_views(part))) for part in parts]
    return np.concatenate(inks, axis)


def usual_height(found: list[Detection]) -> float:
    return float(np.median([each.height for each in found]))


def plausible(found: list[Detection]) -> list[Detection]:
    """Without what is far less sure or of another size than the others."""
    if not found:
        return []
    best = max(each.centre for each in found)
    found = [each for each in found if each.centre > LEAST_SHARE * best]
    usual = usual_height(found)
    return [each for each in found if LOWEST * usual < each.height < HIGHEST * usual]


def enlarged(detection: Detection, factor: float) -> Detection:
    left, top, right, bottom = (factor * side for side in detection.box)
    return detection._replace(box=(left, top, right, bottom))


def read_digit(
    ink: np.ndarray, detection: Detection, classify: Classify
) -> tuple[np.ndarray, float]:
    """The probabilities (10,), and how certain it is that there is a digit."""
    by_classifier = classify(normalise(without_neighbours(crop(ink, detection))))
    by_detector = detection.probabilities
    product = np.maximum(by_detector, FLOOR) ** DETECTOR_WEIGHT
    product *= np.maximum(by_classifier, FLOOR) ** CLASSIFIER_WEIGHT
    digit = product.argmax()
    score = detection.centre**THERE_WEIGHT
    score *= max(by_detector[digit], LEAST_DETECTED) ** DETECTED_WEIGHT
    score *= by_classifier[digit] ** CLASSIFIED_WEIGHT
    return product / product.sum(), score


def crop(ink: np.ndarray, detection: Detection) -> np.ndarray:
    left, top, right, bottom = detection.box
    margin = CROP_MARGIN * max(right - left, bottom - top)
    rows = slice(int(max(top - margin, 0)), int(np.ceil(bottom + margin)))
    return ink[rows, int(max(left - margin, 0)) : int(np.ceil(right + margin))]


def without_neighbours(ink: np.ndarray) -> np.ndarray:
    """A crop without the parts of other digits that reach into it."""
    mask = (ink > STROKE_INK * quantile(ink, STRONGEST)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 2:
        return ink
    largest = stats[1:, cv2.CC_STAT_AREA].max()
    height, width = ink.shape
    removed = np.zeros(count, np.uint8)
    for label, (x, y, wide, tall, area) in enumerate(stats[1:].tolist(), 1):
        touches = x == 0 or y == 0 or x + wide == width or y + tall == height
        removed[label] = touches and area < NEIGHBOUR_SHARE * largest
    around = cv2.dilate(removed[labels], np.ones((3, 3), np.uint8))
    return np.where(around, np.float32(0), ink)


def as_box(detection: Detection, scale: float, size: Size) -> Box:
    """A detection in pixels of the upright picture."""
    left, top, right, bottom = (scale * side for side in detection.box)
    x, y = min(round(left), size[0] - 1), min(round(top), size[1] - 1)
    return Box(
        x,
        y,
        max(min(round(right), size[0]) - x, 1),
        max(min(round(bottom), size[1]) - y, 1),
    )


def rows_of(found: list[Detection]) -> list[list[Detection]]:
    """Rows from top to bottom, each from left to right; they may be slanted."""
    rows: list[list[Detection]] = []
    usual = usual_height(found) if found else 0
    for detection in sorted(found, key=lambda each: each.box[0]):
        overlaps = [
            max(continuation(last.box, detection.box, usual) for last in row[-RECENT:])
            for row in rows
        ]
        best = max(overlaps, default=0)
        if best > SHARED_HEIGHT:
            rows[overlaps.index(best)].append(detection)
        else:
            rows.append([detection])
    return sorted(rows, key=middle)


def middle(row: list[Detection]) -> float:
    return float(np.mean([each.box[1] + each.box[3] for each in row]))


def continuation(last: Sides, box: Sides, usual: float) -> float:
    """How much of their heights two boxes share, less for the gap between them."""
    shared = min(last[3], box[3]) - max(last[1], box[1])
    lower = min(last[3] - last[1], box[3] - box[1])
    return shared / lower - LESS_PER_GAP * max(0, box[0] - last[2]) / usual
