"""The digits, letters and signs that pages are composed of, drawn once."""

import os
from collections.abc import Iterable
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from recognition.decoding import opaque
from training import data
from training.data import NO_DIGIT, Sample
from training.draw import Rng, chance, draw
from training.forms import form
from training.signs import sign

# Longer side of a glyph in pixels.
SIDE = 72
# How many are drawn from each source; the sets are drawn from again when they are
# smaller. Of pendigits, whose pen lifts are lost, these digits have a joining line.
DIGITS = {
    "mnist": 8_000,
    "bhmsds": 4_500,
    "handwritten62": 1_800,
    "hwd1000": 1_000,
    "pendigits": 1_800,
    "forms": 3_500,
}
JOINED = {4, 5, 7}
LETTERS, LETTER_SIGNS, LOOKALIKES, SIGNS = 4_000, 800, 1_200, 2_000
# The label of a letter that is written like some digit.
LOOKALIKE = 11
# The test pages need this part of the glyphs.
TEST_PARTS = 8
# Real photo crops keep their own ink so often.
OWN_INK_SHARE = 0.7
# Paper and ink of a photo crop: quantiles of its grey levels, in percent, the distance
# from paper that is noise, and the least between the two.
PAPER, DARKEST, NOISE, LEAST_CONTRAST = 80, 3, 8, 20
# Ink that belongs to the glyph, of 1; fewer pixels of it are no glyph.
INKED, LEAST_PIXELS = 0.25, 12


class Glyph(NamedTuple):
    """`ink`: uint8 (height, width), trimmed, the longer side SIDE; `label`: 0…9,
    NO_DIGIT or LOOKALIKE; `stroke`: the usual width of its strokes in pixels; `height`
    and `drop`: of a sign, its longer side over the height of the digits beside it, and
    how far below their middle it stands.
    """

    ink: np.ndarray
    label: int
    stroke: float
    height: float = 1.0
    drop: float = 0.0


class Bank:
    """Glyphs by label, the digits of each sorted by the width of their strokes."""

    def __init__(self, glyphs: list[Glyph]) -> None:
        glyphs = sorted(glyphs, key=lambda glyph: glyph.stroke)
        self.digits = [[g for g in glyphs if g.label == digit] for digit in range(10)]
        others = [glyph for glyph in glyphs if glyph.label == NO_DIGIT]
        self.lookalikes = [g for g in glyphs if g.label == LOOKALIKE]
        self.letters = [g for g in others if g.height == 1]
        self.signs = [g for g in others if g.height != 1]

    def digit(self, rng: Rng, label: int, place: float) -> Glyph:
        """A digit whose strokes are about as wide: at `place`, 0 to 1, of all."""
        glyphs = self.digits[label]
        near = np.clip(place + rng.normal(0, 0.03), 0, 1)
        return glyphs[round(near * (len(glyphs) - 1))]


def photo_ink(picture: bytes) -> np.ndarray:
    """The ink of a photo crop, uint8."""
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    grey = opaque(pixels).astype(np.float32)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    paper, darkest = np.percentile(grey, (PAPER, DARKEST))
    contrast = max(paper - NOISE - darkest, LEAST_CONTRAST)
    return (255 * np.clip((paper - NOISE - grey) / contrast, 0, 1)).astype(np.uint8)


def trimmed(ink: np.ndarray) -> np.ndarray | None:
    """Ink in [0, 1] → uint8 whose longer side is SIDE; None if there is hardly any."""
    if np.count_nonzero(ink > INKED) < LEAST_PIXELS:
        return None
    left, top, width, height = cv2.boundingRect((ink > INKED).astype(np.uint8))
    scale = SIDE / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    ink = ink[top : top + height, left : left + width].astype(np.float32)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.rint(
        255 * np.clip(cv2.resize(ink, size, None, 0, 0, interpolation), 0, 1)
    ).astype(np.uint8)


def stroke_of(ink: np.ndarray) -> float:
    mask = cv2.copyMakeBorder((ink > 100).astype(np.uint8), 1, 1, 1, 1, 0)
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    return 4 * float(np.median(depth[mask > 0])) if mask.any() else 1.0


