"""A contact sheet of the pictures that were read wrong, the surest first."""

from pathlib import Path

from PIL import Image, ImageDraw

from recognition.decoding import decode, to_uint8
from recognition.framing import INPUT_WIDTH
from recognition.localization import Box
from training.data import NO_DIGIT
from training.evaluate.answers import MAX_PIXELS, RECOGNISER, Answer
from training.evaluate.numbers import Reading

TILE, NUMBER_TILE, NUMBER_COLUMNS = 150, 260, 8
COLUMNS = 12
SHOWN = 50 * COLUMNS


def save_failures(wrong: list[Answer], folder: Path | None, name: str) -> None:
    if folder and wrong:
        folder.mkdir(parents=True, exist_ok=True)
        file = name.replace(" %", "").replace(",", "").replace(" ", "-").lower()
        contact_sheet(wrong).save(folder / f"{file}.png")


def contact_sheet(wrong: list[Answer]) -> Image.Image:
    """Each picture with its box, what the model saw, the true and the given answer."""
    shown = sorted(wrong, key=lambda failure: -failure.best)[:SHOWN]
    rows = -(-len(shown) // COLUMNS)
    width, height = TILE + INPUT_WIDTH + 10, TILE + 20
    sheet = Image.new("RGB", (COLUMNS * width, rows * height), "grey")
    draw = ImageDraw.Draw(sheet)
    for place, failure in enumerate(shown):
        x, y = place % COLUMNS * width, place // COLUMNS * height
        recognition = RECOGNISER.recognise(failure.sample.content, MAX_PIXELS)
        sheet.paste(with_boxes(failure.sample.content, [recognition.box]), (x, y))
        seen = to_uint8(recognition.pixels * 255)
        sheet.paste(Image.fromarray(seen), (x + TILE + 4, y))
        label = failure.sample.label
        true = "no digit" if label == NO_DIGIT else label
        answers = f"{true} read as {failure.read_as} ({failure.best:.0%})"
        draw.text((x + 2, y + TILE + 2), answers, "white")
    return sheet


def save_number_failures(wrong: list[Reading], folder: Path | None, name: str) -> None:
    if folder and wrong:
        folder.mkdir(parents=True, exist_ok=True)
        number_sheet(wrong).save(folder / f"{name.replace(' ', '-')}.png")


def number_sheet(wrong: list[Reading]) -> Image.Image:
    """Each picture with the boxes of its digits, the true and the given text."""
    shown = wrong[:SHOWN]
    rows, side = -(-len(shown) // NUMBER_COLUMNS), NUMBER_TILE + 4
    size = NUMBER_COLUMNS * side, rows * (side + 28)
    sheet = Image.new("RGB", size, "grey")
    draw = ImageDraw.Draw(sheet)
    for place, reading in enumerate(shown):
        x = place % NUMBER_COLUMNS * side
        y = place // NUMBER_COLUMNS * (side + 28)
        content = reading.number.content
        digits = RECOGNISER.recognise(content, MAX_PIXELS).digits
        boxes = [digit.box for digit in digits]
        sheet.paste(with_boxes(content, boxes, NUMBER_TILE), (x, y))
        for line, text in enumerate((reading.number.text, reading.text)):
            shown_text = text.replace("\n", " | ")
            draw.text((x + 2, y + NUMBER_TILE + 2 + 12 * line), shown_text, "white")
    return sheet


def with_boxes(data: bytes, boxes: list[Box | None], side: int = TILE) -> Image.Image:
    picture = decode(data, MAX_PIXELS)
    image = Image.fromarray(picture.pixels).convert("RGB")
    scale = side / max(image.size)
    image = image.resize([max(1, round(length * scale)) for length in image.size])
    for box in filter(None, boxes):
        corners = (box.x, box.y, box.x + box.width, box.y + box.height)
        scaled = [length * image.width / picture.size[0] for length in corners]
        ImageDraw.Draw(image).rectangle(scaled, outline="red")
    return image
