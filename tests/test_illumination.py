"""Paper and ink differ by colour, by tone, in shade, and where the ink is faint.

Pictures of up to 32 pixels are fitted, and of up to 64 are closed, as they are.
"""

import numpy as np
import pytest

from recognition.illumination import (
    candidate_views,
    close,
    closing_thumbnail,
    closings,
    estimate_background,
    fit_background,
    ink_map,
    interior_sample,
    noise_of,
    stroke_width,
    to_grey,
    two_tones,
)


def even(grey: float, side: int = 64) -> np.ndarray:
    return np.full((side, side), grey, np.float32)


def with_square(grey: float, height: int, width: int, paper: float = 200) -> np.ndarray:
    page = even(paper, 32)
    top, left = (32 - height) // 2, (32 - width) // 2
    page[top : top + height, left : left + width] = grey
    return page


@pytest.mark.parametrize(("side", "searched"), [(280, 140), (100, 100)])
def test_the_digit_is_looked_for_on_half_the_detail(side, searched):
    view = next(candidate_views(np.full((side, side), 255, np.uint8)))
    assert view.ink.shape == (searched, searched)


@pytest.mark.parametrize(("others", "is_blue"), [(217, True), (205, False)])
def test_the_channel_that_shows_the_ink_far_better_is_used(others, is_blue):
    page = np.full((32, 32, 3), 255, np.uint8)
    page[8:24, 15:17] = others, others, 155
    assert np.array_equal(to_grey(page), page[..., 2]) == is_blue


@pytest.mark.parametrize(("period", "is_ink"), [(12, True), (16, False)])
def test_colour_that_changes_slowly_over_the_page_is_no_ink(period, is_ink):
    page = np.full((32, 32, 3), 200.0)
    page[..., 2] -= 30 + 30 * np.cos(2 * np.pi * (np.arange(32) - 16) / period)
    page[4:28, 15:17] -= 30
    page = page.round().astype(np.uint8)
    assert np.array_equal(to_grey(page), page[..., 2]) == is_ink


def test_noise_on_black_paper_is_not_amplified():
    noisy = 10 - 4 * np.random.default_rng(0).random((64, 64), np.float32) ** 2
    background, _ = estimate_background(noisy)
    assert (noisy / background).std() < 0.058


def test_ink_on_dark_paper_is_measured_against_the_paper():
    background, _ = estimate_background(even(27))
    assert background == pytest.approx(27, abs=0.1)


@pytest.mark.parametrize(("dots", "is_light_ink"), [(12, True), (8, False)])
def test_a_few_grey_levels_of_rounding_are_no_light_ink(dots, is_light_ink):
    page = even(100, 100)
    page[50, 20 : 20 + dots] += 1
    assert estimate_background(page)[1] is is_light_ink


@pytest.mark.parametrize(("share", "expected"), [(0.14, None), (0.16, (200, 50))])
def test_a_picture_full_of_ink_has_two_tones(share, expected):
    page = even(200, 50)
    page[5:45, 5 : 5 + round(2500 * share / 40)] = 50
    assert two_tones(page) == expected


@pytest.mark.parametrize(("deviation", "has_two"), [(29, True), (34, False)])
def test_shades_between_are_no_two_tones(deviation, has_two):
    page = even(200)
    page[:, :32] = 50
    page[::2] += deviation
    page[1::2] -= deviation
    assert (two_tones(page) is not None) == has_two


def hatched(stroke: int, gap: int, side: int) -> np.ndarray:
    page = even(200, side)
    page[:, np.arange(side) % (stroke + gap) < stroke] = 20
    return page


@pytest.mark.parametrize(("side", "has_two"), [(100, True), (140, False)])
def test_the_finest_hatching_has_two_tones_in_small_pictures(side, has_two):
    assert (two_tones(hatched(1, 1, side)) is not None) == has_two


@pytest.mark.parametrize(("stroke", "gap", "is_seen"), [(3, 12, True), (4, 10, False)])
def test_paper_is_seen_between_strokes_unless_they_are_close(stroke, gap, is_seen):
    page = hatched(stroke, gap, 140)
    bands = np.arange(140) // 20 % 2 == 0
    page[bands] += 100 * (page[bands] < 200)  # else it would have two tones
    background, _ = estimate_background(page)
    assert (background.mean() > 197) == is_seen


@pytest.mark.parametrize(("height", "is_paper"), [(17, False), (18, True)])
def test_what_fills_a_third_of_the_picture_counts_as_paper(height, is_paper):
    background = fit_background(with_square(60, height, 18))
    assert (background[16, 16] < 190) == is_paper


@pytest.mark.parametrize(("levels", "is_paper"), [(3, True), (4, False)])
def test_a_few_grey_levels_are_part_of_the_paper(levels, is_paper):
    background = fit_background(with_square(200 - levels, 14, 14))
    assert (background[16, 16] < 199.3) == is_paper


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2)])
def test_the_background_of_a_picture_of_a_few_pixels_is_its_paper(shape):
    assert fit_background(np.full(shape, 200, np.float32)) == pytest.approx(200, 1e-3)


