"""Picture bytes → the model's input: upright, the digit found, black on white."""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image
from simplejpeg import decode_jpeg, decode_jpeg_header

from cohort import stage_ends

INPUT_WIDTH, INPUT_HEIGHT = 90, 140
# The digit fills at most this much of the input; the rest is paper.
DIGIT_WIDTH, DIGIT_HEIGHT = 72, 116
# Longest side in pixels of what the digit is cut from: one that is a tenth as high
# still has as many pixels as the digits of MNIST.
DETAIL_SIDE = 2 * INPUT_HEIGHT
# Longest side of the copy on which the digit is looked for.
SEARCH_SIDE = INPUT_HEIGHT
# Longest sides of the copies on which the paper's brightness, the tones and the
# colours are measured.
PAPER_SIDE, CLOSING_SIDE, TONES_SIDE, COLOUR_SIDE = 32, 64, 64, 32

# Pictures of less than twice this side are copied whole, others in strips of which
# each becomes so many rows.
COPIED_SIDE, STRIP_ROWS = 4 * DETAIL_SIDE, 8
# EXIF orientations by what was done to the picture; a turn is a flip of a diagonal.
TURNED, MIRRORED, UPSIDE_DOWN = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)

# What JPEG can have, and a hairline PNG should: each row of a picture costs time.
LONGEST_SIDE = 65_535
# Each scan of a progressive JPEG passes over all of it; cameras write about ten.
START_OF_SCAN, MAX_SCANS = b"\xff\xda", 30
# `bytes.count` takes three times as long for what so often begins alike.
SCANS = re.compile(START_OF_SCAN)
JPEG_SIGNATURE = b"\xff\xd8\xff"
# What tells how to decode a JPEG, by bytes that are nowhere in coded data: its scans,
# perhaps its orientation, and a frame that is not a baseline one of 8 bits and the
# usual sampling. For some other samplings simplejpeg raises KeyError, and for a
# lossless frame it writes beyond its memory.
MARKERS = re.compile(
    rb"""\xff (?= [\xda\xe1\xc0-\xc3\xc5-\xcf]) (?: (?P<scan> \xda) | (?P<exif> \xe1)
        | (?P<not_plain> (?! \xc0 \x00 (?:
            \x0b \x08 .{4} \x01 . \x11 .                                      # grey
            | \x11 \x08 .{4} \x03 . [\x11\x12\x21\x22] . (?: . \x11 . ){2}    # colour
        )))
    )""",
    re.DOTALL | re.VERBOSE,
)
# The colours that such a JPEG may have, and what they are decoded to.
SPACES = {"Gray": "GRAY", "YCbCr": "RGB"}
# Ink on darker paper would be blown up with its noise.
DARKEST_PAPER = 24
# Below this a picture's deviation from its paper is rounding error.
EVEN = 1e-3
# Ink that is nowhere stronger.
FAINT = 0.15
# The paper's fit has come to its end when it moves by less than this, in grey levels.
SETTLED = 1
# A line of ruled paper crosses at least this much of the picture.
LINE_SHARE = 0.75
# Keeps the fit of the paper solvable in pictures of a pixel's width or height.
RIDGE = 1e-6 * np.eye(6)
# Pictures are prepared side by side already, one in each thread.
cv2.setNumThreads(1)
# The size is checked against the caller's limit before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


class InvalidImage(ValueError):
    """The bytes are no picture that can be read; the message is for the client."""


class TooManyPixels(InvalidImage):
    """The picture is larger than the limit; the message is for the client."""


class Box(NamedTuple):
    """Where the digit was found, in pixels."""

    x: int
    y: int
    width: int
    height: int


class Prepared(NamedTuple):
    """`pixels`: float32 (140, 90, 3) in [0, 1], ink dark; `format`: "JPEG" or "PNG".

    `box` is in pixels of the upright picture, None when the whole frame was read.
    """

    pixels: np.ndarray
    box: Box | None
    format: str


