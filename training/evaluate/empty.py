"""Pictures without a digit that training never saw, as a client would send them."""

from pathlib import Path

import cv2
import numpy as np

from training import empty
from training.data import NO_DIGIT, Sample, as_picture, fashion, handwritten62

# Training seeds its scenes with other numbers.
SEED = 500
COUNT = 500
RENDERED = {
    "paper_noise_textures": empty.background,
    "scribbles_lines_shapes": empty.distractor,
}


def empty_sets(directory: Path) -> dict[str, list[Sample]]:
    """The sets in the folder, and the rendered ones, which `rendered` makes."""
    sets = {name: [Sample(b"", NO_DIGIT, name)] * COUNT for name in RENDERED}
    if (directory / "fashion_mnist").is_dir():
        sets["fashion"] = [as_picture(sample) for sample in fashion(directory, "test")]
    if (directory / "handwritten62.zip").exists():
        sets["letters"] = handwritten62(directory, "test")
    return sets


def rendered(name: str, _data: bytes, number: int) -> bytes:
    """A PNG of one of RENDERED."""
    picture = RENDERED[name](np.random.default_rng((SEED, number)))
    blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", blue_first)[1].tobytes()