def drawn(job: tuple[int, Sample | None]) -> Glyph | None:
    """One drawing of a sample, of a form of forms.py, or of a sign."""
    seed, sample = job
    rng = np.random.default_rng((seed, 7))
    height, drop = 1.0, 0.0
    if sample is None:
        content, label = form(rng)
    elif sample.source == "sign":
        (content, height, drop), label = sign(rng), NO_DIGIT
    else:
        content, label = sample.content, sample.label
    if isinstance(content, bytes):
        content = photo_ink(content)
        own = chance(rng, OWN_INK_SHARE) and sample.source == "handwritten62"
        ink = content / 255 if own else draw(rng, content)
    else:
        ink = draw(rng, content)
    glyph = trimmed(ink)
    if glyph is None:
        return None
    return Glyph(glyph, label, stroke_of(glyph), height, drop)


def sources(directory: Path) -> dict[str, list[Sample]]:
    """The samples of each set that is there, and the letters."""
    groups = {"mnist": data.mnist_training(directory)}
    for name in ("bhmsds.npz", "hwd1000.zip", "pendigits.csv"):
        if (directory / name).exists():
            samples = data.TRAINING_SETS[name](directory)
            groups[Path(name).stem] = [s for s in samples if s.label != NO_DIGIT]
            others = [s for s in samples if s.label == NO_DIGIT]
            groups |= {"letter signs": others} if others else {}
    if "pendigits" in groups:
        lines = groups["pendigits"]
        groups["pendigits"] = [s for s in lines if s.label not in JOINED]
    if (directory / "handwritten62.zip").exists():
        samples = data.handwritten62(directory)
        groups["handwritten62"] = [s for s in samples if s.label != NO_DIGIT]
        groups["letters"] = [s for s in samples if s.label == NO_DIGIT]
        groups["lookalikes"] = lookalikes(directory)
    return groups


def test_sources(directory: Path) -> dict[str, list[Sample]]:
    """Digits and letters that neither model was trained on."""
    groups = {"mnist": data.glyphs_of(*data.mnist(directory, "t10k"), "mnist")}
    if (directory / "handwritten62.zip").exists():
        groups["letters"] = data.handwritten62(directory, "test")
    return groups


def lookalikes(directory: Path) -> list[Sample]:
    return [
        Sample(picture, LOOKALIKE, "handwritten62")
        for folder, _, picture in data.zipped(directory / "handwritten62.zip")
        if not folder.isdigit() and folder[-1] in data.LOOKALIKES
    ]


def jobs(directory: Path, part: str, seed: int) -> Iterable[tuple[int, Sample | None]]:
    rng = np.random.default_rng(seed)
    is_test = part == "test"
    groups = test_sources(directory) if is_test else sources(directory)
    parts = TEST_PARTS if is_test else 1
    others = {
        "letters": LETTERS,
        "letter signs": LETTER_SIGNS,
        "lookalikes": LOOKALIKES,
    }
    for name, count in {**DIGITS, **others}.items():
        if name == "forms":
            chosen = [None] * (count // parts)
        elif groups.get(name):
            places = rng.integers(0, len(groups[name]), count // parts)
            chosen = [groups[name][place] for place in places]
        else:
            chosen = []
        yield from ((int(rng.integers(2**62)), sample) for sample in chosen)
    for _ in range(SIGNS // parts):
        yield int(rng.integers(2**62)), Sample(b"", NO_DIGIT, "sign")


def draw_bank(directory: Path, part: str, seed: int, file: Path) -> None:
    """Draw the glyphs of a part, "train" or "test", on all cores, into an .npz file."""
    work = list(jobs(directory, part, seed))
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        found = pool.imap(drawn, work, 100)
        glyphs = [g for g in tqdm(found, "drawing", len(work)) if g is not None]
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        file,
        pixels=np.concatenate([glyph.ink.reshape(-1) for glyph in glyphs]),
        sizes=np.array([glyph.ink.shape for glyph in glyphs]),
        others=np.array([glyph[1:] for glyph in glyphs]),
    )


def load_bank(file: Path) -> Bank:
    with np.load(file) as archive:
        pixels, sizes, others = (archive[n] for n in ("pixels", "sizes", "others"))
    ends = np.cumsum(sizes.prod(axis=1))
    inks = np.split(pixels, ends[:-1])
    return Bank(
        [
            Glyph(ink.reshape(size), int(label), stroke, height, drop)
            for ink, size, (label, stroke, height, drop) in zip(
                inks, sizes, others.tolist(), strict=True
            )
        ]
    )