class Stored(NamedTuple):
    """`pixels` as in the file, perhaps of a fraction of its `size`, width and height.

    `orientation`: EXIF's, 1 to 8; damaged files hold any number there, or text.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    orientation: object
    format: str


def prepare(data: bytes, max_pixels: int = 64_000_000) -> Prepared:
    """Turn the bytes of a JPEG or PNG into the model's input.

    Raises TooManyPixels for more than `max_pixels`, going by the header, and
    InvalidImage for whatever else cannot be read.
    """
    return next(looks(data, max_pixels))


def looks(data: bytes, max_pixels: int) -> Iterator[Prepared]:
    """What `prepare` gives, then other ways to see the picture, if that is no digit."""
    picture, (width, height), picture_format = decode(data, max_pixels)
    stage_ends()
    scale = width / picture.shape[1], height / picture.shape[0]
    for pixels, found in model_inputs(picture):
        box = found and scale_box(found, *scale, (width, height))
        yield Prepared(pixels, box, picture_format)


# Bytes → array


def decode(data: bytes, max_pixels: int) -> tuple[np.ndarray, tuple[int, int], str]:
    """Read a picture upright, at most DETAIL_SIDE long, as uint8 (height, width[, 3]).

    Also returns its upright (width, height) before any reduction, and its format.
    """
    try:
        stored = plain_jpeg(data, max_pixels) or by_pillow(data, max_pixels)
        picture = upright(to_array(stored.pixels), stored.orientation)
    except InvalidImage:
        raise
    # Pillow asserts that a PNG with a palette has one.
    except (OSError, SyntaxError, ValueError, OverflowError, AssertionError) as error:
        message = "The file is not a JPEG or PNG picture that can be read."
        raise InvalidImage(message) from error
    size = stored.size[::-1] if stored.orientation in TURNED else stored.size
    return picture, size, stored.format


def by_pillow(data: bytes, max_pixels: int) -> Stored:
    image = opened(data)
    check_size(image.size, max_pixels)
    # Phones put several JPEGs into one file (MPO); the first is the photo.
    picture_format = "PNG" if image.format == "PNG" else "JPEG"
    if picture_format == "JPEG" and has_too_many_scans(data):
        raise InvalidImage(f"A JPEG may have at most {MAX_SCANS} scans.")
    size = image.size
    image.draft(None, fraction_of(size))
    image.load()
    return Stored(shrunk(image), size, orientation_of(image), picture_format)


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data), formats=("JPEG", "PNG"))


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Refuse, going by the header, what would take too long to decode."""
    if size[0] * size[1] > max_pixels:
        raise TooManyPixels(f"A picture may have at most {max_pixels:,} pixels.")
    if max(size) > LONGEST_SIDE:
        sides = f"A picture may be at most {LONGEST_SIDE:,} pixels wide or high."
        raise TooManyPixels(sides)


def has_too_many_scans(data: bytes) -> bool:
    scans = SCANS.finditer(data)
    return next(islice(scans, MAX_SCANS, None), None) is not None


