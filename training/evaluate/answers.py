"""Ask the service's model about many pictures: prepared side by side, read in batches.

It is the same path as that of a request, `prepare` and `FORWARD`.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from app import FORWARD
from training.data import Sample
from training.evaluate.inputs import Change, as_it_is, changed_input

BATCH = 64
# Inputs that may wait for the model; one is 150 KB.
WAITING = 16 * BATCH
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
    given = []
    with tqdm(total=len(samples), desc=title, leave=False, unit=" pictures") as bar:
        for batch in batches(pool, samples, change):
            asked, inputs = zip(*batch, strict=True)
            given += map(Answer, asked, FORWARD(tf.constant(np.stack(inputs))).numpy())
            bar.update(len(batch))
    return given


def batches(pool: Executor, samples: list[Sample], change: Change) -> Iterator[list]:
    job = partial(changed_input, change)
    for start in range(0, len(samples), WAITING):
        some = samples[start : start + WAITING]
        numbers = range(start, start + len(some))
        inputs = list(pool.map(job, some, numbers, chunksize=CHUNK))
        yield from (inputs[i : i + BATCH] for i in range(0, len(inputs), BATCH))


def labels_and_probabilities(given: list[Answer]) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array([answer.sample.label for answer in given])
    return labels, np.stack([answer.probabilities for answer in given])
