"""Ask the service's model about many pictures, which are prepared side by side.

It is the same path as that of a request, `prepare` and `classify`.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from app import classify
from training.data import Sample
from training.evaluate.inputs import Change, as_it_is, changed_input

# Inputs that may wait for the model; one is 150 KB.
WAITING = 1024
CHUNK = 16


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


def answers(
    pool: Executor, samples: list[Sample], title: str, change: Change = as_it_is
) -> list[Answer]:
    """`change` is made to the bytes of every picture before it is prepared."""
    return list(tqdm(read(pool, samples, change), title, len(samples), leave=False))


def read(pool: Executor, samples: list[Sample], change: Change) -> Iterator[Answer]:
    job = partial(changed_input, change)
    for start in range(0, len(samples), WAITING):
        some = samples[start : start + WAITING]
        numbers = range(start, start + len(some))
        for sample, pixels in pool.map(job, some, numbers, chunksize=CHUNK):
            yield Answer(sample, classify(pixels))


def labels_and_probabilities(given: list[Answer]) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array([answer.sample.label for answer in given])
    return labels, np.stack([answer.probabilities for answer in given])
