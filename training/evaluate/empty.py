"""Pictures that do not show one digit, and that training never saw, as a client would
send them.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np

from recognition.framing import array_inputs
from training import compositions, empty
from training.compositions import Composition
from training.data import (
    NO_DIGIT,
    Sample,
    as_picture,
    fashion,
    handwritten62,
    mnist_validation,
)
from training.draw import Rng
from training.render import scene_of_part
from training.scenes import is_readable

# Training seeds its scenes with other numbers.
SEED = 500
COUNT = 500
RENDERED = {
    "paper_noise_textures": empty.background,
    "scribbles_lines_shapes": empty.distractor,
}
# Of digits that training never sees.
COMPOSED = {
    "pairs": compositions.pair,
    "fragments": compositions.fragment,
    "signs": compositions.lone_sign,
    "frame_pieces": compositions.frame_piece,
}


def empty_sets(directory: Path) -> dict[str, list[Sample]]:
    """The sets in the folder, and those that `rendered` makes."""
    has_digits = (directory / "mnist").is_dir()
    names = (*RENDERED, *COMPOSED) if has_digits else RENDERED
    sets = {name: [Sample(b"", NO_DIGIT, name)] * COUNT for name in names}
    if (directory / "fashion_mnist").is_dir():
        sets["fashion"] = [as_picture(sample) for sample in fashion(directory, "test")]
    if (directory / "handwritten62.zip").exists():
        sets["letters"] = handwritten62(directory, "test")
    return sets


def rendered(directory: Path, name: str, _data: bytes, number: int) -> bytes:
    """A PNG of one of RENDERED or COMPOSED."""
    rng = np.random.default_rng((SEED, number))
    if name in RENDERED:
        return png(RENDERED[name](rng))
    pick = partial(held_out_digit, digits=held_out_digits(directory))
    return png(framed_as_one(rng, partial(COMPOSED[name], rng, pick)))


def png(picture: np.ndarray) -> bytes:
    blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", blue_first)[1].tobytes()


@cache
def held_out_digits(directory: Path) -> list[Sample]:
    return mnist_validation(directory)


def held_out_digit(rng: Rng, digits: list[Sample]) -> tuple[np.ndarray, int]:
    content, label, _ = digits[rng.integers(len(digits))]
    return content, label


def framed_as_one(rng: Rng, compose: Callable[[], Composition]) -> np.ndarray:
    """A scene in which the service takes a whole composition for the digit."""
    while True:
        made = compose()
        shown = made.is_found and scene_of_part(rng, made.ink, made.part)
        if not shown:
            continue
        picture, box = shown
        pixels, found = next(array_inputs(picture))
        if is_readable(picture, pixels, found, box):
            return picture
