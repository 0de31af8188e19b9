"""Digits of straight lines, as on a pocket calculator, drawn by hand on plain paper.

In a style that training leaves out.
"""

import numpy as np

from recognition.framing import array_inputs
from training import forms
from training.compositions import bounds
from training.data import Sample
from training.draw import draw
from training.evaluate.empty import SEED, png
from training.render import (
    TIGHT_SHARE,
    camera,
    coloured,
    ink_colour,
    lit_paper,
    place,
    scene_size,
    tinted,
)
from training.scenes import is_readable

COUNT = 200


def straight_digits() -> list[Sample]:
    """As many of each digit, as the bytes that a client would send."""
    return [straight_digit(number) for number in range(COUNT)]


def straight_digit(number: int) -> Sample:
    """Photographed so that the service finds it."""
    rng, digit = np.random.default_rng((SEED, number)), number % 10
    while True:
        ink = draw(rng, forms.straight(rng, digit, forms.HELD_BACK_STYLE))
        size = scene_size(rng)
        sheet, _ = place(rng, ink, *size, TIGHT_SHARE)
        paper = coloured(rng, lit_paper(rng, *size), 0.08)
        picture = camera(rng, paper * (1 - tinted(sheet, 1 - ink_colour(rng))))
        pixels, found = next(array_inputs(picture))
        # The camera changes the size of some pictures.
        is_whole = picture.shape[:2] == size and max(bounds(sheet)) > 0
        if is_whole and is_readable(picture, pixels, found, bounds(sheet)):
            return Sample(png(picture), digit, "straight")
