"""Pictures → the model's input, in processes that do without TensorFlow."""

from collections.abc import Callable

import numpy as np

from preprocessing import prepare
from training.data import Sample

# The bytes of a picture and its number in the set → the bytes of another.
Change = Callable[[bytes, int], bytes]


def as_it_is(data: bytes, _number: int) -> bytes:
    return data


def changed_input(
    change: Change, sample: Sample, number: int
) -> tuple[Sample, np.ndarray]:
    """The sample with its picture changed, and the model's input for it."""
    sample = sample._replace(content=change(sample.content, number))
    return sample, prepare(sample.content).pixels
