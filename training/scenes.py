"""Render the training set once, through the service's preprocessing, on all cores."""

import os
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

import preprocessing
from preprocessing import Box
from training import draw, render
from training.data import NO_DIGIT, Sample

# How often each source is drawn from. Real photo crops are few and count for more.
SHARES = {
    "mnist": 0.29,
    "bhmsds": 0.13,
    "pendigits": 0.14,
    "chars74k": 0.13,
    "handwritten62": 0.09,
    "hwd1000": 0.05,
    "photos": 0.20,
    "forms": 0.07,
    "negatives": 0.10,
}
# Of the negatives, scenes that show nothing written at all.
EMPTY_SHARE = 0.3
# Of the bitmaps, those that are shown nearly as they are, small and coarse.
AS_IS_SHARE = 0.2
CHUNK = 1_000
# A picture of one's own may be of any size.
MAX_PIXELS = 2**31
# A crop of something else than the digit would be a wrong label: at least this share
# of the digit's box must be in the crop, and this share of the crop be that box.
LEAST_SHOWN, LEAST_FILLED = 0.75, 0.12

Sources = dict[str, list[Sample]]


def by_source(samples: list[Sample]) -> Sources:
    groups: Sources = {}
    for sample in samples:
        groups.setdefault(
            "negatives" if sample.label == NO_DIGIT else sample.source, []
        ).append(sample)
    return groups


def shows(found: Box | None, true: Box) -> bool:
    """Whether the box that was found holds the digit, and not too much else."""
    if found is None:
        return True
    width = min(found.x + found.width, true.x + true.width) - max(found.x, true.x)
    height = min(found.y + found.height, true.y + true.height) - max(found.y, true.y)
    shared = max(0, width) * max(0, height)
    is_whole = shared >= LEAST_SHOWN * true.width * true.height
    return is_whole and shared >= LEAST_FILLED * found.width * found.height


def picture_array(data: bytes) -> np.ndarray:
    picture, *_ = preprocessing.decode(data, MAX_PIXELS)
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def plain_picture(glyph: np.ndarray) -> np.ndarray:
    """A glyph in black on white with room to turn it in."""
    margin = max(glyph.shape) // 10
    paper = (cv2.BORDER_CONSTANT, None, 255)
    padded = cv2.copyMakeBorder(255 - glyph, *[margin] * 4, *paper)
    return np.repeat(padded[..., None], 3, axis=2)


def one_scene(
    rng: np.random.Generator, groups: Sources, names: list[str], shares: np.ndarray
) -> tuple[np.ndarray, int]:
    """An input of the model, uint8 (140, 90), and its label.

    Draws again where the digit was not found."""
    while True:
        name = names[rng.choice(len(names), p=shares)]
        true = None
        if name == "forms":
            label = 1 if draw.chance(rng, 0.6) else 7
            picture, true = render.scene(
                rng,
                draw.draw(rng, draw.one(rng) if label == 1 else draw.seven(rng)),
            )
        elif name == "negatives" and (
            not groups.get(name) or draw.chance(rng, EMPTY_SHARE)
        ):
            picture, label = render.empty_scene(rng), NO_DIGIT
        else:
            content, label, _ = groups[name][rng.integers(len(groups[name]))]
            if isinstance(content, bytes):
                picture = render.rephotographed(rng, picture_array(content))
            elif isinstance(content, np.ndarray) and draw.chance(rng, AS_IS_SHARE):
                picture = render.rephotographed(rng, plain_picture(content))
            else:
                picture, true = render.scene(rng, draw.draw(rng, content))
        pixels, box = preprocessing.to_model_input(picture)
        if label == NO_DIGIT or true is None or shows(box, true):
            return preprocessing.eight_bits(255 * pixels[..., 0]), label


def render_chunk(seed: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    drawn = ("forms", "negatives")
    names = [name for name in SHARES if name in drawn or _groups.get(name)]
    shares = np.array([SHARES[name] for name in names])
    scenes = [
        one_scene(rng, _groups, names, shares / shares.sum()) for _ in range(CHUNK)
    ]
    return np.stack([pixels for pixels, _ in scenes]), np.array(
        [label for _, label in scenes], np.uint8
    )


_groups: Sources = {}


def start_worker(load: Callable[..., list[Sample]], folders: tuple) -> None:
    _groups.update(by_source(load(*folders)))


def render_set(
    folder: Path, count: int, seed: int, load: Callable[..., list[Sample]], *folders
) -> None:
    """Write `count` inputs and labels into a folder, the same on any number of cores.

    images.npy is uint8 (count, 140, 90); labels.npy, written last, shows it is whole.
    Every process calls load(*folders) for its samples.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = (count, preprocessing.INPUT_HEIGHT, preprocessing.INPUT_WIDTH)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
    labels = np.empty(count, np.uint8)
    starts = range(0, count, CHUNK)
    seeds = [(seed, start) for start in starts]
    work = get_context("spawn").Pool(os.cpu_count(), start_worker, (load, folders))
    with work as pool:
        chunks = zip(starts, pool.imap(render_chunk, seeds), strict=True)
        for start, (pixels, classes) in tqdm(chunks, "rendering", len(starts)):
            size = min(CHUNK, count - start)
            images[start : start + size] = pixels[:size]
            labels[start : start + size] = classes[:size]
    images.flush()
    np.save(folder / "labels.npy", labels)