def bar(width: int, side: int = 64) -> np.ndarray:
    flat = even(1, side)
    flat[:, (side - width) // 2 :][:, :width] = 0.2
    return flat


@pytest.mark.parametrize(("width", "solid"), [(8, 2), (10, 1), (24, 1), (30, 0)])
def test_bold_strokes_are_solid_with_the_wider_closing_only(width, solid):
    maps = [ink_map(bar(width), each) for each in closings(bar(width))]
    assert sum(ink[32, 32] > 0.6 for ink in maps) == solid


@pytest.mark.parametrize(("width", "is_solid"), [(4, True), (6, False)])
def test_closings_of_small_pictures_hold_strokes_of_some_pixels(width, is_solid):
    flat = bar(width, 28)
    assert (ink_map(flat, close(flat, 1))[14, 14] > 0.5) == is_solid


@pytest.mark.parametrize(("grey", "is_shade"), [(0.115, True), (0.09, False)])
def test_what_is_nearly_black_is_ink_however_wide(grey, is_shade):
    flat = even(grey)
    assert (ink_map(flat, close(flat, 20)).max() < 0.05) == is_shade


def test_ink_is_measured_against_paper_that_is_lighter_than_expected():
    flat = even(1.08)
    flat[20:24, 20:44] = 0.54
    assert ink_map(flat, close(flat, 9))[22, 32] == pytest.approx(0.5, abs=0.02)


def test_glare_leaves_no_ink_around_it():
    flat = even(1)
    flat[20:44, 20:44] = 1.6
    assert ink_map(flat, close(flat, 9)).max() < 0.1


def test_the_edge_of_a_hard_shadow_leaves_little_ink():
    flat = even(1)
    flat[:, 32:] = 0.5
    assert ink_map(flat, close(flat, 15)).mean() < 0.0165


def test_the_background_has_no_hard_edges():
    flat = even(1)
    flat[:, 32:] = 0.5
    assert np.abs(np.diff(close(flat, 15), axis=1)).max() < 0.075


def test_noise_does_not_make_the_paper_look_lighter():
    noise = np.random.default_rng(0).normal(1, 0.1, (64, 64)).astype(np.float32)
    ink = ink_map(noise, close(closing_thumbnail(noise), 9))
    assert np.median(ink) < 0.06


def test_noise_of_a_larger_picture_is_averaged():
    noise = np.random.default_rng(0).normal(1, 0.1, (140, 140)).astype(np.float32)
    assert np.median(ink_map(noise, closings(noise)[0])) < 0.035


def test_hairlines_outlive_the_smoothing():
    flat = even(1)
    flat[:, 32] = 0
    assert closing_thumbnail(flat)[32, 32] < 0.56


def fine_first(flat: np.ndarray) -> bool:
    """Whether the likelier closing follows shade that the other one takes for ink."""
    likelier, other = closings(flat.astype(np.float32))
    return likelier.mean() < other.mean()


@pytest.mark.parametrize(("stroke", "is_fine"), [(0.38, True), (0.49, False)])
def test_fine_strokes_that_a_fine_closing_keeps_lie_in_shade(stroke, is_fine):
    flat = even(1)
    flat[:, 22:42] = 0.8
    flat[8:56, 29:35] = stroke
    assert fine_first(flat) == is_fine


@pytest.mark.parametrize(("grey", "is_fine"), [(0.57, True), (0.43, False)])
def test_grey_that_is_as_dark_as_the_strokes_is_ink(grey, is_fine):
    flat = even(1)
    flat[:, 10:30] = grey
    flat[8:56, 44:48] = 0
    assert fine_first(flat) == is_fine


@pytest.mark.parametrize(
    ("weak", "strong", "noise", "is_fine"),
    [
        pytest.param(0.02, 0.09, 0.0015, True, id="hairline in shade"),
        pytest.param(0.02, 0.11, 0.0015, False, id="too dark for a hairline"),
        pytest.param(0.02, 0.07, 0.003, True, id="hairline in noise"),
        pytest.param(0.02, 0.07, 0.0042, False, id="hairline lost in noise"),
        pytest.param(0.012, 0.07, 0.002, True, id="uneven shade"),
        pytest.param(0.009, 0.07, 0.002, False, id="shade that is a stroke"),
    ],
)
def test_faint_hairlines_are_told_from_shade(weak, strong, noise, is_fine):
    flat = even(1) + np.random.default_rng(0).normal(0, noise, (64, 64))
    flat[:, 8:19] -= weak
    flat[:, 42:53] -= weak
    flat[:, 19:31] -= strong
    flat[16:48, 24:27] -= 0.05
    assert fine_first(flat) == is_fine


def test_noise_is_measured_as_its_standard_deviation():
    noise = np.random.default_rng(0).normal(0, 0.1, (200, 200)).astype(np.float32)
    noise[:40, :40] = 1  # ink
    assert noise_of(noise) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(("edge", "is_seen"), [(9, False), (12, True)])
def test_page_edges_are_left_out_of_measurements(edge, is_seen):
    ink = np.zeros((120, 120), np.float32)
    ink[:edge] = ink[:, -edge:] = 1
    assert interior_sample(ink).any() == is_seen


@pytest.mark.parametrize(("halo", "width"), [(0.36, 8), (0.45, 16)])
def test_only_a_dark_halo_belongs_to_the_stroke(halo, width):
    ink = np.zeros((64, 64), np.float32)
    ink[:, 24:40], ink[:, 28:36] = halo, 1
    assert stroke_width(ink) == pytest.approx(width, rel=0.25)


@pytest.mark.parametrize(("dots", "width"), [(1.8, 10), (2.2, 4)])
def test_the_width_of_grey_strokes_is_measured_in_spite_of_black_dots(dots, width):
    ink = np.zeros((100, 100), np.float32)
    ink[:, 40:50] = 0.3
    rows, columns = np.unravel_index(3 * np.arange(round(100 * dots)), (25, 30))
    ink[4 * rows, columns] = 1
    assert stroke_width(ink) == pytest.approx(width, rel=0.25)
