"""Pages for the detector: their boxes, its targets and its weights."""

import keras
import numpy as np
import pytest

from recognition.detection import BASE_HEIGHT, BASE_WIDTH, STRIDE, Detector, decoded
from training.data import NO_DIGIT, Sample
from training.detector import build_detector, detection_loss, targets_of
from training.evaluate import composed
from training.evaluate.numbers import Number, Reading, score_of
from training.glyphs import Bank, drawn
from training.layouts import IGNORED
from training.pages import SHAPES, page
from training.train_detector import save

pytestmark = pytest.mark.slow

BOXES = np.array([[20, 10, 34, 40, 7], [60, 12, 92, 44, 0], [100, 30, 104, 60, 1]])
HEIGHT, WIDTH = 64, 128


@pytest.fixture(scope="module")
def bank():
    digits = [drawn((seed, None)) for seed in range(150)]
    letters = [digit._replace(label=NO_DIGIT) for digit in digits]
    sign = Sample(b"", NO_DIGIT, "sign")
    signs = [drawn((seed, sign)) for seed in range(40)]
    return Bank([*digits, *letters, *filter(None, signs)])


def answer_that_is_right():
    """What a perfect network would answer for BOXES."""
    targets = targets_of(BOXES, HEIGHT, WIDTH)
    answer = np.zeros((*targets.shape[:2], 15), np.float32)
    answer[..., 0] = 20 * targets[..., 0] - 10
    rows, columns = np.nonzero(targets[..., 2] >= 0)
    answer[rows, columns, 1 + targets[rows, columns, 2].astype(int)] = 10
    answer[..., 11:] = targets[..., 3:]
    return targets, answer


@pytest.mark.parametrize("shape", SHAPES)
def test_every_digit_of_a_page_has_a_box_with_ink(bank, shape):
    for seed in range(12):
        ink, boxes = page(np.random.default_rng(seed), bank, [], shape)
        assert ink.shape == shape
        for left, top, right, bottom, label in boxes:
            assert label in (IGNORED, *range(10))
            assert 0 <= left < right <= shape[1]
            assert 0 <= top < bottom <= shape[0]
            assert label == IGNORED or ink[int(top) : bottom, int(left) : right].max()


def test_a_page_is_the_same_each_time(bank):
    pages = [page(np.random.default_rng(3), bank, [], (96, 384)) for _ in range(2)]
    assert np.array_equal(pages[0][0], pages[1][0])
    assert pages[0][1] == pages[1][1]


def test_the_service_decodes_what_the_network_is_trained_to_answer():
    _, answer = answer_that_is_right()
    found = sorted(decoded(answer, 0, 0, 1, (HEIGHT, WIDTH)), key=lambda d: d.box[0])
    assert [int(each.probabilities.argmax()) for each in found] == [7, 0, 1]
    for each, box in zip(found, BOXES, strict=True):
        assert each.box == pytest.approx(box[:4], abs=1e-3)


def test_an_answer_that_is_right_has_the_least_loss():
    targets, answer = (part[np.newaxis] for part in answer_that_is_right())
    least = detection_loss(targets, answer)
    for channel in range(15):
        wrong = answer.copy()
        wrong[..., channel] = 3 - wrong[..., channel]
        assert detection_loss(targets, wrong) > least


def test_where_a_digit_may_be_or_not_nothing_is_learnt():
    targets = targets_of(np.array([[20, 10, 34, 40, IGNORED]]), HEIGHT, WIDTH)
    assert not targets[3 : 40 // STRIDE, 5 : 34 // STRIDE, 1].any()
    assert not targets[..., 0].any()


def test_a_digit_as_large_as_the_base_has_the_size_zero():
    box = np.array([[20, 20, 20 + BASE_WIDTH, 20 + BASE_HEIGHT, 4]])
    targets = targets_of(box, HEIGHT, WIDTH)
    assert targets[..., 5:] == pytest.approx(0)


def test_the_saved_network_answers_as_the_trained_one(tmp_path):
    keras.utils.set_random_seed(0)
    model = build_detector()
    save(model, tmp_path / "detector.tflite")
    ink = np.random.default_rng(0).random((64, 96), np.float32)
    answer = Detector(tmp_path / "detector.tflite")._answer(ink)
    expected = np.asarray(model(ink[np.newaxis, ..., np.newaxis]))[0]
    # Logits, of several: the weights are rounded to 8 bits.
    assert answer == pytest.approx(expected, abs=0.1)


def test_touching_pairs_touch(bank):
    for seed in range(20):
        sheet, text = composed.pair(np.random.default_rng(seed), bank)
        assert len(text) == len(sheet.boxes) == 2


def test_composed_numbers_have_the_digits_of_their_text(bank):
    for seed in range(20):
        sheet, text = composed.rows_of_digits(np.random.default_rng(seed), bank)
        assert [box[-1] for box in sheet.boxes] == [
            int(each) for each in text.replace("\n", "")
        ]


@pytest.mark.parametrize(
    ("true", "read", "right"),
    [
        ("123", "123", [True, True, True]),
        ("123", "13", [True, True]),
        ("123", "1723", [True, False, True, True]),
        ("12\n34", "12\n3?", [True, True, True, False]),
    ],
)
def test_digits_that_were_read_are_aligned_with_the_true_ones(true, read, right):
    reading = Reading(Number(b"", true, ""), read, [])
    assert reading.right() == right
    assert reading.is_exact == (true == read)


def test_scattered_digits_have_no_order():
    number = Number(b"", "1\n2\n2", "", "scattered")
    assert Reading(number, "2\n12", []).is_exact
    assert Reading(number, "1\n3\n2", []).right() == [True, False, True]


def test_the_score_counts_wrong_missing_and_added_digits():
    texts = [("12", "12"), ("12", "17"), ("12", "1"), ("12", "123")]
    readings = [Reading(Number(b"", true, ""), read, []) for true, read in texts]
    score = score_of(readings)
    assert score.exact == 0.25
    assert score.error == pytest.approx(3 / 8)
    assert score.f1 == pytest.approx(2 * 6 / (8 + 8))