def fraction_of(size: tuple[int, int]) -> tuple[int, int]:
    """What a JPEG of this size is decoded to: less than all takes far less time."""
    factor = next((f for f in (8, 4, 2) if max(size) >= f * DETAIL_SIDE), 1)
    return max(size[0] // factor, 1), max(size[1] // factor, 1)


def plain_jpeg(data: bytes, max_pixels: int) -> Stored | None:
    """The pixels that Pillow would give, sooner; None for what is not that plain.

    Whether a picture is damaged Pillow has to tell.
    """
    if not data.startswith(JPEG_SIGNATURE):
        return None
    markers = [marker.lastgroup for marker in islice(MARKERS.finditer(data), MAX_SCANS)]
    if len(markers) == MAX_SCANS or "not_plain" in markers:
        return None
    try:
        height, width, colours, _ = decode_jpeg_header(data)
        check_size((width, height), max_pixels)
        if colours not in SPACES:
            return None
        least_width, least_height = fraction_of((width, height))
        pixels = decode_jpeg(
            data, SPACES[colours], min_width=least_width, min_height=least_height
        )
    except TooManyPixels:
        raise
    except ValueError:
        return None
    orientation = None
    if "exif" in markers:
        with suppress(OSError):  # Pillow minds odd bytes between the parts of a file
            orientation = orientation_of(opened(data))
    if colours == "Gray":
        pixels = pixels[..., 0]
    return Stored(pixels, (width, height), orientation, "JPEG")


def orientation_of(image: Image.Image) -> object:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except (OSError, SyntaxError, ValueError, struct.error):
        return None  # the picture may be whole all the same


def upright(picture: np.ndarray, orientation: object) -> np.ndarray:
    """Set a picture upright that was stored with this orientation."""
    if orientation in TURNED:
        picture = picture.swapaxes(0, 1)
    if orientation in MIRRORED:
        picture = picture[:, ::-1]
    if orientation in UPSIDE_DOWN:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def to_array(pixels: np.ndarray) -> np.ndarray:
    """Samples → opaque uint8 (height, width[, 3]), at most DETAIL_SIDE long."""
    picture = reduce(pixels, DETAIL_SIDE)
    if picture.ndim == 3 and picture.shape[2] == 4:
        picture = on_ground(picture.astype(np.float32))
    return picture if picture.dtype == np.uint8 else eight_bits(picture)


def shrunk(image: Image.Image) -> np.ndarray:
    """The samples of a picture; of a large one those of a fraction of its size.

    It is shrunk strip by strip: a few copies of all of it would take a gigabyte.
    """
    factor = max(image.size) // COPIED_SIDE
    if factor < 2:
        return samples(image)
    width, height = image.size
    rows, strips = factor * STRIP_ROWS, []
    for top in range(0, height, rows):
        strip = samples(image.crop((0, top, width, min(top + rows, height))))
        size = max(1, width // factor), max(1, len(strip) // factor)
        strips.append(cv2.resize(strip, size, interpolation=cv2.INTER_AREA))
    return np.concatenate(strips)


def samples(image: Image.Image) -> np.ndarray:
    """Grey, RGB or RGBA, to 255, uint8 or float32 (height, width[, 3 or 4])."""
    if image.mode.startswith("I"):
        # Pillow would clip 16 bits to 8 instead of scaling them.
        wide = np.asarray(image).astype(np.float32)
        if "transparency" not in image.info:
            return wide / 257
        seen = 255.0 * (wide != image.info["transparency"])
        return np.dstack([wide / 257] * 3 + [seen]).astype(np.float32)
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return np.asarray(image)


def eight_bits(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def on_ground(rgba: np.ndarray) -> np.ndarray:
    """Lay a transparent picture on a ground on which its ink shows."""
    alpha = rgba[..., 3:] / 255
    if not alpha.any():
        return np.full(rgba.shape[:2], 255, np.float32)
    # Of ink that is half transparent all over, the darkest part is what was drawn.
    visible = rgba[..., :3][alpha[..., 0] > alpha.max() / 2]
    low, middle, high = np.percentile(visible.mean(axis=1), (2, 50, 98))
    # With one tone the shape is in the alpha, and the ground has to differ from it;
    # with two it is in the picture itself.
    ground = middle if high - low > 64 else 255.0 * (middle < 128)
    return rgba[..., :3] * alpha + ground * (1 - alpha)


def reduce(picture: np.ndarray, longest: int) -> np.ndarray:
    """Shrink to at most `longest` pixels on the longer side and at least one."""
    height, width = picture.shape[:2]
    # What is left has twice the pixels, so that it looks as if shrunk at once.
    picture = divided(picture, max(height, width) // (2 * longest))
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def divided(picture: np.ndarray, factor: int) -> np.ndarray:
    """Shrink by a whole number, where OpenCV is several times as fast."""
    height, width = picture.shape[:2]
    factor = min(factor, height, width)
    if factor < 2:
        return picture
    height, width = height // factor, width // factor
    whole = picture[: height * factor, : width * factor]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def thumbnail(picture: np.ndarray, side: int) -> np.ndarray:
    """Shrink by a whole number to at most `side` pixels on the longer side."""
    return divided(picture, -(-max(picture.shape[:2]) // side))


def rank(values: np.ndarray, share: float) -> float:
    """The value that this share of the others lies below: a fast np.quantile."""
    flat = values.flatten()
    place = int(share * (flat.size - 1) + 0.5)
    flat.partition(place)
    return float(flat[place])


def reduced_by(picture: np.ndarray, longest: int) -> float:
    return max(1.0, max(picture.shape[:2]) / longest)


# Array → the model's input


def to_model_input(picture: np.ndarray) -> tuple[np.ndarray, Box | None]:
    """uint8 (height, width[, 3]) → float32 (140, 90, 3) in [0, 1] and the box."""
    return next(model_inputs(picture))


def model_inputs(picture: np.ndarray) -> Iterator[tuple[np.ndarray, Box | None]]:
    """The likeliest input and its box, then with other ink, in negative, and whole."""
    grey = to_grey(picture)
    small = reduce(grey, SEARCH_SIDE).astype(np.float32)
    paper, light_ink = evened(small)
    if light_ink:
        grey, small = 255 - grey, 255 - small
    even = small / paper
    likelier, other = closings(even)
    ink = ink_on(likelier, even)
    stage_ends()
    yield closeup(grey, paper, ink)
    yield closeup(grey, paper, ink_on(other, even))
    paper = np.maximum(255 - paper, DARKEST_PAPER)
    even = (255 - small) / paper
    yield closeup(255 - grey, paper, ink_on(closings(even)[0], even))
    yield framed(ink), None


def closeup(
    grey: np.ndarray, paper: np.ndarray, ink: np.ndarray
) -> tuple[np.ndarray, Box | None]:
    """Find the digit on an ink map, and frame it as the larger picture shows it."""
    found = find_digit(ink)
    if found is None:
        return framed(ink), None
    stage_ends()
    if grey.shape == ink.shape:
        return framed(cut(ink, found, 0.05)[0]), found
    scale = reduced_by(grey, SEARCH_SIDE)
    box = scale_box(found, scale, scale, grey.shape[::-1])
    around, (x, y) = cut(grey, box, 0.25)
    even = around / enlarge(cut(paper, found, 0.25)[0], around.shape)
    thumb = closing_thumb(even)
    widest = 3 * scale * stroke_width(ink, found) * len(thumb) / len(even)
    ink = ink_on(closed(thumb, widest), even)
    part, _ = cut(ink, box._replace(x=box.x - x, y=box.y - y), 0.05)
    return framed(part), box


def to_grey(picture: np.ndarray) -> np.ndarray:
    """Luminance, or the channel that shows the ink far better (yellow on white)."""
    if picture.ndim == 2:
        return picture
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    thumb = thumbnail(picture, COLOUR_SIDE)
    planes = cv2.merge([thumb, cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY)])
    around = cv2.blur(planes, (COLOUR_SIDE // 5 * 2 + 1,) * 2)
    _, contrasts = cv2.meanStdDev(cv2.absdiff(planes, around))
    *channels, luminance = contrasts[:, 0].tolist()
    best = max(channels)
    if best > 2 * luminance:
        return np.ascontiguousarray(picture[..., channels.index(best)])
    return grey


def evened(small: np.ndarray) -> tuple[np.ndarray, bool]:
    """The paper's brightness all over a picture, and whether the ink is lighter.

    With light ink, the brightness is that of the negative.
    """
    tones = two_tones(small)
    if tones is not None:
        paper, light_ink = np.full_like(small, tones[0]), tones[1] > tones[0]
    else:
        paper = enlarge(fit_paper(thumbnail(small, PAPER_SIDE)), small.shape)
        # What deviates most strongly from the paper is the ink.
        deviation = (small - paper).reshape(-1)
        cubes = np.dot(deviation * deviation, deviation)
        light_ink = bool(cubes > EVEN * deviation.size)
    return np.maximum(255 - paper if light_ink else paper, DARKEST_PAPER), light_ink


def two_tones(small: np.ndarray) -> tuple[float, float] | None:
    """Grey of paper and ink, if a picture has no other and is full of ink, else None.

    There the rim tells which is which: what deviates may as well be the paper.
    """
    step = max(1, max(small.shape) // TONES_SIDE)
    few = np.ascontiguousarray(small[::step, ::step])
    _, is_light = cv2.threshold(few.astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    share = cv2.mean(is_light)[0] / 255
    if not 0.15 < share < 0.85:
        return None
    light, dark = cv2.mean(few, is_light)[0], cv2.mean(few, ~is_light)[0]
    _, ((deviation,),) = cv2.meanStdDev(few)  # NumPy's takes eight times as long
    if share * (1 - share) * (light - dark) ** 2 < 0.85 * deviation**2:
        return None
    rim = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    return (light, dark) if cv2.mean(rim)[0] > (light + dark) / 2 else (dark, light)


def fit_paper(thumb: np.ndarray) -> np.ndarray:
    """A quadratic surface through what most of a picture looks like, its rim above all.

    Iteratively reweighted least squares (Holland & Welsch 1977) with Cauchy's weights,
    squared.
    """
    height, width = thumb.shape
    terms, prior = quadratic_terms(height, width)
    values, weights, factors = thumb.reshape(-1), prior, np.zeros((6, 1))
    for _ in range(6):
        before = factors
        weighted = terms * weights
        normal = weighted @ terms.T + RIDGE
        moments = (weighted @ values)[:, np.newaxis].astype(float)
        # NumPy's takes three times as long for so few unknowns.
        _, factors = cv2.solve(normal, moments, flags=cv2.DECOMP_CHOLESKY)
        surface = factors[:, 0].astype(np.float32) @ terms
        if cv2.norm(factors, before, cv2.NORM_L1) < SETTLED:
            break
        distance = np.abs(values - surface)
        spread = 1.5 * rank(distance, 0.5) + 2
        weights = prior / np.square(1 + np.square(distance / spread))
    return surface.reshape(height, width)


@lru_cache(maxsize=64)
def quadratic_terms(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """1, x, y, x², xy and y² at every pixel, float32 (6, pixels), and its weight."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    weights = np.ones((height, width), np.float32)
    edge_y, edge_x = max(1, height // 8), max(1, width // 8)
    weights[edge_y:-edge_y, edge_x:-edge_x] = 0.5
    return terms.reshape(6, -1), weights.reshape(-1)


def enlarge(grid: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return cv2.resize(grid, shape[1::-1], interpolation=cv2.INTER_LINEAR)


def closing_thumb(even: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(thumbnail(even, CLOSING_SIDE), (0, 0), 0.8)


def closed(thumb: np.ndarray, widest: float) -> np.ndarray:
    """The paper around all strokes below `widest` pixels: 1, and less in shade.

    A morphological closing, which follows hard shadows too.
    """
    side = max(5, round(widest)) | 1
    kernel = np.ones((side, side), np.uint8)
    border = cv2.BORDER_REPLICATE
    paper = cv2.morphologyEx(thumb, cv2.MORPH_CLOSE, kernel, borderType=border)
    paper = cv2.GaussianBlur(np.minimum(paper, 1.1), (0, 0), 0.2 * side)
    return np.maximum(paper, 0.1)


def ink_on(paper: np.ndarray, even: np.ndarray) -> np.ndarray:
    """Strength of the ink: 0 on paper, 1 where black."""
    ink = even / enlarge(paper, even.shape)
    np.subtract(1, ink, out=ink)
    return np.maximum(ink, 0, out=ink)


def closings(even: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The paper around bold strokes and around fine ones, the likelier first."""
    thumb = closing_thumb(even)
    bold = closed(thumb, 0.4 * min(thumb.shape))
    fine = closed(thumb, 0.12 * min(thumb.shape))
    # A fine closing leaves no trace of shade, but of a bold stroke only the rims.
    strong = few_inside(ink_on(bold, thumb))
    kept = few_inside(ink_on(fine, thumb))
    top = rank(strong, 0.997)
    dark = strong > 0.5 * top
    is_fine = dark.any() and rank(kept[dark] / strong[dark], 0.5) > 0.8
    if top < FAINT and not is_fine:
        # Shade is as strong there as faint hairlines, and in a fine closing is gone.
        is_clear = rank(kept, 0.997) > 20 * noise_of(kept)
        is_fine = is_clear and top < 10 * noise_of(strong)
    return (fine, bold) if is_fine else (bold, fine)


def noise_of(ink: np.ndarray) -> float:
    """The paper's standard deviation, by the median, which ink hardly moves."""
    return 1.4826 * rank(np.abs(ink - rank(ink, 0.5)), 0.5)


def few_inside(ink: np.ndarray) -> np.ndarray:
    """Every fourth pixel, without the rim, where page edges and dark corners are."""
    height, width = ink.shape
    y, x = height // 12, width // 12
    return ink[y : height - y : 2, x : width - x : 2]


def stroke_width(ink: np.ndarray, box: Box) -> float:
    """The usual width of the strokes in a box of an ink map, in its pixels."""
    part = ink[box.y : box.y + box.height, box.x : box.x + box.width]
    mask = (part > 0.4 * rank(part, 0.98)).astype(np.uint8)
    mask = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    # Over a stroke's width the depth rises from 0 to a half: its median is a quarter.
    return 4 * rank(depth[mask > 0], 0.5) if mask.any() else 1.0


def cut(picture: np.ndarray, box: Box, share: float) -> tuple[np.ndarray, tuple]:
    """A box and a margin of that share of its longer side; also the corner's (x, y)."""
    margin = round(share * max(box.width, box.height))
    left, top = max(box.x - margin, 0), max(box.y - margin, 0)
    right, bottom = box.x + box.width + margin, box.y + box.height + margin
    return picture[top:bottom, left:right], (left, top)


def scale_box(box: Box, scale_x: float, scale_y: float, size: tuple[int, ...]) -> Box:
    """The box in a picture of another size, at least a pixel wide and high."""
    left, top = round(box.x * scale_x), round(box.y * scale_y)
    right = min(round((box.x + box.width) * scale_x), size[0])
    bottom = min(round((box.y + box.height) * scale_y), size[1])
    return Box(left, top, max(right - left, 1), max(bottom - top, 1))


def framed(ink: np.ndarray) -> np.ndarray:
    """Scale ink into the middle of a white page, its darkest strokes black."""
    height, width = ink.shape
    scale = min(DIGIT_WIDTH / width, DIGIT_HEIGHT / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Shrinking by less than half leaves no pixel out, and takes a quarter of the time.
    way = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    ink = cv2.resize(ink, size, interpolation=way)
    few = ink[::2, ::2]
    # Below this even the darkest is noise, which must not be blown up to ink.
    black = max(rank(few, 0.96), 0.05)
    # What there is everywhere is shade, unless it is as dark as the ink.
    floor = min(rank(few, 0.3), 0.5 * black)
    ink = np.clip((ink - floor) / (black - floor + 1e-3), 0, 1)
    page = np.ones((INPUT_HEIGHT, INPUT_WIDTH), np.float32)
    top, left = (INPUT_HEIGHT - size[1]) // 2, (INPUT_WIDTH - size[0]) // 2
    page[top : top + size[1], left : left + size[0]] -= ink
    return cv2.cvtColor(page, cv2.COLOR_GRAY2RGB)


# Ink → where the digit is


class Component(NamedTuple):
    """Connected ink: bounds, pixels, the sum of its strength, the share off the rim."""

    left: int
    top: int
    right: int
    bottom: int
    area: int
    mass: float
    inside: float

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


def find_digit(ink: np.ndarray) -> Box | None:
    """The likeliest stroke of an ink map with its loose parts; None on bare paper."""
    components = find_components(ink)
    components = [c for c in components if not is_border(c, *ink.shape)] or components
    components = [c for c in components if c.area < 0.95 * ink.size]
    likely = [likeliness(component, *ink.shape) for component in components]
    if max(likely, default=0) == 0:
        return None
    digit = components.pop(likely.index(max(likely)))
    while parts := [part for part in components if belongs(part, digit)]:
        components = [part for part in components if part not in parts]
        digit = digit._replace(
            left=min(digit.left, *(part.left for part in parts)),
            top=min(digit.top, *(part.top for part in parts)),
            right=max(digit.right, *(part.right for part in parts)),
            bottom=max(digit.bottom, *(part.bottom for part in parts)),
        )
    return Box(digit.left, digit.top, digit.width, digit.height)


def find_components(ink: np.ndarray) -> list[Component]:
    """Connected ink that stands out from the paper's noise."""
    longest = max(ink.shape)
    soft = cv2.GaussianBlur(ink, (0, 0), longest / 200) if longest > 64 else ink
    few = few_inside(soft)
    threshold = max(0.02, 4 * noise_of(few), 0.25 * rank(few, 0.997))
    mask = without_ruling((soft > threshold).astype(np.uint8))
    # With labels of 32 bits it takes twice as long.
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask, connectivity=8, ltype=cv2.CV_16U
    )
    places = np.flatnonzero(mask.view(bool))
    owners = labels.reshape(-1)[places]
    masses = np.bincount(owners, soft.reshape(-1)[places], count)
    inner = np.bincount(owners, off_rim(*mask.shape)[places], count)
    return [
        Component(x, y, x + width, y + height, area, mass, inner / area)
        for (x, y, width, height, area), mass, inner in zip(
            stats[1:].tolist(), masses[1:].tolist(), inner[1:].tolist(), strict=True
        )
    ]


@lru_cache(maxsize=64)
def off_rim(height: int, width: int) -> np.ndarray:
    """1 where a picture's pixels are off its rim, else 0; float64 (pixels,)."""
    y, x = height // 12, width // 12
    inside = np.zeros((height, width))
    inside[y : height - y, x : width - x] = 1
    return inside.reshape(-1)


def without_ruling(mask: np.ndarray) -> np.ndarray:
    """Take away the lines of ruled paper: at least two that run across the picture."""
    turned = cv2.transpose(mask)
    level, upright = find_lines(mask), find_lines(turned)
    if len(level) + len(upright) < 2:
        return mask
    ruling = drawn_lines(level, mask.shape) | drawn_lines(upright, turned.shape).T
    ruling = cv2.dilate(ruling, np.ones((3, 3), np.uint8))
    # Closing mends the strokes where a line crossed them.
    return cv2.morphologyEx(mask & ~ruling, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))


def line_columns(width: int) -> slice:
    """Which columns of a mask are enough to find lines across it."""
    step = width // 24 | 1
    return slice(step // 2, None, step)


def find_lines(mask: np.ndarray) -> list[np.ndarray]:
    """Contours of the thin, nearly level lines across a mask, in some columns."""
    # Squeezing the columns joins dashes; on strokes thickened by a pixel, runs of a
    # quarter of the width follow a line that is a few degrees off, and no digit's foot
    # that is on it.
    columns = line_columns(mask.shape[1])
    inked = mask.any(axis=0).astype(np.uint8)[np.newaxis]
    inked = cv2.dilate(inked, np.ones((1, columns.step), np.uint8))[:, columns]
    if np.count_nonzero(inked) < LINE_SHARE * inked.size:
        return []  # nothing is as wide, as in most pictures
    thick = cv2.dilate(mask, np.ones((3, columns.step), np.uint8))
    squeezed = np.ascontiguousarray(thick[:, columns])
    run = np.ones((1, squeezed.shape[1] // 4), np.uint8)
    runs = cv2.morphologyEx(squeezed, cv2.MORPH_OPEN, run)
    contours, _ = cv2.findContours(runs, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [contour for contour in contours if is_line(contour, *squeezed.shape)]


def drawn_lines(contours: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    lines = np.zeros(shape, np.uint8)[:, line_columns(shape[1])].copy()
    cv2.drawContours(lines, contours, -1, 1, cv2.FILLED)
    return cv2.resize(lines, shape[::-1], interpolation=cv2.INTER_NEAREST)


def is_line(contour: np.ndarray, height: int, width: int) -> bool:
    """Whether it runs across a squeezed mask, nearly level, and is thin."""
    _, _, wide, tall = cv2.boundingRect(contour)
    is_thin = cv2.contourArea(contour) < 0.03 * height * wide
    return wide > LINE_SHARE * width and tall < 0.12 * height and is_thin


def likeliness(component: Component, height: int, width: int) -> float:
    """How likely a component is the digit: large, dark, near the centre, inside."""
    tall, wide = component.height, component.width
    if tall < 4 and wide < 4:
        return 0.0
    away_x = ((component.left + component.right) / width - 1) ** 2
    away_y = ((component.top + component.bottom) / height - 1) ** 2
    score = np.sqrt(component.mass) * max(tall, wide)
    score *= np.exp(-1.5 * (away_x + away_y)) * component.inside
    touches_x = component.left == 0 or component.right == width
    touches_y = component.top == 0 or component.bottom == height
    fills = tall > 0.8 * height and wide > 0.2 * width
    if (touches_x or touches_y) and not fills:
        score *= 0.1
    # Ruled lines and page edges are longer than any stroke of a digit.
    if wide > 5 * tall or tall > 20 * wide:
        score *= 0.02
    # Specks and shade are filled all over, which only a bold 1 is, and that is slim.
    if component.area > 0.6 * tall * wide and min(tall, wide) > 0.45 * max(tall, wide):
        score *= 0.1
    return float(score)


def is_border(component: Component, height: int, width: int) -> bool:
    """Whether it is a thin frame around the whole picture."""
    reaches = component.width >= width - 2 and component.height >= height - 2
    return reaches and component.inside < 0.3


def belongs(part: Component, main: Component) -> bool:
    """Whether a component is a loose stroke of the same digit, as the bar of a 5."""
    size = max(main.height, main.width)
    if part.mass < 0.03 * main.mass or max(part.width, part.height) > 1.5 * size:
        return False
    gap_x = max(part.left - main.right, main.left - part.right, 0)
    gap_y = max(part.top - main.bottom, main.top - part.bottom, 0)
    return gap_x < 0.12 * size and gap_y < 0.2 * size
