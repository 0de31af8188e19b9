"""Pictures drawn for the tests, and where the real ones are."""

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

RESOURCES = Path(__file__).parent / "resources"


def drawn_seven(ink="black", ground="white", width=90, height=140) -> Image.Image:
    image = Image.new("RGB", (width, height), ground)
    corners = [(0.25, 0.2), (0.75, 0.2), (0.45, 0.8)]
    line = [(x * width, y * height) for x, y in corners]
    ImageDraw.Draw(image).line(line, ink, width // 12)
    return image


def as_bytes(image: Image.Image, image_format: str = "PNG", **options) -> bytes:
    file = BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def seven(image_format: str = "PNG", width: int = 90, height: int = 140) -> bytes:
    return as_bytes(drawn_seven(width=width, height=height), image_format)
