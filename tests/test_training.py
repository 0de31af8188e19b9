"""Rendering, training and calibration of the model."""

import keras
import numpy as np
import pytest
from pictures import RESOURCES

import app as service
from recognition.framing import array_inputs
from recognition.localization import Box
from training import (
    augmentations,
    calibrate,
    compositions,
    data,
    draw,
    empty,
    forms,
    render,
    scenes,
    train,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("form", "label"), [(form, label) for form, (label, _) in forms.FORMS.items()]
)
def test_most_rendered_digits_can_be_read(form, label):
    rng = np.random.default_rng(0)
    pictures = [render.scene(rng, draw.draw(rng, form(rng)))[0] for _ in range(50)]
    inputs = [next(array_inputs(picture)).pixels for picture in pictures]
    read = [service.RECOGNISER.recogniser.classify(one).argmax() for one in inputs]
    assert read.count(label) > 30


def test_the_hook_of_a_drawn_1_is_no_roof():
    rng = np.random.default_rng(0)
    for _ in range(200):
        *hook, top, _foot = forms.one(rng)[0]
        if hook:
            reach, drop = hook[0] - top
            assert drop > 0.6 * -reach


@pytest.mark.parametrize("augmentation", augmentations.AUGMENTATIONS)
@pytest.mark.parametrize("size", [(28, 28), (90, 140)])
def test_an_augmentation_keeps_the_size_of_the_picture(augmentation, size):
    rng = np.random.default_rng(0)
    picture = np.full((*size, 3), 200, np.float32)
    after = augmentation(rng, picture, Box(5, 5, 15, 20))
    assert after.shape == picture.shape
    assert np.isfinite(after).all()


def test_a_digit_counts_as_found_where_its_stripe_or_card_was():
    digit = Box(40, 20, 30, 60)
    assert scenes.shows(Box(20, 0, 70, 100), digit)
    assert not scenes.shows(Box(0, 0, 400, 400), digit)
    assert not scenes.shows(Box(55, 20, 30, 60), digit)


def pick(rng):
    return forms.form(rng)


@pytest.mark.parametrize("kind", compositions.KINDS)
def test_a_composition_is_drawn_the_same_way_each_time(kind):
    first, again = (
        compositions.KINDS[kind](np.random.default_rng(5), pick) for _ in range(2)
    )
    assert np.array_equal(first.ink, again.ink)
    assert first[1:] == again[1:]
    x, y, width, height = first.part
    assert first.ink[y : y + height, x : x + width].max() > 0.5


def test_of_neighbours_in_the_box_of_a_digit_only_a_part_is_seen():
    ring = [np.array([[0, 0], [60, 0], [60, 100], [0, 100], [0, 0]], np.float32)]
    for seed in range(30):
        rng = np.random.default_rng(seed)
        made = compositions.among_neighbours(rng, lambda _: (ring, 0))
        assert made.label == 0
        height, width = made.ink.shape
        assert made.part.width < 0.95 * width or made.part.height < 0.95 * height


def test_close_neighbours_are_moved_together_until_their_ink_meets():
    slash = np.eye(40, dtype=np.float32)[::-1]
    sheet, boxes = compositions.in_a_row(np.random.default_rng(0), [slash, slash], 0.6)
    ink = np.flatnonzero(sheet[40] > compositions.INKED)
    assert ink[-1] - ink[0] == pytest.approx(0.6 * 40, abs=4)
    assert boxes[1].x < boxes[0].x + boxes[0].width


@pytest.mark.parametrize("name", ["pairs", "neighbours", "hairlines", "scans"])
def test_compositions_need_no_set_of_digits(name):
    rng = np.random.default_rng(0)
    pixels, label = scenes.one_scene(rng, {}, [name], np.ones(1))
    assert (pixels.shape, pixels.dtype) == ((140, 90), np.uint8)
    assert (label == data.NO_DIGIT) == (name == "pairs")


def test_rendered_scenes_depend_on_the_seed_alone():
    first, again = (empty.empty_scene(np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, again)


def test_a_folder_of_photos_is_labelled_by_its_folders():
    photos = data.own_photos(RESOURCES / "photos_mit")
    assert len(photos) == 117
    assert {photo.label for photo in photos} == set(range(10))


def test_training_varies_a_scene_about_what_was_rendered():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 140, 90), np.uint8)
    changes = np.zeros((2, train.CHANGES), np.float32)
    same = train.Vary()(images, changes).numpy()
    assert same == pytest.approx(np.repeat(images[..., None] / 255, 3, 3), abs=1e-4)
    changes[1, 4] = 1  # two pixels to the side
    moved = train.Vary()(images, changes).numpy()
    assert moved[0] == pytest.approx(same[0])
    assert moved[1, :, :-2] == pytest.approx(same[1, :, 2:], abs=1e-4)


def test_student_and_teacher_see_the_same_pictures():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 140, 90), np.uint8)
    model, teacher = train.build_model(), train.build_model(train.TEACHER)
    changes = rng.standard_normal((2, train.CHANGES), np.float32)
    answers = train.training_model(model, teacher)((images, changes)).numpy()
    seen = train.Vary()(images, changes)
    expected = np.hstack([model(seen).numpy(), teacher(seen).numpy()])
    assert answers == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("target", "taught"),
    [
        pytest.param(np.eye(10)[3], True, id="right"),
        pytest.param(np.eye(10)[4], False, id="wrong"),
        pytest.param(np.full(10, 0.1), False, id="no digit"),
    ],
)
def test_a_teacher_is_believed_only_where_it_is_right(target, taught):
    sure_of_3 = np.full(10, 0.01) + 0.9 * np.eye(10)[3]
    unsure = np.full(10, 0.1)
    answers = np.hstack([[unsure, unsure], [sure_of_3, 0.99 * sure_of_3 + 0.001]])
    losses = train.distillation_loss(np.stack([target] * 2), answers).numpy()
    from_labels = -np.sum(target * np.log(unsure))
    assert (losses == pytest.approx([from_labels] * 2)) != taught


# Keras's own, while it writes the weights.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_saved_model_answers_as_the_service_expects(tmp_path):
    train.in_float32(train.build_model()).save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.input_shape == service.MODEL.input_shape
    assert model.inputs[0].name == "prepared_ink"
    answer = model(np.ones((2, *service.MODEL.input_shape[1:]), np.float32)).numpy()
    assert answer.sum(axis=1) == pytest.approx([1, 1])


def test_calibration_finds_how_overconfident_a_model_is():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (5000, 10))
    honest = calibrate.softmax(logits)
    labels = np.array([rng.choice(10, p=row) for row in honest])
    overconfident = calibrate.softmax(logits * 3)
    assert calibrate.best_temperature(overconfident, labels) == pytest.approx(
        3, rel=0.1
    )


def test_the_last_round_keeps_a_tenth_of_the_weights_before():
    tuned, before = (
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]) for _ in "ab"
    )
    tuned.set_weights([np.ones((2, 1)), np.ones(1)])
    before.set_weights([np.zeros((2, 1)), np.zeros(1)])
    train.average(tuned, before)
    assert tuned.layers[0].get_weights()[1] == pytest.approx(0.9)
