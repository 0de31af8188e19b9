"""What the evaluation promises to those who read its tables."""

import numpy as np
import pytest
from pictures import RESOURCES
from PIL import Image

from training.evaluate.corruptions import CORRUPTIONS, corrupt

DIGIT = min((RESOURCES / "mnist_sample" / "3").iterdir())


@pytest.fixture
def digit():
    return np.asarray(Image.open(DIGIT))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_the_picture_the_same_way_each_time(name, digit):
    first, again = (corrupt(name, digit, 3) for _ in range(2))
    assert (first.shape, first.dtype) == (digit.shape, digit.dtype)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, digit)
