"""Picture bytes → upright pixels; what is refused, and why."""

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple
from zlib import crc32

import cv2
import numpy as np
from PIL import ExifTags, Image

NO_PICTURE = "The file is not a JPEG or PNG picture that can be read."
ENOUGH = "2,000 pixels on the longer side are enough."
# File name extensions of each format.
EXTENSIONS = {"JPEG": ("jpg", "jpeg"), "PNG": ("png",)}
ALLOWED_EXTENSIONS = {name for names in EXTENSIONS.values() for name in names}

# Width and height in pixels.
Size = tuple[int, int]
# Longest side, in pixels, of a decoded picture: a digit that is a tenth as high still
# has as many pixels as those of MNIST.
DETAIL_SIDE = 280
# A larger picture than this is reduced in strips, since a few copies of all of it would
# take a gigabyte; each strip becomes so many rows.
WHOLE_SIDE, STRIP_ROWS = 4 * DETAIL_SIDE, 8
# Pixels. The limit of JPEG; the rows of a PNG could be millions, and each costs time.
MAX_SIDE = 65_535
# Each scan of a progressive JPEG passes over the whole picture; cameras write ten.
MAX_SCANS = 30
# Pillow takes microseconds for each PNG chunk, JPEG segment, and byte between two
# segments; ordinary files have one for every 10 kB.
MAX_PARTS = 10_000
# libjpeg starts again at every such block of fill bytes that it is given.
FILL_BYTES = 4096 * b"\xff"
# The spread of grey levels below which ink is one tone, of 255.
ONE_TONE = 64
# Of transparent ink, the share of outliers at either end that does not count.
TONE_OUTLIERS_PERCENT = 2

# EXIF orientations by what was done to the picture; a turn is a flip of a diagonal.
TURNED, MIRRORED, UPSIDE_DOWN = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHUNK = struct.Struct(">I4s")
JPEG_SIGNATURE = b"\xff\xd8\xff"
# In coded data FF may also be followed by 00 or a restart marker, D0 to D7.
JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
# Pillow reads no length after these.
WITHOUT_LENGTH = {0xC8, 0xD8, 0xD9, *range(0xF0, 0xFE)}
# How a file begins that is often sent in place of a JPEG or PNG, and what it then is.
OTHER_CONTENTS = {
    rb"....ftyp.{0,40}avi[fs]": "an AVIF picture",
    rb"....ftyp(?:hei|hev|mif1|msf1)": "a HEIC picture",
    rb"....ftyp": "a video",
    rb"RIFF....WEBP": "a WebP picture",
    rb"GIF8[79]a": "a GIF picture",
    rb"BM....\0\0\0\0": "a BMP picture",
    rb"II\*\0|MM\0\*": "a TIFF picture",
    rb"%PDF-": "a PDF document",
    rb"PK\x03\x04": "a ZIP archive",
    rb"\s{0,9}(?:<\?xml.{0,400})?<svg": "an SVG drawing",
    rb"\s{0,9}<(?:!doctype html|html)": "an HTML page",
    rb"data:image/|iVBORw0KGgo|/9j/": "a picture as base64 text",
}
# What Pillow raises for damaged files; it asserts that a PNG with a palette has one.
DAMAGED = (OSError, SyntaxError, ValueError, OverflowError, AssertionError)

# The size is checked against the caller's limit before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
# Pictures are read side by side already, one in each thread.
cv2.setNumThreads(1)


