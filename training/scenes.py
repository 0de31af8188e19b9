"""Render the training set once, through the service's recognition, on all cores."""

import os
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from recognition import framing
from recognition.decoding import decode, to_uint8
from recognition.illumination import candidate_views
from recognition.localization import Box
from training import compositions, draw, empty, forms, render
from training.crops import digit_of_page
from training.data import NO_DIGIT, Sample
from training.glyphs import Bank, load_bank

# How often each source is drawn from. Real photo crops are few and count for more.
SHARES = {
    "mnist": 0.40,
    "bhmsds": 0.11,
    "pendigits": 0.11,
    "handwritten62": 0.09,
    "hwd1000": 0.06,
    "photos": 0.20,
    "forms": 0.14,
    # Without a digit: letters and signs, clothes, and rendered scenes.
    "negatives": 0.055,
    "fashion": 0.055,
    "empty": 0.08,
}
# The same for the last round of training, and the kinds of compositions.py.
LAST_SHARES = {
    "mnist": 0.24,
    "bhmsds": 0.06,
    "pendigits": 0.05,
    "handwritten62": 0.06,
    "hwd1000": 0.04,
    "photos": 0.20,
    "forms": 0.10,
    "negatives": 0.06,
    "fashion": 0.06,
    "empty": 0.09,
    "pairs": 0.11,
    "fragments": 0.04,
    "frame pieces": 0.02,
    "signs": 0.02,
    "words": 0.03,
    "neighbours": 0.05,
    "crops": 0.14,
    "enclosed": 0.05,
    "straight": 0.07,
    "steep": 0.03,
    "hairlines": 0.02,
    "low resolution": 0.03,
    "scans": 0.07,
}
# Rendered, so always available.
DRAWN = ("forms", "empty", "scans", *compositions.KINDS)
# Sources of the digits in compositions, and how often each is drawn from. Of pendigits,
# whose pen lifts are lost, the digits below have a joining line.
COMPOSED = {"mnist": 0.5, "bhmsds": 0.2, "pendigits": 0.1, "forms": 0.2}
JOINED = (4, 5, 7)
# How often the service looks for a composition by itself where it may; else the box is
# given, its sides off by these shares of it: the deviation, and the widest margin.
FOUND_SHARE, BOX_DEVIATION, BOX_MARGIN = 0.5, 0.025, 0.1
# How often a composition is seen in a few blurred pixels, and how long it is then.
COARSE_SHARE, COARSE_SIDE = 0.12, (14, 28)
# How often a hairline reaches from edge to edge.
HAIRLINE_TIGHT_SHARE = 0.6
# Of the bitmaps, those that are shown nearly as they are, and of these the share in
# their own few pixels, light on dark, as MNIST itself is posted.
AS_IS_SHARES = {"mnist": 0.55, "fashion": 0.5}
AS_IS_SHARE, OWN_PIXELS_SHARE = 0.2, 0.7
# How often a picture without a digit is shown in another of the views that are pooled.
OTHER_VIEW_SHARE, VIEWS = 0.3, 4
CHUNK = 1_000
# A picture of one's own may be of any size.
MAX_PIXELS = 2**31
# A crop of something else than the digit would be a wrong label: at least this share
# of the digit's box must be in the crop, and so many pixels of the input long.
LEAST_SHOWN, SHORTEST_SHOWN = 0.75, 34
# And the input must be similar to the picture, from 0 to 1: not blank or covered.
LEAST_SIMILARITY = 0.2

Sources = dict[str, list[Sample]]


def by_source(samples: list[Sample]) -> Sources:
    groups: Sources = {}
    for sample in samples:
        is_other = sample.label == NO_DIGIT and sample.source != "fashion"
        name = "negatives" if is_other else sample.source
        groups.setdefault(name, []).append(sample)
    return groups


def shows(found: Box, true: Box) -> bool:
    """Whether the box that was found holds the digit, and large enough to be read.

    It may hold more: a stripe, a line, a whole card.
    """
    width = min(found.x + found.width, true.x + true.width) - max(found.x, true.x)
    height = min(found.y + found.height, true.y + true.height) - max(found.y, true.y)
    shared = max(0, width) * max(0, height)
    box = in_input(found, true)
    is_large = max(box.width, box.height) >= SHORTEST_SHOWN
    return is_large and shared >= LEAST_SHOWN * true.width * true.height


