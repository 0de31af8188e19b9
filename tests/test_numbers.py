"""Numbers, rows and sheets: every digit, in reading order."""

import numpy as np
import pytest
from pictures import RESOURCES, as_bytes, drawn_seven
from PIL import Image, ImageDraw

import app as service
from recognition import numbers
from recognition.detection import Detection
from recognition.localization import Box
from recognition.numbers import MAX_DIGITS, Digit, main_digit, rows_of, text_of

RECOGNISER = service.RECOGNISER.recogniser
PHOTOS = sorted((RESOURCES / "photos_mit").glob("*/*_08*.jpg"))
# Of nine.
LEAST_RIGHT = 7
NUMBERS = sorted((RESOURCES / "numbers").iterdir())


def row_of_sevens(count, width=90, height=140, gap=0):
    picture = Image.new("RGB", (count * (width + gap), height), "white")
    for place in range(count):
        picture.paste(
            drawn_seven(width=width, height=height), (place * (width + gap), 0)
        )
    return picture


def sheet_of_sevens(rows, columns, **size):
    row = row_of_sevens(columns, **size)
    sheet = Image.new("RGB", (row.width, rows * row.height), "white")
    for place in range(rows):
        sheet.paste(row, (0, place * row.height))
    return sheet


def detection(left, top, width=10, height=20):
    box = (left, top, left + width, top + height)
    return Detection(box, 0.9, np.eye(10)[7])


def digit(label, probability, row=0):
    rest = np.full(10, (1 - probability) / 9)
    rest[label] = probability
    return Digit(rest, Box(0, 0, 1, 1), row)


def read(picture):
    data = picture if isinstance(picture, bytes) else as_bytes(picture)
    return RECOGNISER.recognise(data, 10**8)


def test_most_photographed_numbers_are_read():
    texts = {path: read(path.read_bytes()).text for path in NUMBERS}
    right = [path for path, text in texts.items() if path.stem.split("_")[0] == text]
    assert len(right) >= LEAST_RIGHT


@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_one_digit_is_a_list_of_the_answer_itself(path):
    answer = read(path.read_bytes())
    (digit,) = answer.digits
    assert digit.box == answer.box
    assert np.array_equal(digit.probabilities, answer.probabilities)
    assert answer.text == path.parent.name


def test_bare_paper_has_no_digits():
    answer = read(Image.new("RGB", (200, 100), "white"))
    assert (answer.digits, answer.text) == ([], "")


def test_boxes_are_in_pixels_of_the_picture_and_in_reading_order():
    answer = read(row_of_sevens(3, gap=60))
    assert answer.text == "777"
    for place, digit in enumerate(answer.digits):
        x, y, width, height = digit.box
        assert place * 150 + 23 == pytest.approx(x, abs=12)
        assert place * 150 + 68 == pytest.approx(x + width, abs=12)
        assert pytest.approx((y, y + height), abs=12) == (28, 112)


def test_rows_are_separated_by_newlines():
    assert read(sheet_of_sevens(3, 4)).text == "7777\n7777\n7777"


def faint(picture):
    return Image.eval(picture, lambda level: 255 - (255 - level) // 6)


def noisy(picture, deviation):
    pixels = np.asarray(picture.convert("L"), float)
    noise = np.random.default_rng(0).normal(0, deviation, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def shaded(picture):
    pixels = np.asarray(picture.convert("L"))
    return Image.fromarray((pixels * np.linspace(1, 0.4, picture.width)).astype("u1"))


def with_specks(picture):
    """Dots that are as high as a twentieth of a digit."""
    draw, rng = ImageDraw.Draw(picture), np.random.default_rng(1)
    for x, y in rng.uniform(0, 1, (20, 2)) * picture.size:
        draw.ellipse((x, y, x + 4, y + 4), "black")
    return picture


def squared_paper(step=25):
    picture = Image.new("L", (600, 400), 255)
    for x in range(0, 600, step):
        picture.paste(120, (x, 0, x + 2, 400))
    for y in range(0, 400, step):
        picture.paste(120, (0, y, 600, y + 2))
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(faint(row_of_sevens(4)), id="faint"),
        pytest.param(noisy(row_of_sevens(4), 30), id="noise"),
        pytest.param(noisy(faint(row_of_sevens(4)), 5), id="faint, in noise"),
        pytest.param(shaded(row_of_sevens(4)), id="half in shade"),
        pytest.param(with_specks(row_of_sevens(4, gap=40)), id="dust"),
    ],
)
def test_a_number_is_read_on_paper_that_is_not_clean(picture):
    assert read(picture).text == "7777"


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(Image.effect_noise((300, 300), 60), id="noise"),
        pytest.param(squared_paper(), id="squared paper"),
    ],
)
def test_a_texture_is_no_number(picture):
    assert len(read(picture).digits) < 2


