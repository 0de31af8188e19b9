"""Train on one's own pictures, and put the model in place if it reads no fewer."""

import shutil
import time
from datetime import datetime
from functools import partial
from pathlib import Path

from recognition.framing import PREPARED_INK
from recognition.inference import Recogniser, preparation_of
from recognition.model import UnfitModel, keras, load_model
from training.own.fitting import (
    build_small,
    fine_tune,
    reduced_picture,
    resized_picture,
    train_small,
)
from training.own.pictures import (
    CannotTrain,
    OwnPicture,
    check_pictures,
    hold_back,
    named,
    read_pictures,
)
from training.scenes import MAX_PIXELS

SEED = 1


def train_on(files: list[Path], model_file: Path, is_new: bool) -> None:
    """Raises CannotTrain."""
    began = time.monotonic()
    keras.utils.set_random_seed(SEED)
    before = model_before(model_file, is_new)
    model = build_small() if is_new else before
    resized = partial(resized_picture, preparation=preparation_of(model))
    pictures = read_pictures(files, resized if is_new else reduced_picture)
    check_pictures(pictures, is_new)
    training, held_back = hold_back(pictures)
    wrong_before = read_wrong(before, held_back) if before else None
    print(f"Training on {len(training)} pictures; {len(held_back)} are held back.")
    (train_small if is_new else fine_tune)(model, training)
    new_file = model_file.with_suffix(".new.keras")
    model.save(new_file, include_optimizer=False)
    wrong_after = read_wrong(load_model(new_file), held_back)
    report(held_back, wrong_before, wrong_after)
    print(f"This took {(time.monotonic() - began) / 60:.1f} minutes.")
    if wrong_before is None or len(wrong_after) <= len(wrong_before):
        put_in_place(new_file, model_file)
    else:
        print(
            f"The new model is worse, so {model_file.name} stays; the new one is "
            f"{new_file.name}. To serve it all the same: mv {new_file} {model_file}"
        )


def model_before(model_file: Path, is_new: bool) -> keras.Model | None:
    """The model to fine-tune or to compare with. Raises CannotTrain."""
    try:
        model = load_model(model_file)
        Recogniser(model)
    except UnfitModel as error:
        if is_new:
            return None
        raise CannotTrain(str(error)) from error
    if not is_new and model.inputs[0].name != PREPARED_INK:
        raise CannotTrain(
            f"{model_file} was trained on plain resizes and cannot be fine-tuned: put "
            "this project's back (git checkout model.keras), or train anew with NEW=1."
        )
    return model


def read_wrong(model: keras.Model, pictures: list[OwnPicture]) -> list[OwnPicture]:
    """Those of which the service would answer another digit first."""
    recogniser = Recogniser(model)

    def answer(picture: OwnPicture) -> int:
        data = picture.path.read_bytes()
        return recogniser.recognise(data, MAX_PIXELS).ranking()[0][0]

    return [picture for picture in pictures if answer(picture) != picture.label]


def report(
    held_back: list[OwnPicture],
    wrong_before: list[OwnPicture] | None,
    wrong_after: list[OwnPicture],
) -> None:
    print("Held-back pictures read right:")
    if wrong_before is not None:
        print(f"before: {share_right(wrong_before, held_back)}")
    print(f"after:  {share_right(wrong_after, held_back)}")
    if wrong_after:
        print(f"Misread: {named([picture.path for picture in wrong_after])}.")


def share_right(wrong: list[OwnPicture], pictures: list[OwnPicture]) -> str:
    right, total = len(pictures) - len(wrong), len(pictures)
    return f"{right} of {total} ({100 * right / total:.1f} %)"


def put_in_place(new_file: Path, model_file: Path) -> None:
    """Replace the model; the one before is kept under the time at which it was."""
    if model_file.exists():
        kept = model_file.with_suffix(f".{datetime.now():%Y%m%d-%H%M%S}.keras")
        shutil.copy2(model_file, kept)
        print(f"The model before is kept as {kept.name}.")
    new_file.replace(model_file)
    print(f"{model_file.name} is the new model; `make run` serves it.")
