"""Training on a folder of one's own pictures."""

import shutil
import subprocess
from pathlib import Path

import pytest
from pictures import RESOURCES, seven
from server import ROOT

from recognition.inference import Recogniser
from recognition.model import load_model
from training.own import fitting
from training.own.__main__ import main
from training.own.pictures import (
    CannotTrain,
    check_pictures,
    hold_back,
    labelled_files,
    read_pictures,
)

PHOTOS = RESOURCES / "photos_mit"
SCANS = RESOURCES / "mnist_sample"
# Keras's own, while it writes the weights.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)


@pytest.fixture
def model_file(tmp_path):
    return Path(shutil.copy2(ROOT / "model.keras", tmp_path))


@pytest.fixture
def quick(monkeypatch):
    """A training that is over in seconds, and teaches next to nothing."""
    monkeypatch.setattr(fitting, "OWN_SCENES", 128)
    monkeypatch.setattr(fitting, "TUNING_EPOCHS", 1)
    monkeypatch.setattr(fitting, "SHOWN", 128)
    monkeypatch.setattr(fitting, "NEW_EPOCHS", 1)


@pytest.fixture
def folder(tmp_path):
    """Two pictures of each digit from 0 to 8, and what is none."""
    for digit in range(9):
        copy = tmp_path / "photos" / str(digit)
        copy.mkdir(parents=True)
        for number, path in enumerate(sorted((SCANS / str(digit)).iterdir())[:2]):
            shutil.copy2(path, copy / f"{number}.PNG")
    (tmp_path / "photos/0/.hidden").write_bytes(b"")
    return tmp_path / "photos"


def read(folder):
    return read_pictures(labelled_files(folder), fitting.reduced_picture)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param("nowhere", "nowhere is not a folder.", id="missing"),
        pytest.param("empty", "has no pictures in folders 0 to 9", id="empty"),
        pytest.param("photos/0", "has no pictures in folders 0 to 9", id="too deep"),
    ],
)
def test_a_wrong_folder_ends_with_a_sentence(folder, name, sentence):
    (folder.parent / "empty").mkdir()
    with pytest.raises(SystemExit, match=sentence):
        main(["--photos", str(folder.parent / name)])


def test_unreadable_files_are_named_and_counted_and_skipped(folder, capsys):
    (folder / "3" / "notes.txt").write_text("threes")
    (folder / "4" / "cut.png").write_bytes(seven()[:100])
    assert len(read(folder)) == 18
    said = capsys.readouterr().out
    assert "Skipped 2 of 20 files" in said
    assert f"{folder}/3/notes.txt, {folder}/4/cut.png." in said


def test_a_picture_that_is_there_twice_counts_once(folder):
    shutil.copy2(folder / "0" / "0.PNG", folder / "0" / "copy.png")
    assert len(read(folder)) == 18


def test_too_few_pictures_end_with_a_sentence(folder):
    with pytest.raises(CannotTrain, match="Only 18 pictures can be read"):
        check_pictures(read(folder), is_new=False)


def test_only_a_new_model_needs_every_digit(folder, capsys):
    (folder / "7" / "drawn.png").write_bytes(seven())
    (folder / "7" / "larger.png").write_bytes(seven(width=180))
    pictures = read(folder)
    check_pictures(pictures, is_new=False)
    assert "No picture is of 9" in capsys.readouterr().out
    with pytest.raises(CannotTrain, match="of 9 is no picture"):
        check_pictures(pictures, is_new=True)


def test_of_two_pictures_of_a_digit_one_is_held_back(folder):
    training, held_back = hold_back(read(folder))
    assert [picture.label for picture in held_back] == list(range(9))
    assert len(training) == 9


def test_every_training_holds_back_the_same_tenth_of_each_digit():
    pictures = read(SCANS)
    training, held_back = hold_back(pictures)
    assert [picture.label for picture in held_back] == list(range(10))
    assert len(training) == 90
    assert hold_back(pictures[::-1])[1] == held_back


def test_a_model_for_plain_resizes_is_not_fine_tuned(model_file):
    fitting.build_small().save(model_file)
    arguments = ["--photos", str(PHOTOS), "--model", str(model_file)]
    with pytest.raises(SystemExit, match="was trained on plain resizes"):
        main(arguments)


@pytest.mark.slow
def test_fine_tuning_replaces_the_model_and_keeps_the_one_before(
    model_file, quick, capsys
):
    before = model_file.read_bytes()
    main(["--photos", str(PHOTOS), "--model", str(model_file)])
    said = capsys.readouterr().out
    assert "before: 10 of 10 (100.0 %)" in said
    assert "after:  10 of 10 (100.0 %)" in said
    assert model_file.read_bytes() != before
    (kept,) = model_file.parent.glob("model.*.keras")
    assert f"{kept.name}" in said
    assert kept.read_bytes() == before
    recogniser = Recogniser(load_model(model_file))
    assert recogniser.preparation.name == "prepared ink"
    assert recogniser.recognise(seven(), 10**6).ranking()[0][0] == 7


@pytest.mark.slow
def test_a_new_model_that_is_worse_is_saved_beside_the_other(model_file, quick, capsys):
    before = model_file.read_bytes()
    main(["--photos", str(PHOTOS), "--model", str(model_file), "--new"])
    new_file = model_file.with_name("model.new.keras")
    assert f"mv {new_file} {model_file}" in capsys.readouterr().out
    assert model_file.read_bytes() == before
    recogniser = Recogniser(load_model(new_file))
    assert recogniser.preparation.name == "plain resize"


@pytest.mark.slow
def test_a_new_model_needs_none_before(tmp_path, quick, capsys):
    model_file = tmp_path / "model.keras"
    main(["--photos", str(PHOTOS), "--model", str(model_file), "--new"])
    assert "before" not in capsys.readouterr().out
    assert load_model(model_file).name == "own_digits"
    assert list(tmp_path.iterdir()) == [model_file]


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["PHOTOS=my photos"], 'training.own --photos "my photos"'),
        (["PHOTOS=photos", "NEW=1"], 'training.own --photos "photos" --new'),
        (
            ["PHOTOS=photos", "DATA=tests"],
            "training.train --data tests --photos photos",
        ),
    ],
)
def test_make_train_takes_pictures_or_data_or_both(arguments, command):
    assert command in make_train(*arguments).stdout


def test_make_train_without_pictures_says_what_is_missing():
    ended = make_train()
    assert ended.returncode
    assert "PHOTOS=DIR must name the folder with your pictures" in ended.stderr


def make_train(*arguments):
    make = ["make", "--dry-run", "train", *arguments]
    return subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