class InvalidImage(ValueError):
    """The bytes are no picture that can be read; the message is for the client.

    `code` names the reason for programs, `hint` says what was found or would be right.
    """

    def __init__(
        self, message: str, code: str = "unreadable", hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.hint = code, hint


class TooLarge(InvalidImage):
    """More bytes or pixels than the limit, which the message names."""


class OpenedImage(NamedTuple):
    """A picture of which only the header was read; `size` is width, height as stored.

    `format` is "JPEG" or "PNG"; `data` is the whole file.
    """

    image: Image.Image
    size: Size
    format: str
    data: bytes

    @property
    def decoded_pixels(self) -> int:
        """How many pixels are in memory while the picture is decoded."""
        # libjpeg holds a progressive picture whole, whatever it is reduced to.
        is_whole = "progressive" in self.image.info
        width, height = self.size if is_whole else self.image.size
        return width * height


class Picture(NamedTuple):
    """`pixels`: upright, uint8 (height, width) or (height, width, 3), a side at most
    DETAIL_SIDE; `size`: the upright width and height before that reduction; `source`:
    what it was decoded from.
    """

    pixels: np.ndarray
    size: Size
    format: str
    source: OpenedImage


def extension_of(filename: str) -> str:
    """Lower case, without the dot; empty if there is none."""
    _, dot, extension = filename.rpartition(".")
    return extension.lower() if dot else ""


def has_allowed_extension(filename: str) -> bool:
    return extension_of(filename) in ALLOWED_EXTENSIONS


def check_bytes(count: int, max_bytes: int) -> None:
    """Raises InvalidImage for an empty file and TooLarge for one above the limit."""
    if not count:
        raise InvalidImage("The file is empty.", "empty_file")
    if count > max_bytes:
        raise too_many_bytes(max_bytes)


def too_many_bytes(max_bytes: int) -> TooLarge:
    message = f"A file may have at most {max_bytes:,} bytes."
    return TooLarge(message, "too_many_bytes", ENOUGH)


def decode(data: bytes, max_pixels: int) -> Picture:
    """Raises TooLarge, going by the header, and InvalidImage."""
    return decode_opened(open_image(data, max_pixels, fraction_of))


def open_image(
    data: bytes, max_pixels: int, decoded_size: Callable[[Size], Size]
) -> OpenedImage:
    """Read the header, and refuse what is damaged or would take too long to decode.

    `decoded_size`: the size that a JPEG of a size is decoded to, at least.
    """
    if data.startswith(PNG_SIGNATURE):
        check_png_chunks(data)
    elif data.startswith(JPEG_SIGNATURE):
        check_jpeg_segments(data)
    else:
        raise InvalidImage(NO_PICTURE, hint=content_hint(data))
    with damage_refused():
        image = Image.open(BytesIO(data), formats=("JPEG", "PNG"))
        size = image.size
        check_size(size, max_pixels)
        # A JPEG can be decoded to a fraction of its size in far less time.
        image.draft(None, decoded_size(size))
    # Phones put several JPEGs into one file (MPO); the first is the photo.
    picture_format = "PNG" if image.format == "PNG" else "JPEG"
    return OpenedImage(image, size, picture_format, data)


def decode_opened(opened: OpenedImage) -> Picture:
    """Raises InvalidImage."""
    image, size, picture_format, _ = opened
    with damage_refused():
        pixels, orientation = upright_pixels(image, DETAIL_SIDE)
    size = size[::-1] if orientation in TURNED else size
    return Picture(pixels, size, picture_format, opened)


def decode_larger(picture: Picture, longest: int) -> np.ndarray:
    """A picture's pixels once more, with a side of so many pixels if it had them.

    Raises InvalidImage.
    """
    image, size, _, data = picture.source
    with damage_refused():
        if image.size != size:
            # It was decoded to a fraction of its size.
            image = Image.open(BytesIO(data), formats=("JPEG", "PNG"))
            image.draft(None, fraction_of(size, longest))
        return upright_pixels(image, longest)[0]


def upright_pixels(image: Image.Image, longest: int) -> tuple[np.ndarray, object]:
    """At most `longest` pixels long, and the orientation that the file states."""
    image.load()
    orientation = orientation_of(image)
    return upright(opaque(reduced_samples(image, longest)), orientation), orientation


def decode_resized(opened: OpenedImage, size: Size, mode: str) -> np.ndarray:
    """All of a picture in a mode of Pillow's and plainly resized, upright.

    uint8 (height, width) or (height, width, 3). Raises InvalidImage.
    """
    with damage_refused():
        orientation = orientation_of(opened.image)
        stored_size = size[::-1] if orientation in TURNED else size
        pixels = np.asarray(opened.image.convert(mode).resize(stored_size))
        return upright(pixels, orientation)


@contextmanager
def damage_refused() -> Iterator[None]:
    try:
        yield
    except InvalidImage:
        raise
    except DAMAGED as error:
        hint = "It begins like one, and is cut off or damaged."
        raise InvalidImage(NO_PICTURE, hint=hint) from error


def check_size(size: Size, max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        pixels = f"A picture may have at most {max_pixels:,} pixels."
        raise TooLarge(pixels, "too_many_pixels", size_hint(size))
    if max(size) > MAX_SIDE:
        sides = f"A picture may be at most {MAX_SIDE:,} pixels wide or high."
        raise TooLarge(sides, "too_many_pixels", size_hint(size))


def size_hint(size: Size) -> str:
    return f"This one is {size[0]:,} by {size[1]:,} pixels. {ENOUGH}"


def content_hint(data: bytes) -> str | None:
    """What a file is that is no JPEG or PNG, as far as its start tells."""
    for beginning, content in OTHER_CONTENTS.items():
        if re.match(beginning, data, re.DOTALL | re.IGNORECASE):
            return f"The file is {content}: send a JPEG or PNG."
    return None


def extension_hint(extension: str, data: bytes) -> str:
    """What is allowed, and what came: `data` is the file or its start."""
    allowed = ", ".join(f".{each}" for each in sorted(ALLOWED_EXTENSIONS))
    found = f"not .{extension[:20]}" if extension else "the name has no extension"
    content = content_hint(data) or ""
    if data.startswith((JPEG_SIGNATURE, PNG_SIGNATURE)):
        content = "The content is a JPEG or PNG: only the name is wrong."
    return f"Allowed: {allowed}; {found}. {content}".strip()


def fraction_of(size: Size, longest: int = DETAIL_SIDE) -> Size:
    """The size that a JPEG of this size is decoded to, not below `longest` pixels."""
    factor = next((f for f in (8, 4, 2) if max(size) >= f * longest), 1)
    return max(size[0] // factor, 1), max(size[1] // factor, 1)


def check_png_chunks(data: bytes) -> None:
    """Every chunk must be there and match its checksum, which Pillow ignores."""
    start, view = len(PNG_SIGNATURE), memoryview(data)
    for _ in range(MAX_PARTS):
        if len(data) < start + 12:
            break
        length, kind = PNG_CHUNK.unpack_from(data, start)
        end = start + 8 + length
        if crc32(view[start + 4 : end]) != int.from_bytes(view[end : end + 4]):
            break
        if kind == b"IEND":
            return
        start = end + 4
    raise InvalidImage("The PNG is cut off or damaged.")


def check_jpeg_segments(data: bytes) -> None:
    """Bounds the time that Pillow and libjpeg take; what follows the end is ignored."""
    position, parts, scans = 2, 0, 0
    while found := JPEG_MARKER.search(data, position):
        marker = found[1][0]
        # Pillow reads up to the first scan, libjpeg from there on.
        parts += 1 if scans else found.end() - position - 1
        is_filled = scans and data.find(FILL_BYTES, position, found.end()) >= 0
        if is_filled or parts > MAX_PARTS:
            raise InvalidImage("The JPEG has too many parts.")
        if marker == END_OF_IMAGE and scans:
            return
        scans += marker == START_OF_SCAN
        if scans > MAX_SCANS:
            raise InvalidImage(f"A JPEG may have at most {MAX_SCANS} scans.")
        position = found.end()
        if marker not in WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2])


def orientation_of(image: Image.Image) -> object:
    """EXIF's, 1 to 8; damaged files hold any number there, or text."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except (OSError, SyntaxError, ValueError, struct.error):
        return None  # the picture itself may be undamaged


def upright(pixels: np.ndarray, orientation: object) -> np.ndarray:
    if orientation in TURNED:
        pixels = pixels.swapaxes(0, 1)
    if orientation in MIRRORED:
        pixels = pixels[:, ::-1]
    if orientation in UPSIDE_DOWN:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def reduced_samples(image: Image.Image, longest: int) -> np.ndarray:
    """The samples of an image, at most so long; a large one strip by strip."""
    factor = max(image.size) // max(WHOLE_SIDE, longest)
    if factor < 2:
        return reduce(samples(image), longest)
    width, height = image.size
    rows, strips = factor * STRIP_ROWS, []
    for top in range(0, height, rows):
        strip = samples(image.crop((0, top, width, min(top + rows, height))))
        size = max(1, width // factor), max(1, len(strip) // factor)
        strips.append(cv2.resize(strip, size, interpolation=cv2.INTER_AREA))
    return reduce(np.concatenate(strips), longest)


def samples(image: Image.Image) -> np.ndarray:
    """Grey, RGB or RGBA, 0 to 255, uint8 or float32 (height, width[, 3 or 4])."""
    if image.mode.startswith("I"):
        # Pillow would clip 16 bits to 8 instead of scaling them.
        wide = np.asarray(image).astype(np.float32)
        if "transparency" not in image.info:
            return wide / 257
        alpha = 255.0 * (wide != image.info["transparency"])
        return np.dstack([wide / 257] * 3 + [alpha]).astype(np.float32)
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return np.asarray(image)


def opaque(pixels: np.ndarray) -> np.ndarray:
    """Samples → uint8 (height, width[, 3])."""
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = on_ground(pixels.astype(np.float32))
    return pixels if pixels.dtype == np.uint8 else to_uint8(pixels)


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.clip(np.rint(pixels), 0, 255)
    return rounded.astype(np.uint8)


def on_ground(rgba: np.ndarray) -> np.ndarray:
    """Lay a transparent picture on a ground on which its ink shows."""
    alpha = rgba[..., 3:] / 255
    if not alpha.any():
        return np.full(rgba.shape[:2], 255, np.float32)
    # Of ink that is half transparent all over, the darkest part is what was drawn.
    visible = rgba[..., :3][alpha[..., 0] > alpha.max() / 2]
    outliers = (TONE_OUTLIERS_PERCENT, 50, 100 - TONE_OUTLIERS_PERCENT)
    low, middle, high = np.percentile(visible.mean(axis=1), outliers)
    # With one tone the shape is in the alpha, and the ground has to differ from it;
    # with two it is in the picture itself.
    ground = middle if high - low > ONE_TONE else 255.0 * (middle < 128)
    rgb: np.ndarray = rgba[..., :3] * alpha + ground * (1 - alpha)
    return rgb


def reduce(pixels: np.ndarray, longest: int) -> np.ndarray:
    """Shrink to at most `longest` pixels on the longer side."""
    height, width = pixels.shape[:2]
    # A whole factor first, in which OpenCV is several times as fast: with twice the
    # pixels left, the result looks as if reduced in one step.
    pixels = divide(pixels, max(height, width) // (2 * longest))
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def divide(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Shrink both sides by a whole factor, or to one pixel."""
    height, width = pixels.shape[:2]
    factor = min(factor, height, width)
    if factor < 2:
        return pixels
    height, width = height // factor, width // factor
    whole = pixels[: height * factor, : width * factor]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """Shrink by a whole factor to at most `side` pixels on the longer side."""
    return divide(pixels, -(-max(pixels.shape[:2]) // side))
