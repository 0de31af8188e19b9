"""Keras model → fast forward pass; the answers to several views pooled."""

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np

from recognition.decoding import (
    OpenedImage,
    Picture,
    Size,
    decode_opened,
    decode_resized,
    fraction_of,
    open_image,
    to_uint8,
)
from recognition.detection import Detector
from recognition.framing import (
    INPUT_HEIGHT,
    INPUT_WIDTH,
    PREPARED_INK,
    Finding,
    ModelInput,
    findings,
)
from recognition.localization import Box
from recognition.model import (
    UnfitModel,
    are_probabilities,
    choose_forward_pass,
    keras,
)
from recognition.numbers import (
    MAX_DIGITS,
    Digit,
    main_digit,
    may_show_several,
    ranking,
    read_digits,
    text_of,
)
from recognition.samples import as_png, page, trial_pictures

# Below this best probability the other views of a picture count too.
CONFIDENCE_THRESHOLD = 0.97
# The weight of each view. The sum is above 1, as several views that agree are surer
# than each of them is.
VIEW_WEIGHTS = np.array([[0.35], [0.35], [0.2], [0.2]])
# No view alone rules a digit out.
PROBABILITY_FLOOR = 1e-9
# By how much weights rounded to 8 bits may change a probability on trial. Our model was
# measured with them; they move what it is unsure of, as most blends of two digits, by
# some percent. Others are held to a fifth of TOLERANCE, as real pictures may be moved
# further than those drawn here.
INK_TOLERANCE, RESIZED_TOLERANCE = 0.15, 0.001
# A JPEG that is plainly resized is decoded to at least so many times the model's input:
# Pillow's resize then gives the same to a grey level.
DRAFT_FACTOR = 4
# More than the pictures have on which a model is tried.
SAMPLE_PIXELS = 10**6

# What it takes is what the stage before it returns.
Stage = Callable[[Any], Any]


class Prepared(NamedTuple):
    """A picture as the likeliest input of the model, and other views of it.

    `picture` is None if the model is not one for prepared ink.
    """

    first: Finding
    others: Iterator[Finding]
    format: str
    picture: Picture | None


class Recognition(NamedTuple):
    """`probabilities`: float (10,); `pixels`: the model's input that shows the digit
    most clearly, float32 (height, width, channels); `box`: where in the upright picture
    that is, None for the whole of it; `format`: "JPEG" or "PNG"; `digits`: all of the
    picture in reading order; `is_truncated`: whether it shows more than these.
    """

    probabilities: np.ndarray
    pixels: np.ndarray
    box: Box | None
    format: str
    digits: list[Digit]
    is_truncated: bool = False

    @property
    def text(self) -> str:
        return text_of(self.digits)

    def ranking(self) -> list[tuple[int, float]]:
        """Each digit and its probability in percent, the most probable first."""
        return ranking(self.probabilities)

    def input_png(self) -> bytes:
        """What the model saw, grey or in colour as its input is."""
        pixels = to_uint8(255 * self.pixels)
        return as_png(pixels if pixels.shape[2] == 3 else pixels[..., 0])


class Preparation(NamedTuple):
    """How pictures become inputs of a model.

    `decoded_size`: the size that a JPEG of a size is decoded to, at least; `stages`:
    from an opened image to Prepared, one after the other.
    """

    name: str
    decoded_size: Callable[[Size], Size]
    stages: tuple[Stage, ...]
    tolerance: float


def preparation_of(model: keras.Model) -> Preparation:
    """Ours for our models, for all others what the tutorial did. Raises UnfitModel."""
    height, width, channels = model.inputs[0].shape[1:]
    if model.inputs[0].name == PREPARED_INK:
        if (height, width, channels) != (INPUT_HEIGHT, INPUT_WIDTH, 3):
            raise UnfitModel(f"Prepared ink is not {(height, width, channels)}")
        ours = decode_opened, prepare
        return Preparation("prepared ink", fraction_of, ours, INK_TOLERANCE)
    side = DRAFT_FACTOR * max(height, width)
    stages = (partial(prepare_resized, size=(width, height), channels=channels),)
    tolerance = RESIZED_TOLERANCE
    return Preparation("plain resize", lambda _: (side, side), stages, tolerance)


def prepare(picture: Picture) -> Prepared:
    found = findings(picture)
    return Prepared(next(found), found, picture.format, picture)


