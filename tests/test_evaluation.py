"""What the evaluation promises to those who read its tables."""

from pathlib import Path

import numpy as np
import pytest
from pictures import RESOURCES
from PIL import Image

from preprocessing import decode
from training.evaluate import packaging
from training.evaluate.corruptions import CORRUPTIONS, corrupt

DIGIT = min((RESOURCES / "mnist_sample" / "3").iterdir())
PHOTO = RESOURCES / "photos_mit" / "5" / "5_101.jpg"


def lossless_kinds(path: Path) -> list[str]:
    image = packaging.open_picture(path.read_bytes())
    return [kind for kind, v in packaging.VARIANTS.items() if v.keeps(image)]


@pytest.fixture
def digit():
    return np.asarray(Image.open(DIGIT))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_the_picture_the_same_way_each_time(name, digit):
    first, again = (corrupt(name, digit, 3) for _ in range(2))
    assert (first.shape, first.dtype) == (digit.shape, digit.dtype)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, digit)


@pytest.mark.parametrize(
    ("path", "kind"),
    [(path, kind) for path in (DIGIT, PHOTO) for kind in lossless_kinds(path)],
    ids=lambda value: value if isinstance(value, str) else value.parent.parent.name,
)
def test_what_is_called_lossless_decodes_to_the_same_picture(path, kind):
    image = packaging.open_picture(path.read_bytes())
    shown, *_ = decode(packaging.VARIANTS[kind].write(image), 10**6)
    same = np.asarray(image.convert("RGB" if shown.ndim == 3 else image.mode))
    assert any(np.array_equal(shown, picture) for picture in (same, 255 - same))
