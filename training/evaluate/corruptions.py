"""The 15 corruptions of MNIST-C, for pictures of 28 by 28, a light digit on dark.

After Mu & Gilmer 2019, "MNIST-C: A Robustness Benchmark for Computer Vision": what
corruptions.py of GitHub google-research/mnist-c (aa07569) does at its default
severities, written anew. Each takes and gives float (28, 28), light at 1; `corrupted`
cuts off what is out of [0, 1].
"""

from itertools import pairwise, product

import cv2
import numpy as np
from skimage.feature import canny
from skimage.filters import gaussian
from skimage.transform import warp
from skimage.util import random_noise

from recognition.decoding import to_uint8

SEED = 15
SIDE = 28
MIDDLE = (SIDE - 1) / 2

PHOTONS = 3
IMPULSES = 0.17
# Standard deviation in pixels, and how often the neighbours change places.
GLASS_BLUR, GLASS_ROUNDS = 0.7, 2
# Radius and standard deviation in pixels, largest angle in degrees.
MOTION_RADIUS, MOTION_BLUR, MOTION_ANGLE = 10, 3, 45
SHEAR, TURN = 0.4, 0.4  # radians
SCALE = 0.7
BRIGHTER = 0.5
SHIFT = 3  # pixels
STRIPE = 7  # pixels
FOG, FOG_DECAY, FOG_SIDE = 3.0, 1.4, 256
# The drops: mean, deviation and blur of the noise, its level, the blur of the rims,
# from where on they are mud, and how light that is.
SPATTER, SPATTER_SPREAD, SPATTER_BLUR = 0.65, 0.3, 1
SPATTER_LEVEL, SPATTER_RIM, MUD, MUD_TONE = 0.65, 1.5, 0.8, 63 / 255
LINE_REACH = 2.3  # pixels above and below
ZIGZAG_FROM, ZIGZAG_TO = 2, 25  # columns
# Half a tooth's length, and its height, in pixels.
TOOTH_LENGTH, TOOTH_HEIGHT = 2.0, 2.0

Rng = np.random.Generator


def sign(rng: Rng) -> int:
    return int(rng.choice([-1, 1]))


def shot_noise(rng: Rng, picture: np.ndarray) -> np.ndarray:
    return rng.poisson(picture * PHOTONS) / PHOTONS


def impulse_noise(rng: Rng, picture: np.ndarray) -> np.ndarray:
    return random_noise(picture, "s&p", rng=rng, amount=IMPULSES)


def glass_blur(rng: Rng, picture: np.ndarray) -> np.ndarray:
    # The original blurs down the columns alone: it declares them to be channels.
    pixels = np.floor(255 * gaussian(picture, GLASS_BLUR, channel_axis=-1)).tolist()
    places = range(SIDE - 1, 1, -1)
    moves = rng.integers(-1, 1, (GLASS_ROUNDS, SIDE, SIDE, 2)).tolist()
    are_moved = (rng.random((GLASS_ROUNDS, SIDE, SIDE)) < 0.5).tolist()
    for turn, y, x in product(range(GLASS_ROUNDS), places, places):
        if are_moved[turn][y][x]:
            down, right = moves[turn][y][x]
            there = pixels[y + down][x + right]
            pixels[y + down][x + right], pixels[y][x] = pixels[y][x], there
    return gaussian(np.array(pixels) / 255, GLASS_BLUR, channel_axis=-1)


def motion_blur(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """ImageMagick's: half a Gaussian, trailing in one direction."""
    angle = np.deg2rad(rng.uniform(-MOTION_ANGLE, MOTION_ANGLE))
    steps = np.arange(2 * MOTION_RADIUS + 1)
    weights = np.exp(-(steps**2) / (2 * MOTION_BLUR**2))
    x, y = (np.ceil(steps * way - 0.5) for way in (np.cos(angle), np.sin(angle)))
    kernel = np.zeros((2 * len(steps) - 1, 2 * len(steps) - 1))
    last = len(steps) - 1
    np.add.at(kernel, (last + y.astype(int), last + x.astype(int)), weights)
    border = cv2.BORDER_REPLICATE
    return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=border)


def moved(picture: np.ndarray, matrix: list, shift: tuple = (0, 0)) -> np.ndarray:
    """`matrix` tells where around the middle a pixel of the new picture comes from."""
    linear = np.array(matrix)
    offset = MIDDLE - linear @ [MIDDLE, MIDDLE] + shift
    return warp(picture, np.vstack([np.column_stack([linear, offset]), [0, 0, 1]]))


def shear(rng: Rng, picture: np.ndarray) -> np.ndarray:
    angle = sign(rng) * SHEAR
    return moved(picture, [[1, -np.sin(angle)], [0, np.cos(angle)]])


def scale(rng: Rng, picture: np.ndarray) -> np.ndarray:
    return moved(picture, [[1 / SCALE, 0], [0, 1 / SCALE]])


def rotate(rng: Rng, picture: np.ndarray) -> np.ndarray:
    angle = sign(rng) * TURN
    sine, cosine = np.sin(angle), np.cos(angle)
    return moved(picture, [[cosine, -sine], [sine, cosine]])


