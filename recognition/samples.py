"""Pictures drawn here, on which a model is tried before it serves."""

from io import BytesIO
from itertools import combinations

import cv2
import numpy as np
from PIL import Image

# Strokes as points (x, y) on a page of this size in pixels, and a pen of this width.
PAGE_WIDTH, PAGE_HEIGHT, PEN = 180, 280, 14
STROKES = {
    "0": [[(90, 50), (50, 90), (45, 160), (70, 230), (110, 230), (135, 150), (90, 50)]],
    "1": [[(60, 90), (100, 50), (95, 230)]],
    "2": [[(50, 90), (90, 50), (130, 90), (100, 150), (45, 230), (140, 225)]],
    "4": [[(105, 50), (40, 160), (145, 155)], [(115, 100), (105, 235)]],
    "7": [[(45, 55), (135, 50), (80, 230)]],
}
# Degrees by which each digit is turned as well, and how much of the first digit is in
# a blend of two: about these a model is unsure, and rounded weights show.
TURNS = (-25, 25)
BLENDS = (0.35, 0.5, 0.65)


def trial_pictures() -> list[bytes]:
    """PNGs of digits: plain, turned, and two over each other; half light on dark."""
    pages = {digit: page(digit) for digit in STROKES}
    turned = [turn(each, angle) for each in pages.values() for angle in TURNS]
    blends = [
        cv2.addWeighted(pages[one], share, pages[other], 1 - share, 0)
        for one, other in combinations(pages, 2)
        for share in BLENDS
    ]
    dark = [*pages.values(), *turned, *blends]
    return [as_png(255 - each if i % 2 else each) for i, each in enumerate(dark)]


def page(digit: str) -> np.ndarray:
    """Uint8 (PAGE_HEIGHT, PAGE_WIDTH), dark on light."""
    pixels = np.full((PAGE_HEIGHT, PAGE_WIDTH), 255, np.uint8)
    for stroke in STROKES[digit]:
        cv2.polylines(pixels, [np.array(stroke)], False, 0, PEN, cv2.LINE_AA)
    return pixels


def turn(pixels: np.ndarray, degrees: float) -> np.ndarray:
    height, width = pixels.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(pixels, matrix, (width, height), borderValue=255)


def as_png(pixels: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
