"""How a digit that was found is shown to the model."""

import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from pictures import drawn_seven

from recognition.framing import array_inputs, find, normalise
from recognition.illumination import candidate_views

MODEL = Path(__file__).parent.parent / "model.keras"


def dark(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 0] < 0.5


def input_shape() -> list[int]:
    config = json.loads(ZipFile(MODEL).read("config.json"))
    return config["config"]["layers"][0]["config"]["batch_shape"][1:]


def test_every_input_has_the_shape_that_the_model_takes():
    inputs = list(array_inputs(np.asarray(drawn_seven())))
    assert [list(each.pixels.shape) for each in inputs] == 4 * [input_shape()]


@pytest.mark.parametrize(
    ("size", "shape"), [((10, 100), (7, 72)), ((100, 10), (116, 12))]
)
def test_the_largest_digit_leaves_paper_on_all_sides(size, shape):
    ink = dark(normalise(np.ones(size, np.float32)))
    assert (np.count_nonzero(ink.any(1)), np.count_nonzero(ink.any(0))) == shape


@pytest.mark.parametrize("side", [120, 280])
def test_a_little_paper_around_the_digit_is_shown(side):
    page = np.full((side, side), 255, np.uint8)
    page[10:110, 40:60] = 0
    rows = dark(find(next(candidate_views(page))).input.pixels).any(axis=1)
    assert np.count_nonzero(rows) == pytest.approx(116 * 100 / 110, abs=1)


@pytest.mark.parametrize(("side", "is_drawn"), [(44, True), (58, False)])
def test_a_grey_patch_far_wider_than_the_strokes_is_shade(side, is_drawn):
    page = np.full((280, 200), 255, np.uint8)
    page[50:230, 50:150] = 0  # an 8 in strokes of 10 pixels
    page[60:140, 60:140] = page[150:220, 60:140] = 255
    page[145 - side // 2 : 145 + side // 2, 100 - side // 2 : 100 + side // 2] = 130
    patch = find(next(candidate_views(page))).input.pixels[73:76, 45, 0].mean()
    assert patch < 0.65 if is_drawn else patch > 0.8


def test_reducing_leaves_no_hairline_out():
    ink = np.zeros((258, 150), np.float32)
    ink[:, 5::10] = 1
    page = normalise(ink)[70, :, 0]
    places = (11 + 67 / 150 * np.arange(5, 150, 10)).round().astype(int)
    assert all(page[place - 1 : place + 2].min() < 0.5 for place in places)


# Of this size an ink map is neither enlarged nor reduced.
FULL = 116, 72


def shown(ink: np.ndarray) -> np.ndarray:
    """What becomes of an ink map of full size, 0 where black."""
    return normalise(ink)[12:-12, 9:-9, 0]


@pytest.mark.parametrize(("width", "is_black"), [(14, True), (18, False)])
def test_a_dark_spot_leaves_grey_strokes_black_unless_it_is_large(width, is_black):
    ink = np.zeros(FULL, np.float32)
    ink[60:80], ink[:20, :width] = 0.4, 1
    assert (shown(ink)[70].max() < 0.1) == is_black


@pytest.mark.parametrize(("clean_rows", "is_white"), [(32, True), (38, False)])
def test_shade_over_most_of_the_digit_becomes_white(clean_rows, is_white):
    ink = np.full(FULL, 0.2, np.float32)
    ink[:clean_rows], ink[-20:] = 0, 1
    assert (shown(ink)[60].min() > 0.95) == is_white


@pytest.mark.parametrize(("strength", "is_white"), [(0.45, True), (0.6, False)])
def test_shade_that_may_be_the_digit_stays(strength, is_white):
    ink = np.full(FULL, strength, np.float32)
    ink[-20:] = 1
    assert (shown(ink)[60].min() > 0.95) == is_white


@pytest.mark.parametrize(("strength", "is_black"), [(0.055, True), (0.043, False)])
def test_noise_is_not_amplified_to_black(strength, is_black):
    ink = np.zeros(FULL, np.float32)
    ink[60:80] = strength
    assert (shown(ink)[70].max() < 0.1) == is_black
