"""Read digits and numbers beside baselines: python -m benchmarks.accuracy [--data DIR]

Prints a Markdown table of the share of single digits that are right, and one of the
share of numbers that are exact and the F1 of their digits. All read the same files; one
that cannot be installed or run is left out.
"""

import argparse
import json
import platform
import random
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.environments import ENVIRONMENT, ROOT, chosen, pins, python_of
from benchmarks.markdown import command, table
from training.data import Sample, evaluation_sets
from training.evaluate.composed import all_composed, test_bank
from training.evaluate.numbers import Number, Reading, flat, numbers_dev, score_of

# Which pictures --limit draws.
SEED = 0
# Of numbers_dev, photos of numbers and tight crops.
GROUPS = ("p_", "c_")
# A function of baselines.py, which names its environment too, and its option.
RAPIDOCR = {
    "RapidOCR, PP-OCRv4": "rapidocr_v4 page",
    "RapidOCR, PP-OCRv4, recognition only": "rapidocr_v4 line",
    "RapidOCR, PP-OCRv6": "rapidocr_v6 page",
    "RapidOCR, PP-OCRv6, recognition only": "rapidocr_v6 line",
}
DIGIT_READERS = {
    "this service": "this_service digit",
    "Tesseract, a character (10)": "tesseract 10",
    **RAPIDOCR,
    "digit-recognizer-py": "digit_recognizer",
}
NUMBER_READERS = {
    "this service": "this_service number",
    "Tesseract, a block (6)": "tesseract 6",
    "Tesseract, a line (7)": "tesseract 7",
    "Tesseract, sparse text (11)": "tesseract 11",
    **RAPIDOCR,
}

Sets = dict[str, list[Sample]] | dict[str, list[Number]]


def number_sets(directory: Path) -> Sets:
    """Real ones, and composed ones if the directory has the sets for it."""
    numbers = [each for each in numbers_dev(directory) if each.group in GROUPS]
    if (directory / "mnist").is_dir():
        numbers += all_composed(test_bank(directory))
    groups = dict.fromkeys(number.group for number in numbers)
    return {group: [n for n in numbers if n.group == group] for group in groups}


def drawn(samples: list, limit: int) -> list:
    return random.Random(SEED).sample(samples, min(limit, len(samples)))


def texts_read(reader: str, sets: Sets) -> list[str]:
    """Of the pictures in the order of the sets."""
    name, *option = reader.split()
    call = [python_of(name), "-m", "benchmarks.baselines", name, *option]
    with TemporaryDirectory() as folder:
        lines = ""
        for number, sample in enumerate(chain(*sets.values())):
            # No name tells the digit.
            path = Path(folder, str(number))
            path.write_bytes(sample.content)
            lines += f"{path}\n"
        settings = {"cwd": ROOT, "env": ENVIRONMENT, "check": True, "text": True}
        done = subprocess.run(call, input=lines, stdout=subprocess.PIPE, **settings)
    return [json.loads(line) for line in done.stdout.splitlines()]


def share_right(samples: list[Sample], texts: list[str]) -> str:
    """Of first digits; none at all is wrong."""
    pairs = zip(samples, texts, strict=True)
    right = sum(digits(text)[:1] == str(sample.label) for sample, text in pairs)
    return f"{right / len(samples):.2%}"


def exact_and_f1(numbers: list[Number], texts: list[str]) -> str:
    """Of nothing but the digits: signs, letters and rows do not count."""
    score = score_of(
        [
            Reading(number._replace(text=flat(number.text)), digits(text), [])
            for number, text in zip(numbers, texts, strict=True)
        ]
    )
    return f"{score.exact:.1%}; {score.f1:.1%}"


def digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


def compare(
    sets: Sets, readers: dict[str, str], score: Callable[[list, list[str]], str]
) -> str:
    rows, notes = [], []
    for name, reader in readers.items():
        print(name, file=sys.stderr)
        try:
            texts = iter(texts_read(reader, sets))
        except (OSError, subprocess.CalledProcessError) as reason:
            notes.append(f"\n\n{name} left out: {reason}")
            continue
        cells = (score(each, list(islice(texts, len(each)))) for each in sets.values())
        rows.append([name, *cells])
    head = ["", *(f"{name}, {len(samples):,}" for name, samples in sets.items())]
    return "".join([table(head, rows), *notes, "\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    resources = ROOT / "tests" / "resources"
    parser.add_argument("--data", type=Path, default=resources, help="larger sets")
    parser.add_argument("--limit", type=int, help="at most as many pictures of a set")
    parser.add_argument("--baselines", nargs="+", help="how their names begin")
    tables = {
        "digits": (evaluation_sets, DIGIT_READERS, share_right),
        "numbers": (number_sets, NUMBER_READERS, exact_and_f1),
    }
    parser.add_argument("--tables", nargs="+", choices=tables, default=tables)
    options = parser.parse_args()
    used = []
    for load, readers, score in (tables[name] for name in options.tables):
        sets = load(options.data)
        if options.limit:
            sets = {name: drawn(each, options.limit) for name, each in sets.items()}
        readers = {n: readers[n] for n in chosen(list(readers), options.baselines)}
        if sets:
            print(compare(sets, readers, score), flush=True)
            used += [reader.split()[0] for reader in readers.values()]
    tesseract = subprocess.getoutput("tesseract --version").splitlines()[0]
    print(f"Python {platform.python_version()}, {tesseract}, {pins(used)}.")
    print(f"\n{command('benchmarks.accuracy')}")


if __name__ == "__main__":
    main()
