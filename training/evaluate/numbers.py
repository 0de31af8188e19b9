"""Pictures of numbers, and how well they are read."""

import csv
from collections import Counter
from difflib import SequenceMatcher
from io import StringIO
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

# The layout of digits that have no rows.
SCATTERED = "scattered"


class Number(NamedTuple):
    """`content`: the bytes of a picture; `text`: its digits, rows separated by
    newlines; `group`: what is scored together.
    """

    content: bytes
    text: str
    group: str
    layout: str = "rows"


class Reading(NamedTuple):
    """`text`: what was read of a number; `confidences`: the probability of each digit
    of it.
    """

    number: Number
    text: str
    confidences: list[float]

    @property
    def is_exact(self) -> bool:
        if self.number.layout == SCATTERED:
            return Counter(flat(self.text)) == Counter(flat(self.number.text))
        return self.text == self.number.text

    def right(self) -> list[bool]:
        """Of every digit that was read, whether it is one of the number's."""
        read, true = flat(self.text), flat(self.number.text)
        if self.number.layout == SCATTERED:
            return in_bag(read, true)
        marks = [False] * len(read)
        matcher = SequenceMatcher(None, read, true, autojunk=False)
        for start, _, size in matcher.get_matching_blocks():
            marks[start : start + size] = [True] * size
        return marks


class Score(NamedTuple):
    """Shares; `f1`: of the digits; `error`: wrong, missing and added digits per true
    one.
    """

    exact: float
    f1: float
    error: float


def flat(text: str) -> str:
    return text.replace("\n", "")


def in_bag(read: str, true: str) -> list[bool]:
    left, marks = Counter(true), []
    for digit in read:
        marks.append(left[digit] > 0)
        left[digit] -= 1
    return marks


def score_of(readings: list[Reading]) -> Score:
    right = read = true = errors = 0
    for reading in readings:
        of_this = sum(reading.right()), len(flat(reading.text)), true_count(reading)
        right, read, true = right + of_this[0], read + of_this[1], true + of_this[2]
        errors += max(of_this[1:]) - of_this[0]
    exact = sum(reading.is_exact for reading in readings) / len(readings)
    return Score(exact, 2 * right / max(read + true, 1), errors / max(true, 1))


def true_count(reading: Reading) -> int:
    return len(flat(reading.number.text))


def load_numbers(directory: Path) -> list[Number]:
    """What the directory has of them."""
    return [*numbers_dev(directory), *named_numbers(directory)]


def numbers_dev(directory: Path) -> list[Number]:
    """The development set; empty if it is not in the directory."""
    file = directory / "numbers_dev.zip"
    if not file.exists():
        return []
    with ZipFile(file) as archive:
        rows = csv.DictReader(StringIO(archive.read("labels.csv").decode()))
        return [
            Number(
                archive.read(f"{row['set']}/{row['file']}"),
                row["text"].replace("|", "\n"),
                group_of(row["set"]),
                row["layout"],
            )
            for row in rows
        ]


def named_numbers(directory: Path) -> list[Number]:
    """The pictures of its folder `numbers`, NUMBER_anything.jpg."""
    return [
        Number(path.read_bytes(), path.stem.split("_")[0], "numbers")
        for path in sorted((directory / "numbers").glob("*.jpg"))
    ]


def group_of(name: str) -> str:
    """Sets go by the kind that their first letter is, but the largest for itself."""
    return name if name.startswith("big_") else f"{name[0]}_"
