"""Where digits are: tiles, sizes, one detection for each digit."""

import numpy as np
import pytest

from recognition.detection import (
    OVERLAP,
    STRONGEST,
    TILE,
    Detection,
    Detector,
    detector_input,
    suppress,
    tile_starts,
)


def detection(left, top, width, height, centre=0.9):
    box = (left, top, left + width, top + height)
    return Detection(box, centre, np.full(10, 0.1))


@pytest.mark.parametrize("side", [1, TILE, TILE + 1, 2 * TILE, 1000, 5000])
def test_tiles_cover_a_side_and_overlap(side):
    starts = tile_starts(side)
    assert starts[0] == 0
    assert max(starts) + TILE >= side
    assert all(step <= TILE - OVERLAP for step in np.diff(starts))


def test_of_two_detections_of_a_digit_the_surer_is_kept():
    sure, other = detection(10, 10, 20, 40), detection(12, 8, 20, 40, 0.8)
    assert suppress([other, sure]) == [sure]


def test_a_part_of_a_digit_is_no_digit():
    whole, loop = detection(0, 0, 20, 40), detection(0, 20, 18, 19, 0.8)
    assert suppress([loop, whole]) == [whole]


def test_neighbours_that_overlap_are_both_kept():
    pair = [detection(0, 0, 20, 40), detection(14, 0, 20, 40)]
    assert suppress(pair) == pair


@pytest.mark.parametrize("strength", [0.1, 0.4, 0.9])
def test_ink_of_any_strength_looks_the_same_to_the_detector(strength):
    ink = np.zeros((60, 60), np.float32)
    ink[15:45, 26:34] = strength
    seen = detector_input(ink)
    assert seen.max() == pytest.approx(1, abs=0.05)
    ink[0, 0] = 10 * strength
    assert detector_input(ink).max() == STRONGEST


def test_noise_is_not_amplified_to_ink():
    noise = np.random.default_rng(0).normal(0, 0.005, (80, 80)).astype(np.float32)
    assert detector_input(np.abs(noise)).max() < 0.6


def test_nothing_is_found_on_bare_paper():
    assert Detector().find(np.zeros((50, 700), np.float32), 1) == []
