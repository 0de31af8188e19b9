"""What on an ink map is taken for the digit, a part of it, a line, a frame or a speck.

Maps of up to 64 pixels are searched as they are; larger ones are smoothed first.
"""

import cv2
import numpy as np
import pytest

from recognition.illumination import noise_of
from recognition.localization import (
    Component,
    find_components,
    find_digit,
    is_frame,
    is_loose_part,
    score,
    without_ruled_lines,
)


def blank(height=60, width=60):
    return np.zeros((height, width), np.float32)


def with_block(strength, ink=None, side=20):
    ink = blank() if ink is None else ink
    ink[20 : 20 + side, 20 : 20 + side] = strength
    return ink


def component(left, top, width, height, share=0.3, mass=100.0, interior=1.0):
    area = round(share * width * height)
    return Component(left, top, left + width, top + height, area, mass, interior)


@pytest.mark.parametrize(("strength", "count"), [(0.021, 1), (0.019, 0)])
def test_only_ink_that_can_be_seen_is_found(strength, count):
    assert len(find_components(with_block(strength))) == count


@pytest.mark.parametrize(("ratio", "count"), [(4.6, 1), (3.4, 0)])
def test_only_ink_that_stands_out_from_noise_is_found(ratio, count):
    paper = np.random.default_rng(0).random((60, 60), np.float32) / 10
    ink = with_block(ratio * noise_of(paper), paper, side=8)
    assert len(find_components(ink)) == count


@pytest.mark.parametrize(("strength", "count"), [(0.27, 2), (0.23, 1)])
def test_ink_much_weaker_than_the_strongest_is_left_out(strength, count):
    ink = with_block(1)
    ink[45:50, 45:50] = strength
    assert len(find_components(ink)) == count


@pytest.mark.parametrize(("width", "count"), [(7, 2), (9, 1)])
def test_only_a_small_black_spot_leaves_grey_ink_as_it_is(width, count):
    ink = with_block(0.2, blank(140, 140))
    ink[60:67, 60 : 60 + width] = 1
    assert len(find_components(ink)) == count


@pytest.mark.parametrize(("side", "count"), [(64, 1), (66, 0)])
def test_larger_ink_maps_are_smoothed(side, count):
    hairline = blank(side, side)
    hairline[20, 20:50] = 0.0201
    assert len(find_components(hairline)) == count


@pytest.mark.parametrize(("strength", "count"), [(0.038, 1), (0.033, 0)])
def test_smoothing_weakens_hairlines(strength, count):
    hairline = blank(140, 140)
    hairline[60, 40:100] = strength
    assert len(find_components(hairline)) == count


@pytest.mark.parametrize(("corner", "is_found"), [(14, True), (13, False)])
def test_ink_all_over_is_a_dark_page(corner, is_found):
    ink = np.ones((60, 60), np.float32)
    ink[:corner, :corner] = 0
    assert (find_digit(ink) is not None) is is_found


@pytest.mark.parametrize(("side", "is_found"), [(4, True), (3, False)])
def test_a_speck_is_no_digit(side, is_found):
    assert (find_digit(with_block(1, side=side)) is not None) is is_found


def rules(thickness=1, rise=0, length=140, gap=0, count=3, height=140, width=140):
    """A mask of lines across it, in dashes of 10 pixels if with a gap."""
    mask = np.zeros((height, width), np.uint8)
    x = np.arange(min(length, width))
    for y in np.linspace(0.2, 0.7, count).round(2) * height:
        for row in range(thickness):
            mask[(y + row + rise * x / width).astype(int), x] = 1
    if gap:
        mask[:, np.arange(width) % (10 + gap) >= 10] = 0
    return mask


@pytest.mark.parametrize(
    ("ruled", "stroke"),
    [
        pytest.param({"length": 112}, {"length": 98}, id="length"),
        pytest.param({"count": 2}, {"count": 1}, id="count"),
        pytest.param({"thickness": 3}, {"thickness": 4}, id="thickness"),
        pytest.param(
            {"rise": 12, "thickness": 3}, {"rise": 16, "thickness": 3}, id="rise"
        ),
        pytest.param(
            {"rise": 11, "height": 280}, {"rise": 16, "height": 280}, id="slope"
        ),
        pytest.param({"gap": 4, "width": 100}, {"gap": 6}, id="dashes"),
    ],
)
def test_only_thin_and_nearly_level_lines_across_the_page_are_ruled(ruled, stroke):
    lines, strokes = rules(**ruled), rules(**stroke)
    for turn in (np.asarray, np.transpose):
        assert not without_ruled_lines(turn(lines).copy()).any()
        assert np.array_equal(without_ruled_lines(turn(strokes).copy()), turn(strokes))


