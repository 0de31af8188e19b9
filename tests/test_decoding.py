"""Where decoding refuses a file, and what becomes of large and transparent pictures."""

import tracemalloc
from zlib import crc32

import numpy as np
import pytest
from pictures import as_bytes, seven
from PIL import Image, ImageOps

from recognition.decoding import (
    InvalidImage,
    TooLarge,
    decode,
    decode_opened,
    fraction_of,
    open_image,
)

MANY_PIXELS = 10**8
CHUNK = b"\0\0\0\0abCd" + crc32(b"abCd").to_bytes(4)


def is_accepted(data: bytes) -> bool:
    try:
        open_image(data, MANY_PIXELS, fraction_of)
    except InvalidImage:
        return False
    return True


def with_scans(count: int) -> bytes:
    """A JPEG whose first scan is followed by empty ones."""
    jpeg = seven("JPEG")
    head = jpeg.index(b"\xff\xda")
    return jpeg[:-2] + (count - 1) * jpeg[head : head + 14] + jpeg[-2:]


def with_segments(segments: bytes) -> bytes:
    jpeg = seven("JPEG")
    return jpeg[:2] + segments + jpeg[2:]


def test_a_digit_that_is_a_tenth_as_high_keeps_the_rows_of_mnist():
    page = np.full((1400, 1000), 255, np.uint8)
    page[600:740, 450:550] = 0
    pixels = decode(as_bytes(Image.fromarray(page)), MANY_PIXELS).pixels
    assert np.count_nonzero(pixels.min(axis=1) < 128) == 28


def test_a_large_picture_is_not_copied_as_a_whole():
    opened = open_image(
        as_bytes(Image.new("L", (2300, 2300))), MANY_PIXELS, fraction_of
    )
    tracemalloc.start()
    decode_opened(opened)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2300 * 2300


@pytest.mark.parametrize("size", [(1, 65_535), (65_535, 1)])
def test_a_hairline_as_long_as_a_jpeg_can_be_is_read(size):
    assert decode(as_bytes(Image.new("1", size)), MANY_PIXELS).size == size


@pytest.mark.parametrize("size", [(1, 65_536), (65_536, 1)])
def test_a_longer_hairline_is_refused(size):
    with pytest.raises(TooLarge, match="pixels wide or high"):
        open_image(as_bytes(Image.new("1", size)), MANY_PIXELS, fraction_of)


@pytest.mark.parametrize(("scans", "accepted"), [(30, True), (31, False)])
def test_the_scans_of_a_jpeg_are_limited(scans, accepted):
    assert is_accepted(with_scans(scans)) is accepted


@pytest.mark.parametrize(("chunks", "accepted"), [(10_000, True), (10_001, False)])
def test_the_chunks_of_a_png_are_limited(chunks, accepted):
    png = seven()  # IHDR, IDAT and IEND
    assert is_accepted(png[:33] + (chunks - 3) * CHUNK + png[33:]) is accepted


@pytest.mark.parametrize(("segments", "accepted"), [(9_900, True), (10_001, False)])
def test_the_segments_of_a_jpeg_are_limited(segments, accepted):
    assert is_accepted(with_segments(segments * b"\xff\xfe\0\2")) is accepted


@pytest.mark.parametrize("marker", [0xC8, 0xD8, 0xD9, 0xF0, 0xFD])
def test_segments_after_a_marker_without_a_length_are_counted(marker):
    segments = 10_001 * b"\xff\xfe\0\2"
    assert not is_accepted(with_segments(bytes([0xFF, marker]) + segments))


@pytest.mark.parametrize("marker", [0xE1, 0xEF, 0xFE])
def test_markers_within_a_segment_are_not_counted(marker):
    segment = bytes([0xFF, marker, 0xFF, 0]) + 32_639 * b"\xff\xe1"
    assert is_accepted(with_segments(segment))


@pytest.mark.parametrize(("fill_bytes", "accepted"), [(4_000, True), (4_096, False)])
def test_fill_bytes_in_the_coded_data_of_a_jpeg_are_limited(fill_bytes, accepted):
    jpeg = seven("JPEG")
    assert is_accepted(jpeg[:-2] + fill_bytes * b"\xff" + jpeg[-2:]) is accepted


def test_what_follows_the_end_of_a_jpeg_is_ignored():
    assert is_accepted(seven("JPEG") + 40 * b"\xff\xda\0\2")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(orientation):
    stored = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = as_bytes(stored, exif=exif)
    stored.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(stored))
    assert np.array_equal(decode(data, MANY_PIXELS).pixels, upright)


def half_transparent(tone: int, other: int, share: float) -> bytes:
    """Drawn in two tones, of which the other has this share."""
    rgba = np.zeros((20, 100, 4), np.uint8)
    rgba[:10, :, :3], rgba[:10, :, 3] = tone, 255
    rgba[:10].reshape(-1, 4)[: round(1000 * share), :3] = other
    return as_bytes(Image.fromarray(rgba))


@pytest.mark.parametrize(
    ("tone", "other", "ground"),
    [(100, 160, 255), (100, 170, 100), (200, 140, 0), (200, 130, 200)],
)
def test_only_ink_of_one_tone_is_laid_on_a_ground_unlike_it(tone, other, ground):
    pixels = decode(half_transparent(tone, other, 0.3), MANY_PIXELS).pixels
    assert (pixels[10:] == ground).all()


@pytest.mark.parametrize(("share", "ground"), [(0.015, 255), (0.025, 0)])
def test_few_outliers_are_no_second_tone(share, ground):
    pixels = decode(half_transparent(0, 255, share), MANY_PIXELS).pixels
    assert (pixels[10:] == ground).all()
