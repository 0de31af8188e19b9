"""Recognise many pictures in parallel, by the functions that answer a request."""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from recognition.inference import Recogniser
from recognition.model import load_model
from recognition.numbers import ILLEGIBLE
from training.data import Sample
from training.evaluate.numbers import Number, flat

MODEL_FILE = Path(__file__).parents[2] / "model.keras"
MODEL = load_model(MODEL_FILE)
RECOGNISER = Recogniser(MODEL)
MAX_PIXELS = 2**31

CHUNK = 16
# The bytes of a picture and its number in the set → the bytes of another.
Change = Callable[[bytes, int], bytes]


class Answer(NamedTuple):
    """`text`: all digits of the picture; `confidences`: the probability of each."""

    sample: Sample | Number
    probabilities: np.ndarray
    text: str
    confidences: list[float]

    @property
    def read_as(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def best(self) -> float:
        return float(self.probabilities.max())

    @property
    def is_right(self) -> bool:
        return self.read_as == self.sample.label

    @property
    def shows_digit(self) -> bool:
        """Whether any digit was read."""
        return bool(flat(self.text).strip(ILLEGIBLE))

    @property
    def shows_several(self) -> bool:
        return len(self.confidences) > 1


def as_it_is(data: bytes, _number: int) -> bytes:
    return data


def answer(change: Change, sample: Sample | Number, number: int) -> Answer:
    """The service's answer to the picture after the change."""
    sample = sample._replace(content=change(sample.content, number))
    recognition = RECOGNISER.recognise(sample.content, MAX_PIXELS)
    confidences = [float(digit.probabilities.max()) for digit in recognition.digits]
    return Answer(sample, recognition.probabilities, recognition.text, confidences)


def answers(
    pool: Executor,
    samples: list[Sample] | list[Number],
    title: str,
    change: Change = as_it_is,
) -> list[Answer]:
    jobs = pool.map(
        partial(answer, change), samples, range(len(samples)), chunksize=CHUNK
    )
    return list(tqdm(jobs, title, len(samples), leave=False, unit=" pictures"))


def labels_and_probabilities(given: list[Answer]) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array([answer.sample.label for answer in given])
    return labels, np.stack([answer.probabilities for answer in given])
