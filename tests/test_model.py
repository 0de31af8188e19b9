"""The accuracy of the shipped model on real digits."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pictures import RESOURCES, as_bytes
from PIL import Image

import app as service
from recognition.decoding import decode
from recognition.inference import prepare
from training.evaluate import packaging

# Pictures of the set that may be read wrong.
MOST_WRONG = {"photos_mit": 4, "mnist_sample": 1, "optdigits_sample": 3}
# Of the 117 photos when each lies on a larger page.
MOST_WRONG_ON_A_PAGE = 15


def probabilities(data: bytes):
    return service.RECOGNISER.recognise(BytesIO(data)).probabilities


def misread(name: str, packed: Callable[[Path], bytes] = Path.read_bytes) -> list[str]:
    pictures = sorted((RESOURCES / name).glob("[0-9]/*"))
    assert len(pictures) >= 100
    return [
        path.name
        for path in pictures
        if probabilities(packed(path)).argmax() != int(path.parent.name)
    ]


@pytest.mark.parametrize("name", MOST_WRONG)
def test_real_digits_are_read(name):
    wrong = misread(name)
    assert len(wrong) <= MOST_WRONG[name], wrong


@pytest.mark.slow
def test_most_photos_that_lie_on_a_larger_page_are_read():
    wrong = misread("photos_mit", on_a_page)
    assert len(wrong) <= MOST_WRONG_ON_A_PAGE, wrong


def on_a_page(path: Path) -> bytes:
    return packaging.repackaged("on a plain page", path.read_bytes(), 0)


def test_blank_paper_gets_no_confident_answer():
    assert probabilities(as_bytes(Image.new("L", (90, 140), 255))).max() < 0.5


def test_a_picture_is_answered_as_keras_answers_it():
    paths = sorted((RESOURCES / "mnist_sample").glob("*/*"))[::9]
    pixels = [
        prepare(decode(path.read_bytes(), 10**8)).first.input.pixels for path in paths
    ]
    together = service.MODEL(np.stack(pixels)).numpy()
    # LiteRT computes with weights of 8 bits.
    for one, expected in zip(pixels, together, strict=True):
        given = service.RECOGNISER.recogniser.classify(one)
        assert given == pytest.approx(expected, abs=0.03)