@pytest.mark.parametrize(("distance", "is_left"), [(1, False), (2, True)])
@pytest.mark.parametrize("side", [-1, 1])
def test_the_fringe_of_a_ruled_line_goes_with_it(distance, side, is_left):
    mask = rules()
    line = np.flatnonzero(mask[:, 0])[0]
    mask[line + side * distance, 60:65] = 1
    assert without_ruled_lines(mask).any() == is_left


@pytest.mark.parametrize(("gap", "count"), [(6, 1), (7, 2)])
def test_narrow_gaps_in_strokes_on_ruled_paper_are_closed(gap, count):
    mask = rules()
    mask[35:45, 60:70] = mask[45 + gap : 55, 60:70] = 1
    assert cv2.connectedComponents(without_ruled_lines(mask))[0] - 1 == count


@pytest.mark.parametrize(
    ("digit", "other", "too_little", "enough"),
    [
        pytest.param((45, 45, 10, 10), (75, 45, 10, 10), 2.6, 3.3, id="off the centre"),
        pytest.param((1, 45, 10, 10), (0, 45, 10, 10), 90, 140, id="at the border"),
        pytest.param((26, 45, 48, 10), (24, 45, 52, 10), 1800, 2500, id="a line"),
        pytest.param((40, 40, 20, 20), (40, 40, 20, 20, 0.7), 85, 120, id="filled"),
    ],
)
def test_what_is_unlike_a_digit_needs_more_ink(digit, other, too_little, enough):
    points = score(component(*digit), 100, 100)
    assert score(component(*other, mass=100 * too_little), 100, 100) < points
    assert score(component(*other, mass=100 * enough), 100, 100) > points


@pytest.mark.parametrize(
    ("digit", "other"),
    [
        pytest.param((26, 45, 48, 10), (24, 45, 52, 10), id="wide as a line"),
        pytest.param((100, 5, 10, 190), (100, 5, 10, 210), id="tall as a line"),
        pytest.param((40, 40, 20, 20, 0.58), (40, 40, 20, 20, 0.62), id="filled"),
        pytest.param((30, 10, 44, 100, 1), (30, 10, 46, 100, 1), id="filled, not slim"),
        pytest.param((0, 20, 46, 178), (0, 20, 46, 174), id="not as tall"),
        pytest.param((0, 20, 46, 178), (0, 20, 42, 178), id="not as wide"),
    ],
)
def test_the_shape_tells_a_digit_from_lines_and_shade(digit, other):
    points = score(component(*digit), 220, 220)
    assert score(component(*other), 220, 220) < points / 2


@pytest.mark.parametrize(
    ("inset", "interior", "expected"),
    [(2, 0.28, True), (3, 0.28, False), (2, 0.32, False)],
)
def test_only_what_is_thin_and_close_to_the_borders_is_a_frame(
    inset, interior, expected
):
    ring = component(1, 1, 100 - inset, 100 - inset, interior=interior)
    assert is_frame(ring, 100, 100) is expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param((11, 0, 50, 10), True, id="near the side"),
        pytest.param((13, 0, 50, 10), False, id="beside it"),
        pytest.param((0, 19, 50, 10), True, id="near the foot"),
        pytest.param((0, 21, 50, 10), False, id="below it"),
        pytest.param((5, 0, 145, 10), True, id="long"),
        pytest.param((5, 0, 155, 10), False, id="longer than a stroke"),
        pytest.param((5, 0, 50, 10, 0.3, 3.2), True, id="faint"),
        pytest.param((5, 0, 50, 10, 0.3, 2.8), False, id="fainter than a stroke"),
    ],
)
def test_a_loose_stroke_of_the_digit_is_near_and_not_too_long(part, expected):
    """Places are counted from the lower right corner of a digit 100 pixels high."""
    digit = component(-60, -100, 60, 100)
    assert is_loose_part(component(*part), digit) is expected
