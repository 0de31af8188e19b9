"""Pictures without a digit that training never saw, as a client would send them."""

from pathlib import Path

import cv2
import numpy as np

from training.data import NO_DIGIT, Sample, as_picture, fashion, handwritten62
from training.empty import empty_scene

# Training seeds its scenes with other numbers.
SEED = 500
RENDERED = 500


def empty_sets(directory: Path) -> dict[str, list[Sample]]:
    """Those that are there. The pictures of "rendered" come from `rendered`."""
    sets = {"rendered": [Sample(b"", NO_DIGIT, "rendered")] * RENDERED}
    if (directory / "fashion_mnist").is_dir():
        sets["fashion"] = [as_picture(sample) for sample in fashion(directory, "test")]
    if (directory / "handwritten62.zip").exists():
        sets["letters"] = handwritten62(directory, "test")
    return sets


def rendered(_data: bytes, number: int) -> bytes:
    """Paper, noise, a texture, blobs, scribbles, lines or things."""
    picture = empty_scene(np.random.default_rng((SEED, number)))
    blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", blue_first)[1].tobytes()
