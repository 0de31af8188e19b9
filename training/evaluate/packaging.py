"""The same picture in other files: formats, modes, orientations, sizes, places.

All are PNG where the name does not say JPEG.
"""

from collections.abc import Callable
from enum import Enum
from functools import partial
from io import BytesIO
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.Image import Resampling, Transpose


class Lossless(Enum):
    YES = "yes"
    OF_GREYS = "but for colour"
    NO = "no"


class Variant(NamedTuple):
    write: Callable[[Image.Image], bytes]
    lossless: Lossless

    def keeps(self, picture: Image.Image) -> bool:
        if self.lossless is Lossless.OF_GREYS:
            return picture.mode == "L"
        return self.lossless is Lossless.YES


# What the file holds of a picture that is to be shown turned back, by orientation.
STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}
# Longest side of the copy that shows what colour the paper is.
PAPER_SIDE = 64
# Of 255: paper hardly differs more from one place to another, ink does.
SHADE = 64


def open_picture(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    return image if image.mode == "L" else image.convert("RGB")


def png(image: Image.Image, **options) -> bytes:
    file = BytesIO()
    # The strongest compression takes ten times as long.
    image.save(file, "PNG", compress_level=1, **options)
    return file.getvalue()


def jpeg(image: Image.Image, quality: int) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def turned(image: Image.Image, orientation: int) -> bytes:
    exif, turn = Image.Exif(), STORED[orientation]
    exif[ExifTags.Base.Orientation] = orientation
    return png(image if turn is None else image.transpose(turn), exif=exif)


def opaque(image: Image.Image) -> bytes:
    return png(image.convert("LA" if image.mode == "L" else "RGBA"))


def transparent(image: Image.Image) -> bytes:
    """Black ink whose strength is in the alpha channel alone, as from a canvas."""
    grey = image.convert("L")
    dark, middle, light = np.percentile(np.asarray(grey), (1, 50, 99))
    # The ink is further from the usual tone than anything on the other side of it.
    is_light = light - middle > middle - dark
    black = Image.new("L", image.size, 0)
    ink = grey if is_light else ImageOps.invert(grey)
    return png(Image.merge("LA", (black, ink)))


def sixteen_bits(image: Image.Image) -> bytes:
    # Pillow has no mode for colour in 16 bits.
    pixels = np.asarray(image).astype(np.uint16) * 257
    blue_first = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    return cv2.imencode(".png", blue_first)[1].tobytes()


def palette(image: Image.Image) -> bytes:
    return png(image.convert("P") if image.mode == "L" else image.quantize(256))


def rim_colour(pixels: np.ndarray) -> np.ndarray:
    rim = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    return np.median(np.concatenate(rim), axis=0)


def paper(pixels: np.ndarray) -> np.ndarray:
    """The picture without its strokes: what is usual in half of it around a place."""
    height, width = pixels.shape[:2]
    scale = min(1, PAPER_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    thumb = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    local = cv2.medianBlur(thumb, min(size) // 2 | 1).reshape(size[1], size[0], -1)
    # A digit that fills the picture is usual there as well.
    is_ink = np.abs(local - rim_colour(pixels)).max(axis=-1) > SHADE
    local[is_ink] = rim_colour(pixels)
    return cv2.resize(local, (width, height))


def off_centre(image: Image.Image, right: int, down: int) -> bytes:
    """In a quarter of a page twice as wide and high, the paper going on from its rim.

    The picture's centre is 25 % of the page away from that of the page.
    """
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    top, left = down * height, right * width
    rims = top, height - top, left, width - left
    page = cv2.copyMakeBorder(paper(pixels), *rims, cv2.BORDER_REPLICATE)
    page[top : top + height, left : left + width] = pixels
    return png(Image.fromarray(page))


def on_plain_page(image: Image.Image) -> bytes:
    """The same, up and left, on paper of one colour: a photo's rim shows as an edge."""
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    page = np.empty((2 * height, 2 * width, *pixels.shape[2:]), np.uint8)
    page[:] = rim_colour(pixels)
    page[:height, :width] = pixels
    return png(Image.fromarray(page))


def scaled(image: Image.Image, factor: float) -> bytes:
    size = [max(1, round(side * factor)) for side in image.size]
    return png(image.resize(size, Resampling.BICUBIC))


EXIF = {
    f"EXIF {number}": Variant(partial(turned, orientation=number), Lossless.YES)
    for number in STORED
}
OFF_CENTRE = {
    f"25 % {up_down}, 25 % {left_right}": Variant(
        partial(off_centre, right=right, down=down), Lossless.NO
    )
    for down, up_down in enumerate(("up", "down"))
    for right, left_right in enumerate(("left", "right"))
}
VARIANTS = {
    **EXIF,
    "negative": Variant(lambda image: png(ImageOps.invert(image)), Lossless.YES),
    "opaque alpha": Variant(opaque, Lossless.YES),
    "black on transparent": Variant(transparent, Lossless.OF_GREYS),
    "16 bits": Variant(sixteen_bits, Lossless.YES),
    "palette": Variant(palette, Lossless.OF_GREYS),
    "grey": Variant(lambda image: png(image.convert("L")), Lossless.OF_GREYS),
    "CMYK, JPEG 95": Variant(
        lambda image: jpeg(image.convert("CMYK"), 95), Lossless.NO
    ),
    "JPEG 30": Variant(lambda image: jpeg(image, 30), Lossless.NO),
    **OFF_CENTRE,
    "on a plain page": Variant(on_plain_page, Lossless.NO),
    "half size": Variant(lambda image: scaled(image, 0.5), Lossless.NO),
    "double size": Variant(lambda image: scaled(image, 2), Lossless.NO),
}


def repackaged(name: str, data: bytes, _number: int) -> bytes:
    return VARIANTS[name].write(open_picture(data))
