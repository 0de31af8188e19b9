"""The metrics, the changed pictures and the tables of the evaluation."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pictures import RESOURCES
from PIL import Image

import app as service
from recognition.decoding import DETAIL_SIDE, decode, reduce
from training.data import own_photos
from training.evaluate import metrics, packaging
from training.evaluate.answers import answers
from training.evaluate.corruptions import CORRUPTIONS, corrupt

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
DIGIT = min((RESOURCES / "mnist_sample" / "3").iterdir())
PHOTO = RESOURCES / "photos_mit" / "5" / "5_101.jpg"
TITLES = (
    "Digits",
    "Pictures that do not show one digit",
    "Numbers",
    "Corruptions of MNIST-C, on 3 pictures of mnist_sample",
    "The same first answer in other packaging",
    "Cost of model.keras",
)


def answered(right: int, wrong: int, confidence: float) -> tuple:
    """Labels and probabilities of answers that are all equally sure."""
    labels = np.array([0] * right + [1] * wrong)
    probabilities = np.full((right + wrong, 10), (1 - confidence) / 9)
    probabilities[:, 0] = confidence
    return labels, probabilities


def lossless_kinds(path: Path) -> list[str]:
    image = packaging.open_picture(path.read_bytes())
    return [kind for kind, v in packaging.VARIANTS.items() if v.keeps(image)]


@pytest.fixture
def digit():
    return np.asarray(Image.open(DIGIT))


def test_the_interval_is_that_of_the_literature():
    # Newcombe 1998, table I.
    assert metrics.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert metrics.wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)


@pytest.mark.parametrize(
    ("right", "confidence", "error"), [(8, 0.8, 0), (5, 0.9, 0.4), (10, 0.6, 0.4)]
)
def test_the_calibration_error_is_the_gap_to_the_accuracy(right, confidence, error):
    scores = answered(right, 10 - right, confidence)
    assert metrics.calibration_error(*scores) == pytest.approx(error)


def test_the_surest_answers_are_those_that_coverage_keeps():
    labels, probabilities = answered(18, 2, 0.9)
    probabilities[-1, 0] = 0.2
    assert metrics.accuracy_at(0.95, labels, probabilities) == 18 / 19
    assert metrics.confusions(labels, probabilities) == {(1, 0): 2}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_the_picture_the_same_way_each_time(name, digit):
    first, again = (corrupt(name, digit, 3) for _ in range(2))
    assert (first.shape, first.dtype) == (digit.shape, digit.dtype)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, digit)


@pytest.mark.parametrize(
    ("path", "kind"),
    [(path, kind) for path in (DIGIT, PHOTO) for kind in lossless_kinds(path)],
    ids=lambda value: value if isinstance(value, str) else value.parent.parent.name,
)
def test_what_is_called_lossless_decodes_to_the_same_picture(path, kind):
    image = packaging.open_picture(path.read_bytes())
    shown, *_ = decode(packaging.VARIANTS[kind].write(image), 10**6)
    same = np.asarray(image.convert("RGB" if shown.ndim == 3 else image.mode))
    expected = [reduce(picture, DETAIL_SIDE) for picture in (same, 255 - same)]
    # Sixteen bits and alpha are reduced before they are rounded.
    assert any(np.abs(shown - picture.astype(int)).max() <= 1 for picture in expected)


def test_many_are_answered_as_the_service_does():
    photos = own_photos(RESOURCES / "mnist_sample")[:70]
    with ThreadPoolExecutor() as pool:
        given = answers(pool, photos, "photos")
    recognise = service.RECOGNISER.recognise
    alone = [recognise(BytesIO(photo.content)).probabilities for photo in photos]
    assert [answer.sample for answer in given] == photos
    assert np.array_equal([answer.probabilities for answer in given], alone)


def test_the_command_prints_its_tables_and_draws_its_plots(tmp_path):
    command = [sys.executable, "-m", "training.evaluate", "--data", RESOURCES]
    options = ["--limit", "3", "--plots", tmp_path, "--failures", tmp_path / "wrong"]
    run = subprocess.run(
        command + options, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(f"## {title}" in run.stdout for title in TITLES)
    assert "| mnist_sample | 3 |" in run.stdout
    assert {"reliability.png", "corruptions.png", "examples.png"} <= {
        p.name for p in tmp_path.iterdir()
    }
