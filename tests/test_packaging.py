"""One picture gives one answer in every format, mode, orientation and place."""

from io import BytesIO

import numpy as np
import pytest
from pictures import RESOURCES, as_bytes, drawn_seven
from PIL import Image, ImageOps

import app as service

PHOTO = RESOURCES / "photos_mit" / "5" / "5_101.jpg"
MODES = {
    "grey": (lambda image: image.convert("L"), "PNG"),
    "palette": (lambda image: image.quantize(64), "PNG"),
    "alpha": (lambda image: image.convert("RGBA"), "PNG"),
    "grey with alpha": (lambda image: image.convert("LA"), "PNG"),
    "16 bit": (lambda image: sixteen_bits(image), "PNG"),
    "cmyk": (lambda image: image.convert("CMYK"), "JPEG"),
    "grey jpeg": (lambda image: image.convert("L"), "JPEG"),
    "negative": (lambda image: ImageOps.invert(image), "PNG"),
}
# How a camera that was held so stores the upright picture.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def sixteen_bits(image):
    wide = np.asarray(image.convert("L")).astype(np.uint16) * 257
    return Image.fromarray(wide)


def prepare(data: bytes):
    return service.RECOGNISER.recognise(BytesIO(data))


def read(data: bytes) -> str:
    return str(prepare(data).ranking()[0][0])


@pytest.fixture(scope="module")
def photo():
    return Image.open(PHOTO).convert("RGB")


@pytest.mark.parametrize("mode", MODES)
def test_a_photo_is_read_alike_in_every_mode(photo, mode):
    convert, image_format = MODES[mode]
    assert read(as_bytes(convert(photo), image_format)) == "5"


@pytest.mark.parametrize("mode", ["grey", "alpha", "16 bit", "negative"])
def test_a_large_picture_is_read_like_a_small_one(photo, mode):
    convert, image_format = MODES[mode]
    data = as_bytes(convert(photo), image_format)
    large = as_bytes(convert(photo.resize((2510, 3347))), image_format)
    assert read(large) == "5"
    sides = np.divide(prepare(large).box, prepare(data).box)
    assert np.allclose(sides, 2510 / photo.width, rtol=0.1)


@pytest.mark.parametrize("options", [{"progressive": True}, {"quality": 30}], ids=str)
def test_a_photo_is_read_alike_however_it_was_compressed(photo, options):
    assert read(as_bytes(photo, "JPEG", **options)) == "5"


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_turned_photo_is_read_and_boxed_upright(photo, orientation, image_format):
    turn, exif = STORED[orientation], Image.Exif()
    stored = photo if turn is None else photo.transpose(turn)
    exif[0x0112] = orientation
    data = as_bytes(stored, image_format, exif=exif)
    upright = prepare(as_bytes(photo, image_format)).box
    assert read(data) == "5"
    assert prepare(data).box == pytest.approx(upright, abs=3)


def test_the_box_of_a_turned_photo_that_is_nearly_square_fits():
    stored, exif = Image.new("L", (559, 560), 255), Image.Exif()
    stored.paste(0, (0, 250, 559, 290))
    exif[0x0112] = 6
    x, y, width, height = prepare(as_bytes(stored, "JPEG", exif=exif)).box
    assert x + width <= 560
    assert y + height <= 559


@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("black", "white"),
        ("white", "black"),
        ("blue", "white"),
        ("red", "white"),
        ("yellow", "white"),
        ("#ddd", "white"),
        ("#404040", "#808080"),
        ("red", "green"),
        ("white", "navy"),
    ],
)
def test_the_colour_of_ink_and_paper_does_not_matter(ink, ground):
    assert read(as_bytes(drawn_seven(ink, ground))) == "7"


@pytest.mark.parametrize("ink", ["black", "white", "red"])
def test_ink_on_a_transparent_ground_is_read(ink):
    drawing = drawn_seven("white", "black").convert("L")
    image = Image.new("RGBA", drawing.size, ink)
    image.putalpha(drawing)
    assert read(as_bytes(image)) == "7"


@pytest.mark.parametrize("key", ["black", "white"])
def test_ink_beside_a_transparent_colour_is_read(key):
    image = drawn_seven("red", key)
    transparent = (0, 0, 0) if key == "black" else (255, 255, 255)
    assert read(as_bytes(image, transparency=transparent)) == "7"


@pytest.mark.parametrize("place", [(0, 0), (200, 0), (0, 300), (200, 300), (100, 150)])
def test_a_small_digit_is_found_wherever_it_is(place):
    page = Image.new("RGB", (300, 440), "white")
    page.paste(drawn_seven(), place)
    data = as_bytes(page)
    assert read(data) == "7"
    x, y, width, height = prepare(data).box
    assert (x + width / 2, y + height / 2) == pytest.approx(
        (place[0] + 45, place[1] + 70), abs=8
    )


def test_the_box_is_in_pixels_of_the_whole_photo():
    small, large = drawn_seven(), drawn_seven(width=2700, height=4200)
    expected = [30 * side for side in prepare(as_bytes(small)).box]
    box = prepare(as_bytes(large, "JPEG")).box
    assert box == pytest.approx(expected, abs=100)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(40 * b"\xff\xda", id="film of a motion photo"),
        pytest.param(4096 * b"\xff", id="fill bytes"),
        pytest.param(20_000 * b"\xff\xfe\0\2", id="segments"),
    ],
)
def test_what_follows_the_end_of_a_jpeg_does_not_count(end):
    assert read(as_bytes(drawn_seven(), "JPEG") + end) == "7"


def test_several_pictures_in_one_jpeg_are_the_first():
    file = BytesIO()
    others = [Image.new("RGB", (90, 140), "white")]
    drawn_seven().save(file, "MPO", save_all=True, append_images=others)
    assert prepare(file.getvalue()).format == "JPEG"
    assert read(file.getvalue()) == "7"


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3, 2000), (2000, 3), (28, 28)])
def test_odd_sizes_are_read_without_a_box_where_nothing_is_drawn(size):
    prepared = prepare(as_bytes(Image.new("L", size, 255)))
    assert prepared.pixels.shape == service.MODEL.input_shape[1:]
    assert prepared.box is None


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("size", [(28, 28), (200, 200), (640, 480)])
def test_an_even_picture_shows_no_digit(size, grey):
    assert prepare(as_bytes(Image.new("L", size, grey))).box is None


def test_half_transparent_ink_is_read():
    drawing = drawn_seven("white", "black").convert("L")
    image = Image.new("RGBA", drawing.size, "black")
    image.putalpha(drawing.point(lambda alpha: alpha // 3))
    assert read(as_bytes(image)) == "7"


def test_a_fully_transparent_picture_is_blank_paper():
    image = Image.new("RGBA", (90, 140), (0, 0, 0, 0))
    answer = prepare(as_bytes(image))
    assert answer.probabilities.max() < 0.2
    assert answer.digits == []