def in_input(found: Box, true: Box) -> Box:
    """Where in the model's input the digit is, if this box was found."""
    scale_x = framing.DIGIT_WIDTH / found.width
    scale = min(scale_x, framing.DIGIT_HEIGHT / found.height)
    left = (framing.INPUT_WIDTH - scale * found.width) / 2
    top = (framing.INPUT_HEIGHT - scale * found.height) / 2
    x, y = left + scale * (true.x - found.x), top + scale * (true.y - found.y)
    sides = x, y, scale * true.width, scale * true.height
    return Box(*(round(side) for side in sides))


def is_readable(
    picture: np.ndarray, pixels: np.ndarray, found: Box | None, true: Box
) -> bool:
    """Whether the model's input shows the digit as the picture does."""
    found = found or Box(0, 0, picture.shape[1], picture.shape[0])
    if not shows(found, true):
        return False
    box = in_input(found, true)
    return render.similarity(picture, true, pixels, box) > LEAST_SIMILARITY


def picture_array(data: bytes) -> np.ndarray:
    picture = decode(data, MAX_PIXELS).pixels
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def plain_picture(glyph: np.ndarray) -> np.ndarray:
    """A glyph in black on white with room to turn it in."""
    margin = max(glyph.shape) // 10
    paper = (cv2.BORDER_CONSTANT, None, 255)
    padded = cv2.copyMakeBorder(255 - glyph, *[margin] * 4, *paper)
    return np.repeat(padded[..., None], 3, axis=2)


def any_digit(
    rng: np.random.Generator, groups: Sources
) -> tuple[compositions.Content, int]:
    """A digit of any of COMPOSED, and which it is."""
    names = [name for name in COMPOSED if name == "forms" or groups.get(name)]
    shares = np.array([COMPOSED[name] for name in names])
    while True:
        name = names[rng.choice(len(names), p=shares / shares.sum())]
        if name == "forms":
            return forms.form(rng)
        content, label, _ = groups[name][rng.integers(len(groups[name]))]
        if not (name == "pendigits" and label in JOINED):
            return content, label


def composed_scene(
    rng: np.random.Generator, groups: Sources, name: str
) -> tuple[np.ndarray, Box, int, bool]:
    """A picture, the box in it that is to be read, its label, and whether the service
    may look for that by itself.
    """
    tight_share = HAIRLINE_TIGHT_SHARE if name == "hairlines" else render.TIGHT_SHARE
    shown = None
    while shown is None:
        made = compositions.KINDS[name](rng, partial(any_digit, groups=groups))
        shown = render.scene_of_part(rng, made.ink, made.part, tight_share)
    if name == "low resolution" or draw.chance(rng, COARSE_SHARE):
        shown = render.few_pixels(rng, *shown, COARSE_SIDE)
    return *shown, made.label, made.is_found


def framed_composition(
    rng: np.random.Generator, groups: Sources, name: str
) -> tuple[np.ndarray, int]:
    """An input of the model, float32 (140, 90, 3), and its label."""
    while True:
        picture, true, label, is_found = composed_scene(rng, groups, name)
        if is_found and draw.chance(rng, FOUND_SHARE):
            pixels, found = next(framing.array_inputs(picture))
        else:
            pixels, found = given_box(rng, picture, true)
        if is_readable(picture, pixels, found, true):
            return pixels, label


def given_box(
    rng: np.random.Generator, picture: np.ndarray, true: Box
) -> framing.ModelInput:
    """Frame what is in a box, as a detector might give it."""
    margin = BOX_MARGIN * max(0, rng.normal())
    sides = np.array([true.width, true.height])
    low, high = np.array([true.x, true.y]), np.array([true.x, true.y]) + sides
    low = low - sides * (margin + BOX_DEVIATION * rng.normal(size=2))
    high = high + sides * (margin + BOX_DEVIATION * rng.normal(size=2))
    view = next(candidate_views(picture))
    height, width = picture.shape[:2]
    scale = max(view.ink.shape) / max(height, width)
    low, high = (np.clip(corner, 0, [width, height]) for corner in (low, high))
    box = Box(*(int(n) for n in np.floor(low)), *(int(n) for n in np.ceil(high - low)))
    return framing.frame_box(
        view, framing.scale_box(box, scale, scale, view.ink.shape[::-1])
    )