@pytest.mark.parametrize(("share", "text"), [(0.5, "777"), (0.15, "77")])
def test_a_digit_may_be_half_as_high_as_the_others(share, text):
    picture = Image.new("RGB", (300, 140), "white")
    size = {"width": round(90 * share), "height": round(140 * share)}
    for x, seven in ((10, {}), (120, size), (200, {})):
        picture.paste(drawn_seven(**seven), (x, 0))
    assert read(picture).text == text


def test_small_marks_around_a_digit_do_not_replace_it():
    picture = Image.new("RGB", (700, 900), "white")
    picture.paste(drawn_seven(width=600, height=800), (50, 50))
    for place in ((10, 10), (640, 10), (10, 840), (640, 840)):
        picture.paste(drawn_seven(width=30, height=46), place)
    assert read(picture).text == "7"


def test_each_digit_of_a_long_row_is_read_once():
    assert read(row_of_sevens(30, width=47, height=150)).text == 30 * "7"


def test_a_row_goes_on_after_a_gap():
    picture = Image.new("RGB", (1000, 300), "white")
    for x in (20, 110, 800):
        picture.paste(drawn_seven(), (x, 60))
    assert read(picture).text == "777"


def test_rows_that_rise_are_kept_apart():
    picture = Image.new("RGB", (600, 500), "white")
    for place in range(8):
        x, y = 20 + 140 * (place % 4), 100 + 180 * (place // 4) - 30 * (place % 4)
        picture.paste(drawn_seven(), (x, y))
    assert read(picture).text == "7777\n7777"


def test_light_digits_on_a_dark_ground_are_read():
    assert read(Image.eval(row_of_sevens(4), lambda level: 255 - level)).text == "7777"


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_small_digits_on_a_large_sheet_are_read_from_more_pixels(image_format):
    sheet = Image.new("RGB", (2400, 1600), "white")
    sheet.paste(row_of_sevens(5, width=60, height=90), (300, 300))
    answer = read(as_bytes(sheet, image_format))
    assert answer.text == "77777"
    x, y, _, height = answer.digits[0].box
    assert (x, y, height) == pytest.approx((315, 318, 54), abs=12)


def test_of_more_than_200_digits_the_first_are_answered():
    answer = read(sheet_of_sevens(15, 15))
    assert answer.is_truncated
    assert len(answer.digits) == MAX_DIGITS == 200
    assert not read(sheet_of_sevens(2, 2)).is_truncated


def test_a_picture_too_coarse_for_the_detector_is_one_digit():
    assert len(read(row_of_sevens(3, width=11, height=17)).digits) < 2


def test_a_row_may_be_slanted():
    stair = [detection(15 * place, 6 * place) for place in range(6)]
    assert rows_of(stair[::-1]) == [stair]


def test_digits_below_each_other_are_rows():
    column = [detection(place % 2, 25 * place) for place in range(4)]
    assert rows_of(column[::-1]) == [[each] for each in column]


def test_a_question_mark_stands_for_what_is_not_legible():
    digits = [digit(4, 0.9), digit(2, 0.49), digit(1, 0.5, row=1)]
    assert text_of(digits) == "4?\n1"


def test_what_reaches_into_a_crop_is_removed():
    ink = np.zeros((40, 30), np.float32)
    ink[8:32, 10:14] = 1
    alone = ink.copy()
    ink[15:25, 28:] = 1
    assert np.array_equal(numbers.without_neighbours(ink), alone)
    # Not if it is all that there is.
    ink[8:32, 10:14] = 0
    assert np.array_equal(numbers.without_neighbours(ink), ink)


@pytest.mark.parametrize("size", [(1, 10_000), (10_000, 1), (20, 2_001)], ids=str)
def test_a_strip_too_long_for_digits_is_answered(size):
    data = as_bytes(Image.effect_noise(size, 90).convert("L"))
    assert len(RECOGNISER.recognise(data, 10**8).digits) <= 1


@pytest.mark.parametrize("left", [0, 600])
def test_a_digit_at_the_end_of_a_strip_is_read(left):
    strip = Image.new("RGB", (720, 100), "white")
    strip.paste(drawn_seven(width=64, height=100), (left, 0))
    answer = read(strip)
    assert answer.text == "7"
    assert answer.probabilities.argmax() == 7


def test_the_main_digit_is_large_and_near_the_centre():
    boxes = Box(0, 40, 30, 50), Box(90, 40, 30, 45), Box(100, 90, 9, 9)
    digits = [digit(place, 0.9)._replace(box=box) for place, box in enumerate(boxes)]
    assert main_digit(digits, (200, 120)).label == 1
    answer = read(sheet_of_sevens(3, 30))
    assert len(answer.digits) == 90
    assert answer.probabilities.argmax() == 7
