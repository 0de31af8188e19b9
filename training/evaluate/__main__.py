"""Score model.keras: python -m training.evaluate --data DIR [--failures DIR]

Every picture goes as bytes through the functions that answer a request. Prints a
Markdown table with 95 % intervals (Wilson 1927); with --failures it writes a contact
sheet of the pictures that were read wrong for each set.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from app import classify
from preprocessing import INPUT_WIDTH, Prepared, decode, eight_bits, prepare
from training.data import Sample, evaluation_sets

TILE = 150
COLUMNS = 12


class Answer(NamedTuple):
    sample: Sample
    prepared: Prepared
    probabilities: np.ndarray

    @property
    def read_as(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def is_right(self) -> bool:
        return self.read_as == self.sample.label


def answer(sample: Sample) -> Answer:
    prepared = prepare(sample.content)
    return Answer(sample, prepared, classify(prepared.pixels))


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `right` in `count`."""
    z, share = 1.96, right / count
    middle = share + z * z / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)


def row(name: str, answers: list[Answer]) -> str:
    right, count = sum(a.is_right for a in answers), len(answers)
    low, high = wilson(right, count)
    share = f"{right / count:.2%} | {low:.1%} to {high:.1%}"
    return f"| {name} | {count} | {count - right} | {share} |"


def contact_sheet(wrong: list[Answer]) -> Image.Image:
    """Each picture with its box, what the model saw, the true and the given answer."""
    rows = -(-len(wrong) // COLUMNS)
    width, height = TILE + INPUT_WIDTH + 10, TILE + 20
    sheet = Image.new("RGB", (COLUMNS * width, rows * height), "grey")
    draw = ImageDraw.Draw(sheet)
    for place, failure in enumerate(wrong):
        x, y = place % COLUMNS * width, place // COLUMNS * height
        sheet.paste(with_box(failure), (x, y))
        seen = eight_bits(failure.prepared.pixels * 255)
        sheet.paste(Image.fromarray(seen), (x + TILE + 4, y))
        given = f"{failure.read_as} ({failure.probabilities.max():.0%})"
        answers = f"{failure.sample.label} read as {given}"
        draw.text((x + 2, y + TILE + 2), answers, "white")
    return sheet


def with_box(failure: Answer) -> Image.Image:
    picture, (width, _), _ = decode(failure.sample.content, 2**31)
    image = Image.fromarray(picture).convert("RGB")
    scale = TILE / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    if failure.prepared.box:
        box = failure.prepared.box
        corners = (box.x, box.y, box.x + box.width, box.y + box.height)
        scaled = [side * image.width / width for side in corners]
        ImageDraw.Draw(image).rectangle(scaled, outline="red")
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets")
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--failures", type=Path, help="folder for the contact sheets")
    arguments = parser.parse_args()
    print("| set | pictures | wrong | right | 95 % interval |\n|---|---|---|---|---|")
    for name, samples in evaluation_sets(arguments.data).items():
        if arguments.sets and name not in arguments.sets:
            continue
        progress = tqdm(samples, name, leave=False, unit=" pictures")
        answers = [answer(sample) for sample in progress]
        print(row(name, answers), flush=True)
        wrong = [a for a in answers if not a.is_right]
        if arguments.failures and wrong:
            arguments.failures.mkdir(parents=True, exist_ok=True)
            contact_sheet(wrong).save(arguments.failures / f"{name}.png")


if __name__ == "__main__":
    main()