def draw_scene(
    rng: np.random.Generator, groups: Sources, name: str
) -> tuple[np.ndarray, int, Box | None]:
    """A picture from a source, its label, and where the digit is if that is known."""
    if name == "empty":
        return empty.empty_scene(rng), NO_DIGIT, None
    if name == "scans":
        content, label = any_digit(rng, groups)
        picture, box = render.scan(rng, draw.draw(rng, content))
        return picture, label, box
    if name == "forms":
        content, label = forms.form(rng)
    else:
        content, label, _ = groups[name][rng.integers(len(groups[name]))]
    if isinstance(content, bytes):
        return render.rephotographed(rng, picture_array(content)), label, None
    as_is_share = AS_IS_SHARES.get(name, AS_IS_SHARE)
    if isinstance(content, np.ndarray) and draw.chance(rng, as_is_share):
        if draw.chance(rng, OWN_PIXELS_SHARE):
            picture, box = render.as_is(rng, content)
            return picture, label, box
        return render.rephotographed(rng, plain_picture(content)), label, None
    picture, box = render.scene(rng, draw.draw(rng, content))
    return picture, label, box


def one_scene(
    rng: np.random.Generator, groups: Sources, names: list[str], shares: np.ndarray
) -> tuple[np.ndarray, int]:
    """An input of the model, uint8 (140, 90), and its label.

    Draws again where the digit was not found."""
    name = names[rng.choice(len(names), p=shares)]
    if name in compositions.KINDS:
        pixels, label = framed_composition(rng, groups, name)
        return to_uint8(255 * pixels[..., 0]), label
    if name == "crops":
        pixels, label = digit_of_page(rng, *_bank)
        return to_uint8(255 * pixels[..., 0]), label
    while True:
        picture, label, true = draw_scene(rng, groups, name)
        views = framing.array_inputs(picture)
        if label == NO_DIGIT and draw.chance(rng, OTHER_VIEW_SHARE):
            views = iter(list(views)[rng.integers(1, VIEWS) :])
        pixels, found = next(views)
        is_known = label != NO_DIGIT and true is not None
        if not is_known or is_readable(picture, pixels, found, true):
            return to_uint8(255 * pixels[..., 0]), label


def render_chunk(seed: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    there = {*DRAWN, *_groups, *(["crops"] if _bank else [])}
    names = [name for name in _shares if name in there]
    shares = np.array([_shares[name] for name in names])
    scenes = [
        one_scene(rng, _groups, names, shares / shares.sum()) for _ in range(CHUNK)
    ]
    labels = np.array([label for _, label in scenes], np.uint8)
    return np.stack([pixels for pixels, _ in scenes]), labels


_groups: Sources = {}
_shares: dict[str, float] = {}
_bank: list[Bank] = []


def start_worker(
    shares: dict[str, float],
    bank: Path | None,
    load: Callable[..., list[Sample]],
    folders: tuple,
) -> None:
    _shares.update(shares)
    _bank[:] = [load_bank(bank)] if bank else []
    _groups.update(by_source(load(*folders)))


def render_set(
    folder: Path,
    count: int,
    seed: int,
    shares: dict[str, float],
    bank: Path | None,
    load: Callable[..., list[Sample]],
    *folders,
) -> None:
    """Write `count` inputs and labels into a folder, the same on any number of cores.

    images.npy is uint8 (count, 140, 90); labels.npy, written last, shows it is whole.
    Every process calls load(*folders) for its samples; the sources among them are drawn
    from in proportion to their shares. `bank`: the file of the glyphs of "crops".
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = (count, framing.INPUT_HEIGHT, framing.INPUT_WIDTH)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
    labels = np.empty(count, np.uint8)
    starts = range(0, count, CHUNK)
    seeds = [(seed, start) for start in starts]
    work = get_context("spawn").Pool(
        os.cpu_count(), start_worker, (shares, bank, load, folders)
    )
    with work as pool:
        chunks = zip(starts, pool.imap(render_chunk, seeds), strict=True)
        for start, (pixels, classes) in tqdm(chunks, "rendering", len(starts)):
            size = min(CHUNK, count - start)
            images[start : start + size] = pixels[:size]
            labels[start : start + size] = classes[:size]
    images.flush()
    np.save(folder / "labels.npy", labels)
