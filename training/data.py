"""Load the digit sets that the model is trained and scored on, each in its own form.

A glyph is a uint8 (height, width) map of ink, 255 where black. Strokes are a list of
float32 (points, 2) arrays of x, y with y down. A picture is the bytes of a JPEG or PNG.
Labels are 0…9, or NO_DIGIT for negatives.
"""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import cv2
import numpy as np

NO_DIGIT = 10
# Letters and signs that are written like some digit: as negatives they would lower
# the confidence on real digits.
LOOKALIKES = frozenset("OoIliSsZzqgbBD")
LOOKALIKE_SIGNS = frozenset({"slash", "minus", "z"})
# Every nth letter is held out, to evaluate the confidence on what is no digit.
LETTER_TEST_EVERY = 5
FASHION_TRAINING = 5_000
MNIST_VALIDATION = 5_000


class Sample(NamedTuple):
    """`content` is a glyph, strokes, or a picture's bytes; `source` names the set."""

    content: np.ndarray | list[np.ndarray] | bytes
    label: int
    source: str


def read_idx(path: Path) -> np.ndarray:
    data = gzip.decompress(path.read_bytes())
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", dimensions, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def mnist(directory: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Part "train" or "t10k". Without the files Keras downloads the same pixels."""
    folder = directory / "mnist"
    if folder.is_dir():
        return read_idx(folder / f"{part}-images-idx3-ubyte.gz"), read_idx(
            folder / f"{part}-labels-idx1-ubyte.gz"
        )
    import keras  # takes seconds, which the processes that render do without

    return keras.datasets.mnist.load_data()[0 if part == "train" else 1]


def glyphs_of(images: np.ndarray, labels: np.ndarray, source: str) -> list[Sample]:
    return [
        Sample(image, int(label), source)
        for image, label in zip(images, labels, strict=True)
    ]


def mnist_training(directory: Path) -> list[Sample]:
    images, labels = mnist(directory, "train")
    return glyphs_of(images[:-MNIST_VALIDATION], labels[:-MNIST_VALIDATION], "mnist")


def mnist_validation(directory: Path) -> list[Sample]:
    images, labels = mnist(directory, "train")
    return glyphs_of(images[-MNIST_VALIDATION:], labels[-MNIST_VALIDATION:], "mnist")


def bhmsds(directory: Path) -> list[Sample]:
    with np.load(directory / "bhmsds.npz") as archive:
        images, labels, names = (
            255 - archive["x"],
            archive["y"],
            archive["classes"].tolist(),
        )
    classes = [int(name) if name.isdigit() else NO_DIGIT for name in names]
    return [
        Sample(image, classes[label], "bhmsds")
        for image, label in zip(images, labels, strict=True)
        if names[label] not in LOOKALIKE_SIGNS
    ]


def zipped(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """Folder, stem and bytes of every picture in an archive, in the archive's order."""
    with ZipFile(path) as archive:
        for name in archive.namelist():
            entry = Path(name)
            if entry.suffix.lower() in {".png", ".jpg", ".jpeg"}:
                yield entry.parent.name, entry.stem, archive.read(name)


def handwritten62(directory: Path, part: str = "train") -> list[Sample]:
    """Photo crops; `part` "test" gives the letters that training leaves out."""
    samples = []
    for folder, stem, picture in zipped(directory / "handwritten62.zip"):
        if folder.isdigit():
            samples += (
                [Sample(picture, int(folder), "handwritten62")]
                if part == "train"
                else []
            )
            continue
        held_out = int(stem.rsplit("_", 1)[1]) % LETTER_TEST_EVERY == 0
        if folder[-1] not in LOOKALIKES and held_out == (part == "test"):
            samples.append(Sample(picture, NO_DIGIT, "handwritten62"))
    return samples


def hwd1000(directory: Path) -> list[Sample]:
    return [
        Sample(picture, int(folder), "hwd1000")
        for folder, _, picture in zipped(directory / "hwd1000.zip")
    ]


def pendigits(directory: Path) -> list[Sample]:
    with (directory / "pendigits.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    points = np.array([row[1:17] for row in rows], np.float32).reshape(-1, 8, 2)
    points[..., 1] = 100 - points[..., 1]
    return [
        Sample([line], int(row[-1]), "pendigits")
        for line, row in zip(points, rows, strict=True)
    ]


def fashion(directory: Path, part: str = "train") -> list[Sample]:
    images = read_idx(directory / "fashion_mnist" / "t10k-images-idx3-ubyte.gz")
    images = images[:FASHION_TRAINING] if part == "train" else images[FASHION_TRAINING:]
    return [Sample(image, NO_DIGIT, "fashion") for image in images]


def own_photos(directory: Path) -> list[Sample]:
    """A folder of one's own: `DIR/0/*.jpg` … `DIR/9/*.jpg`, PNG too."""
    return [
        Sample(path.read_bytes(), int(path.parent.name), "photos")
        for path in sorted(directory.glob("[0-9]/*"))
        if path.suffix.lower() in {".png", ".jpg", ".jpeg"}
    ]


TRAINING_SETS = {
    "bhmsds.npz": bhmsds,
    "handwritten62.zip": handwritten62,
    "hwd1000.zip": hwd1000,
    "pendigits.csv": pendigits,
    "fashion_mnist": fashion,
}


def training_samples(directory: Path, photos: Path | None = None) -> list[Sample]:
    """MNIST, those of TRAINING_SETS that are there, and the user's own photos."""
    samples = mnist_training(directory)
    for name, load in TRAINING_SETS.items():
        if (directory / name).exists():
            samples += load(directory)
    return samples + (own_photos(photos) if photos else [])


def evaluation_sets(directory: Path) -> dict[str, list[Sample]]:
    """Pictures that training never sees, as the bytes that a client would send.

    Besides the sets by name, every folder that has folders `0` to `9` is one.
    """
    sets = {
        folder.name: own_photos(folder)
        for folder in sorted(directory.iterdir())
        if (folder / "0").is_dir()
    }
    if (directory / "mnist").is_dir() or not sets:
        sets["mnist"] = glyphs_of(*mnist(directory, "t10k"), "mnist")
    if (directory / "optdigits.npz").exists():
        with np.load(directory / "optdigits.npz") as archive:
            sets["optdigits"] = glyphs_of(archive["x"], archive["y"], "optdigits")
    for name in ("photos_mit", "photos_dev"):
        if (directory / f"{name}.zip").exists():
            pictures = zipped(directory / f"{name}.zip")
            sets[name] = [Sample(data, int(digit), name) for digit, _, data in pictures]
    return {name: [as_picture(s) for s in samples] for name, samples in sets.items()}


def as_picture(sample: Sample) -> Sample:
    if isinstance(sample.content, bytes):
        return sample
    return sample._replace(content=cv2.imencode(".png", sample.content)[1].tobytes())
