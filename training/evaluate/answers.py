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
from training.data import Sample

MODEL_FILE = Path(__file__).parents[2] / "model.keras"
MODEL = load_model(MODEL_FILE)
RECOGNISER = Recogniser(MODEL)
MAX_PIXELS = 2**31

CHUNK = 16
# The bytes of a picture and its number in the set → the bytes of another.
Change = Callable[[bytes, int], bytes]


class Answer(NamedTuple):
    sample: Sample
    probabilities: np.ndarray

    @property
    def read_as(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def best(self) -> float:
        return float(self.probabilities.max())

    @property
    def is_right(self) -> bool:
        return self.read_as == self.sample.label


def as_it_is(data: bytes, _number: int) -> bytes:
    return data


def answer(change: Change, sample: Sample, number: int) -> Answer:
    """The service's answer to the picture after the change."""
    sample = sample._replace(content=change(sample.content, number))
    recognition = RECOGNISER.recognise(sample.content, MAX_PIXELS)
    return Answer(sample, recognition.probabilities)


def answers(
    pool: Executor, samples: list[Sample], title: str, change: Change = as_it_is
) -> list[Answer]:
    jobs = pool.map(
        partial(answer, change), samples, range(len(samples)), chunksize=CHUNK
    )
    return list(tqdm(jobs, title, len(samples), leave=False, unit=" pictures"))


def labels_and_probabilities(given: list[Answer]) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array([answer.sample.label for answer in given])
    return labels, np.stack([answer.probabilities for answer in given])
