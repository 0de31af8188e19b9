"""When the other views of a picture count, and how much."""

import numpy as np
import pytest
from pictures import RESOURCES, seven

import app as service
from recognition.decoding import decode
from recognition.framing import Finding, ModelInput
from recognition.inference import Prepared, pool, prepare

RECOGNISER = service.RECOGNISER.recogniser
FIVE = RESOURCES / "photos_mit" / "5" / "5_101.jpg"


def found_in(data: bytes) -> Finding:
    return prepare(decode(data, 10**8)).first


def faded_seven(probability: float) -> Finding:
    """So faint that the model is just so sure of it."""
    pixels, low, high = found_in(seven()).input.pixels, 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        faded = 1 - middle * (1 - pixels)
        is_surer = RECOGNISER.classify(faded).max() > probability
        low, high = (low, middle) if is_surer else (middle, high)
    return Finding(None, 0, ModelInput(faded, None))


@pytest.mark.parametrize(("probability", "digit"), [(0.966, 5), (0.974, 7)])
def test_the_other_views_count_where_the_first_leaves_a_doubt(probability, digit):
    others = 3 * [found_in(FIVE.read_bytes())]
    prepared = Prepared(faded_seven(probability), iter(others), "PNG", None)
    answer = RECOGNISER.predict(prepared)
    assert answer.probabilities.argmax() == digit


def test_every_input_has_the_shape_that_the_model_takes():
    assert found_in(seven()).input.pixels.shape == service.MODEL.input_shape[1:]


def answers(*sevens: float) -> np.ndarray:
    """Each view's probabilities: of a 7 so much, and of a 1 the rest."""
    views = np.zeros((4, 10))
    views[:, 7], views[:, 1] = sevens, 1 - np.array(sevens)
    return views


def test_views_that_agree_are_surer_than_each_of_them():
    assert pool(answers(0.8, 0.8, 0.8, 0.8))[7] == pytest.approx(0.82, abs=0.005)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (2, 3)])
def test_two_views_that_contradict_each_other_count_alike(first, second):
    sevens = np.full(4, 0.5)
    sevens[[first, second]] = 0.9, 0.1
    assert pool(answers(*sevens))[7] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(("odds", "digit"), [(15_000, 1), (17_000, 7)])
def test_a_view_that_rules_a_digit_out_can_be_outvoted(odds, digit):
    agreed = odds / (1 + odds)
    assert pool(answers(0, agreed, agreed, agreed)).argmax() == digit
