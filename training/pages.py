"""Compose pages of handwritten digits, and see them as the service does.

A page is written as ink, photographed, and goes through the service's own functions;
the result is what the detector sees, with a box for every digit.
"""

import os
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from recognition.detection import STRONGEST, detailed_ink, detector_input
from recognition.illumination import candidate_views
from training.data import fashion
from training.draw import Rng, between, chance
from training.empty import empty_scene
from training.glyphs import Bank, load_bank
from training.layouts import LAYOUTS, Sheet, choose
from training.photos import photographed

# Height and width of the pages, all of the same area, and how often each is composed.
SHAPES = {(192, 192): 0.5, (128, 288): 0.25, (96, 384): 0.17, (288, 128): 0.08}
# What is on a page, and how often.
KINDS = {
    "rows": 0.29,
    "row": 0.14,
    "tight": 0.27,
    "single": 0.05,
    "words": 0.09,
    "print": 0.03,
    "thing": 0.05,
    "empty": 0.08,
}
# Tight crops share a page, so many pixels apart.
APART = 12
# How often a page with digits is a picture of few pixels, enlarged for the detector.
COARSE_SHARE = 0.35
# The least correlation of what is seen with what was drawn: else the ink was taken for
# paper.
LEAST_CORRELATION = 0.25
# A page as bytes: this is the usual strength of strokes.
FULL = 170
CHUNK = 200
Boxes = list[tuple[float, float, float, float, int]]


def seen(picture: np.ndarray) -> np.ndarray:
    """What the detector sees of a picture: float32 (height, width)."""
    return detector_input(detailed_ink(next(candidate_views(picture))))


def resized(pixels: np.ndarray, scale: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    size = max(8, round(width * scale)), max(8, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(pixels, size, interpolation=interpolation)


def view_of(rng: Rng, sheet: Sheet) -> np.ndarray | None:
    """The sheet as the detector sees it; None if the ink was taken for paper."""
    heights = [bottom - top for _, top, _, bottom, _ in sheet.boxes]
    coarse = 1.0
    if heights and chance(rng, COARSE_SHARE):
        coarse = min(1, between(rng, 10, 30) / np.median(heights))
    small = Sheet(*resized(sheet.ink, coarse).shape) if coarse < 1 else sheet
    if coarse < 1:
        small.ink = resized(sheet.ink, coarse)
        small.boxes = [
            (*(coarse * side for side in box[:4]), box[4]) for box in sheet.boxes
        ]
    ink = seen(photographed(rng, small))
    ink = cv2.resize(ink, sheet.ink.shape[::-1]) if coarse < 1 else ink
    if (
        sheet.boxes
        and np.corrcoef(ink[::2, ::2].ravel(), sheet.ink[::2, ::2].ravel())[0, 1]
        < LEAST_CORRELATION
    ):
        return None
    return ink


def without_digits(
    rng: Rng, kind: str, things: list, height: int, width: int
) -> np.ndarray:
    """The ink of a picture of something else, or of nothing."""
    if kind == "thing" and things:
        thing = things[rng.integers(len(things))].content
        picture = thing if chance(rng, 0.5) else 255 - thing
    else:
        picture = empty_scene(rng)
    if chance(rng, 0.3):
        picture = np.tile(picture, (1, 2) + (1,) * (picture.ndim - 2))
    fit = min(height / picture.shape[0], width / picture.shape[1])
    return seen(resized(picture, fit * between(rng, 0.5, 1)))


def page(
    rng: Rng, bank: Bank, things: list, shape: tuple[int, int]
) -> tuple[np.ndarray, Boxes]:
    """What the detector sees, uint8 of that shape, and left, top, right, bottom and
    label of every digit.
    """
    kind, canvas, boxes = choose(rng, KINDS), np.zeros(shape, np.uint8), []
    if kind not in LAYOUTS:
        paste(canvas, without_digits(rng, kind, things, *shape), 0, 0)
        return canvas, boxes
    left = top = lowest = 0
    while True:
        size = shape if kind == "tight" else smaller(rng, *shape)
        sheet = LAYOUTS[kind](rng, bank, *size)
        ink = view_of(rng, sheet)
        if ink is None:
            continue
        if left + ink.shape[1] > shape[1]:
            left, top, lowest = 0, lowest, 0
        if top + ink.shape[0] > shape[0] and boxes:
            return canvas, boxes
        paste(canvas, ink, left, top)
        boxes += [
            (x0 + left, y0 + top, x1 + left, y1 + top, label)
            for x0, y0, x1, y1, label in sheet.boxes
        ]
        if kind != "tight":
            return canvas, boxes
        left += ink.shape[1] + APART
        lowest = max(lowest, top + ink.shape[0] + APART)


def paste(canvas: np.ndarray, ink: np.ndarray, left: int, top: int) -> None:
    place = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
    ink = ink[: place.shape[0], : place.shape[1]]
    place[:] = np.clip(FULL * ink, 0, FULL * STRONGEST)


def smaller(rng: Rng, height: int, width: int) -> tuple[int, int]:
    """The whole page, or one that leaves a part of it empty."""
    if chance(rng, 0.65):
        return height, width
    return max(24, int(height * between(rng, 0.4, 1))), max(
        24, int(width * between(rng, 0.5, 1))
    )


_material: list = []


def start_worker(bank: Path, directory: Path) -> None:
    has_things = (directory / "fashion_mnist").is_dir()
    _material[:] = load_bank(bank), fashion(directory) if has_things else []


def chunk_of_pages(job: tuple) -> tuple[np.ndarray, list[Boxes]]:
    shape, seed = job
    rng = np.random.default_rng(seed)
    pages = [page(rng, *_material, shape) for _ in range(CHUNK)]
    return np.stack([ink for ink, _ in pages]), [boxes for _, boxes in pages]


def draw_pages(
    bank: Path, directory: Path, count: int, seed: int, folder: Path
) -> None:
    """Write about `count` pages, the same on any number of cores, and their boxes.

    For each of SHAPES, HxW.npy is uint8 (pages, H, W) and boxes-HxW.npy float32 (boxes,
    6): the number of the page, left, top, right, bottom, label.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pool = get_context("spawn").Pool(os.cpu_count(), start_worker, (bank, directory))
    with pool:
        for shape, share in SHAPES.items():
            chunks = round(share * count / CHUNK)
            name = f"{shape[0]}x{shape[1]}.npy"
            inks = np.lib.format.open_memmap(
                folder / name, "w+", np.uint8, (chunks * CHUNK, *shape)
            )
            boxes, jobs = [], [(shape, (seed, *shape, n)) for n in range(chunks)]
            done = pool.imap(chunk_of_pages, jobs)
            for number, (pages, found) in enumerate(tqdm(done, name, chunks)):
                start = number * CHUNK
                inks[start : start + CHUNK] = pages
                for place, of_page in enumerate(found, start):
                    boxes += [(place, *box) for box in of_page]
            inks.flush()
            np.save(folder / f"boxes-{name}", np.array(boxes, np.float32))
