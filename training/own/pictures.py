"""Pictures of one's own: read from folders 0 to 9, and a tenth of them held back."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from recognition.decoding import InvalidImage

DIGITS = range(10)
# With fewer, too few are held back to tell anything.
FEWEST = 20
HELD_BACK_SHARE = 0.1
# Of many files so many are named.
NAMED = 10


class CannotTrain(ValueError):
    """The message, a sentence, says why."""


class OwnPicture(NamedTuple):
    """`content`: what the training needs of it; `digest` is that of the file."""

    path: Path
    label: int
    content: bytes | np.ndarray
    digest: bytes


def labelled_files(folder: Path) -> list[Path]:
    """The files in the folders 0 to 9, but for hidden ones. Raises CannotTrain."""
    if not folder.is_dir():
        raise CannotTrain(f"{folder} is not a folder.")
    files = sorted(path for path in folder.glob("[0-9]/[!.]*") if path.is_file())
    if not files:
        raise CannotTrain(
            f"{folder} has no pictures in folders 0 to 9, such as {folder}/7/one.jpg."
        )
    return files


def read_pictures(
    files: list[Path], read: Callable[[bytes], bytes | np.ndarray]
) -> list[OwnPicture]:
    """Each picture once, leaving out and naming files that cannot be read.

    `read`: the bytes of a file → `content`; raises InvalidImage.
    """
    pictures, skipped = {}, []
    for path in tqdm(files, "reading"):
        try:
            data = path.read_bytes()
            content, digest = read(data), sha256(data).digest()
        except (InvalidImage, OSError):
            skipped.append(path)
            continue
        pictures[digest] = OwnPicture(path, int(path.parent.name), content, digest)
    if skipped:
        print(
            f"Skipped {len(skipped)} of {len(files)} files, which are no readable JPEG "
            f"or PNG: {named(skipped)}."
        )
    return list(pictures.values())


def named(paths: list[Path]) -> str:
    more = len(paths) - NAMED
    names = ", ".join(map(str, paths[:NAMED]))
    return f"{names} and {more} more" if more > 0 else names


def check_pictures(pictures: list[OwnPicture], is_new: bool) -> None:
    """Raises CannotTrain if they are too few, or a new model would miss a digit."""
    if len(pictures) < FEWEST:
        raise CannotTrain(
            f"Only {len(pictures)} pictures can be read; it takes {FEWEST} at least, "
            "and some dozens of each digit to learn much."
        )
    present = {picture.label for picture in pictures}
    missing = ", ".join(str(digit) for digit in DIGITS if digit not in present)
    if missing and is_new:
        raise CannotTrain(f"A new model needs every digit; of {missing} is no picture.")
    if missing:
        print(f"No picture is of {missing}: these are read as before, or nearly.")


def hold_back(
    pictures: list[OwnPicture],
) -> tuple[list[OwnPicture], list[OwnPicture]]:
    """Those to train on, and to test on a tenth of each digit, of two at least one.

    The digests choose, so that the next training holds the same pictures back.
    """
    training, held_back = [], []
    for digit in DIGITS:
        of_digit = [each for each in pictures if each.label == digit]
        of_digit.sort(key=lambda each: each.digest)
        count = round(HELD_BACK_SHARE * len(of_digit)) or int(len(of_digit) > 1)
        held_back += of_digit[:count]
        training += of_digit[count:]
    return training, held_back