def brightness(rng: Rng, picture: np.ndarray) -> np.ndarray:
    return picture + BRIGHTER


def translate(rng: Rng, picture: np.ndarray) -> np.ndarray:
    return moved(picture, np.eye(2), (sign(rng) * SHIFT, sign(rng) * SHIFT))


def stripe(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """A negative but for the two middle quarters."""
    striped = 1 - picture
    striped[:, STRIPE:-STRIPE] = picture[:, STRIPE:-STRIPE]
    return striped


def fog(rng: Rng, picture: np.ndarray) -> np.ndarray:
    clear = picture.max()
    return (picture + FOG * plasma(rng)[:SIDE, :SIDE]) * clear / (clear + FOG)


def plasma(rng: Rng) -> np.ndarray:
    """A height map in [0, 1] by the diamond-square algorithm, joined at its rims."""
    field = np.zeros((FOG_SIDE, FOG_SIDE))
    step, height = FOG_SIDE, 100.0

    def disturbed_mean(four: np.ndarray) -> np.ndarray:
        return four / 4 + height * rng.uniform(-height, height, four.shape)

    while step > 1:
        half = step // 2
        corners = field[::step, ::step]
        columns = corners + np.roll(corners, -1, 0)
        rows = corners + np.roll(corners, -1, 1)
        field[half::step, half::step] = disturbed_mean(rows + np.roll(rows, -1, 0))
        centres = field[half::step, half::step]
        across = rows + centres + np.roll(centres, 1, 0)
        field[::step, half::step] = disturbed_mean(across)
        down = columns + centres + np.roll(centres, 1, 1)
        field[half::step, ::step] = disturbed_mean(down)
        step, height = half, height / FOG_DECAY
    field -= field.min()
    return field / field.max()


def spatter(rng: Rng, picture: np.ndarray) -> np.ndarray:
    liquid = rng.normal(SPATTER, SPATTER_SPREAD, picture.shape)
    drops = (gaussian(liquid, SPATTER_BLUR) > SPATTER_LEVEL).astype(float)
    drops = gaussian(drops, SPATTER_RIM)
    drops[drops < MUD] = 0
    return picture * (1 - drops) + MUD_TONE * drops


def line(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    """A soft line between two points (x, y), the first on the left."""
    (left, top), (right, bottom) = start, end
    sheet = np.zeros((SIDE, SIDE))
    if left == right:
        return sheet
    columns = slice(int(np.floor(left)), int(np.ceil(right)))
    x, y = np.arange(SIDE)[None, columns], np.arange(SIDE)[:, None]
    away = np.abs(y - top - (bottom - top) / (right - left) * (x - left))
    near = np.minimum(away / LINE_REACH, 1 - 1e-9)
    sheet[:, columns] = np.maximum(1 + np.log(1 - near), 0)
    return sheet


def dotted_line(rng: Rng, picture: np.ndarray) -> np.ndarray:
    start, end = rng.integers(0, SIDE - 1, 2).tolist()
    dots = line((0, start), (SIDE - 1, end))
    dots[:, np.arange(SIDE) % 4 < 2] = 0
    return picture + dots


def zigzag(rng: Rng, picture: np.ndarray) -> np.ndarray:
    height, rise = int(rng.integers(0, SIDE - 1)), int(rng.integers(-5, 5))
    width = ZIGZAG_TO - ZIGZAG_FROM
    angle, length = np.arctan(rise / width), np.hypot(rise, width)
    points = [(0.0, 0.0)]
    for tooth in range(int((length - TOOTH_LENGTH) // (2 * TOOTH_LENGTH)) + 1):
        side = -1 if tooth % 2 else 1
        points.append(((2 * tooth + 1) * TOOTH_LENGTH, side * TOOTH_HEIGHT))
    rest = length % (2 * TOOTH_LENGTH)
    points.append((length, side * TOOTH_HEIGHT / (2 * rest)))
    sine, cosine = np.sin(angle), np.cos(angle)
    turned = np.array(points) @ np.array([[cosine, sine], [-sine, cosine]])
    corners = turned + np.array([ZIGZAG_FROM, height])
    return picture + sum(line(*ends) for ends in pairwise(corners.tolist()))


def canny_edges(rng: Rng, picture: np.ndarray) -> np.ndarray:
    return canny(picture).astype(float)


CORRUPTIONS = {
    corruption.__name__: corruption
    for corruption in (
        shot_noise,
        impulse_noise,
        glass_blur,
        motion_blur,
        shear,
        scale,
        rotate,
        brightness,
        translate,
        stripe,
        fog,
        spatter,
        dotted_line,
        zigzag,
        canny_edges,
    )
}


def corrupt(name: str, picture: np.ndarray, number: int) -> np.ndarray:
    """uint8 (28, 28), and the number of the picture in its set → the same form."""
    rng = np.random.default_rng((SEED, list(CORRUPTIONS).index(name), number))
    return to_uint8(255 * CORRUPTIONS[name](rng, picture / 255))


def corrupted(name: str, data: bytes, number: int) -> bytes:
    """The same on the bytes of a PNG."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return cv2.imencode(".png", corrupt(name, picture, number))[1].tobytes()