def prepare_resized(opened: OpenedImage, size: Size, channels: int) -> Prepared:
    """The whole picture at a size (width, height). Raises InvalidImage."""
    pixels = decode_resized(opened, size, "L" if channels == 1 else "RGB")
    scaled = pixels.reshape(*size[::-1], channels) / np.float32(255)
    whole = Finding(None, 0, ModelInput(scaled, None))
    return Prepared(whole, iter(()), opened.format, None)


class Recogniser:
    """A Keras model that reads pictures; threads may share it.

    `forward_pass`: the name of what runs it. Raises UnfitModel.
    """

    def __init__(self, model: keras.Model) -> None:
        self.preparation = preparation_of(model)
        self.stages = (*self.preparation.stages, self.predict)
        # A forward pass may take only one picture at a time.
        self._lock = threading.Lock()
        self._detector = Detector()
        pictures = [self.open(data, SAMPLE_PIXELS) for data in trial_pictures()]
        prepared = [run(self.preparation.stages, opened) for opened in pictures]
        inputs = np.stack([each.first.input.pixels for each in prepared])
        self.forward_pass, self._forward = choose_forward_pass(
            model, inputs, self.preparation.tolerance
        )

    def is_working(self) -> bool:
        """Whether a picture, from its bytes on, gets probabilities."""
        answer = self.recognise(as_png(page("7")), SAMPLE_PIXELS)
        return are_probabilities(answer.probabilities[np.newaxis])

    def open(self, data: bytes, max_pixels: int) -> OpenedImage:
        """Raises TooLarge, going by the header, and InvalidImage."""
        return open_image(data, max_pixels, self.preparation.decoded_size)

    def recognise(self, data: bytes, max_pixels: int) -> Recognition:
        """Read the bytes of a JPEG or PNG. Raises InvalidImage."""
        recognition: Recognition = run(self.stages, self.open(data, max_pixels))
        return recognition

    def predict(self, prepared: Prepared) -> Recognition:
        probabilities, clearest = self._single(prepared)
        pixels, box = clearest.input
        answer = Digit(probabilities, box)
        digits = self._several(prepared, clearest, answer)
        if not digits and answer.is_legible:
            digits = [answer]
        elif digits and prepared.picture and not answer.is_legible:
            probabilities, box, _ = main_digit(
                digits[:MAX_DIGITS], prepared.picture.size
            )
        shown, is_truncated = digits[:MAX_DIGITS], len(digits) > MAX_DIGITS
        return Recognition(
            probabilities, pixels, box, prepared.format, shown, is_truncated
        )

    def _single(self, prepared: Prepared) -> tuple[np.ndarray, Finding]:
        """The probabilities of one digit, and where it is seen most clearly."""
        found = [prepared.first]
        answers = [self.classify(prepared.first.input.pixels)]
        if answers[0].max() < CONFIDENCE_THRESHOLD:
            # Ink may have been taken for paper, or shade for ink.
            found += prepared.others
            answers += [self.classify(each.input.pixels) for each in found[1:]]
        if len(found) == 1:
            return answers[0], found[0]
        probabilities = pool(np.array(answers))
        return probabilities, found[np.argmax(answers, axis=0)[probabilities.argmax()]]

    def _several(
        self, prepared: Prepared, clearest: Finding, answer: Digit
    ) -> list[Digit]:
        picture, first = prepared.picture, prepared.first
        if not picture or not may_show_several(picture, first, answer):
            return []
        seen = [first] if clearest.view is first.view else [first, clearest]
        views = [each.view for each in seen if each.view]
        return read_digits(picture, views, answer, self._detector, self.classify)

    def classify(self, pixels: np.ndarray) -> np.ndarray:
        """A model's input, float32 (height, width, channels) in [0, 1] → the
        probabilities (10,).
        """
        with self._lock:
            return self._forward(pixels)


def run(stages: Iterable[Stage], value: Any) -> Any:
    return reduce(lambda value, stage: stage(value), stages, value)


def pool(answers: np.ndarray) -> np.ndarray:
    """The probabilities by each view, (4, 10), → those by all of them, (10,).

    A logarithmic opinion pool (Genest & Zidek 1986).
    """
    product = np.prod(np.maximum(answers, PROBABILITY_FLOOR) ** VIEW_WEIGHTS, axis=0)
    pooled: np.ndarray = product / product.sum()
    return pooled
