"""Refuse pictures that are damaged, or made to take long, before they are decoded."""

from struct import Struct
from zlib import crc32

from PIL.JpegImagePlugin import MARKER

from preprocessing import JPEG_SIGNATURE, START_OF_SCAN, InvalidImage

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_HEAD = Struct(">I4s")
# Pillow takes microseconds for each chunk, segment or byte in between, and the largest
# file has room for millions; programs write some for every 10 kB.
MAX_PARTS = 10_000
# libjpeg starts afresh with each block of these that is read.
FILLING = 4096 * b"\xff"


def check(data: bytes) -> None:
    """Raises InvalidImage. Whether it is a picture at all, decoding will tell."""
    if data.startswith(PNG_SIGNATURE):
        if not is_whole_png(data):
            raise InvalidImage("The PNG is cut off or damaged.")
    elif data.startswith(JPEG_SIGNATURE) and is_tiresome_jpeg(data):
        raise InvalidImage("The JPEG has too many parts.")


def is_whole_png(data: bytes) -> bool:
    """Whether every chunk is there and as its checksum says, which Pillow ignores."""
    start, view = len(PNG_SIGNATURE), memoryview(data)
    for _ in range(MAX_PARTS):
        if len(data) < start + 12:
            return False
        length, kind = PNG_HEAD.unpack_from(data, start)
        end = start + 8 + length
        if crc32(view[start + 4 : end]) != int.from_bytes(view[end : end + 4]):
            return False
        if kind == b"IEND":
            return True
        start = end + 4
    return False


def is_tiresome_jpeg(data: bytes) -> bool:
    """Goes from marker to marker as Pillow does, up to the picture."""
    left, start = MAX_PARTS, 2
    while (found := data.find(b"\xff", start)) >= 0:
        left -= 1 + found - start
        if left < 0:
            return True
        marker = data[found : found + 2]
        if marker == START_OF_SCAN:
            return FILLING in data
        start = found + (1 if marker == b"\xff\xff" else 2)
        if has_length(marker):
            start += max(int.from_bytes(data[start : start + 2]), 2)
    return False


def has_length(marker: bytes) -> bool:
    *_, reader = MARKER.get(int.from_bytes(marker), (None,))
    return reader is not None
