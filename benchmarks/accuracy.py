"""Read digits with this service and baselines: python -m benchmarks.accuracy

Prints a Markdown table with the share of first answers that are right. All read the
same files, each in an environment of its own under benchmarks/cache where it has
requirements; one that cannot be installed or run is left out, with the reason.
"""

import argparse
import json
import platform
import random
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from tqdm import tqdm

from benchmarks.environments import (
    ENVIRONMENT,
    ROOT,
    LeftOut,
    chosen,
    last_line,
    pins,
    python_of,
)
from benchmarks.markdown import command, table
from training.data import Sample, evaluation_sets

RESOURCES = ROOT / "tests" / "resources"
FOLDER = ROOT / "benchmarks" / "baselines"
PNG_SIGNATURE = b"\x89PNG"
# Which pictures --limit draws.
SEED = 0
# The folder of each, and what it is run with; "DATA" stands for the folder of the data.
BASELINES = {
    "this service": ["this_service"],
    "Tesseract": ["tesseract"],
    "RapidOCR": ["rapidocr"],
    "RapidOCR, recognition only": ["rapidocr", "--recognition-only"],
    "digit-recognizer-py": ["digit_recognizer_py"],
    "Keras MNIST convnet": ["keras_convnet", "DATA"],
}

Sets = dict[str, list[Sample]]


def drawn(sets: Sets, limit: int | None) -> Sets:
    """At most `limit` pictures of each set, at random: their files lie by digit."""
    if limit is None:
        return sets
    draw = random.Random(SEED)
    return {
        name: draw.sample(samples, min(limit, len(samples)))
        for name, samples in sets.items()
    }


def write_pictures(sets: Sets, folder: Path) -> Path:
    """Under numbers, so that no name tells the digit; returns the list of paths."""
    paths = []
    for sample in (sample for samples in sets.values() for sample in samples):
        suffix = ".png" if sample.content.startswith(PNG_SIGNATURE) else ".jpg"
        paths.append(folder / f"{len(paths):06}{suffix}")
        paths[-1].write_bytes(sample.content)
    listing = folder / "paths.txt"
    listing.write_text("".join(f"{path}\n" for path in paths))
    return listing


def digits_read(name: str, listing: Path, data: Path) -> list[int | None]:
    folder, *options = BASELINES[name]
    options = [str(data) if option == "DATA" else option for option in options]
    python = python_of(FOLDER / folder)
    words = [python, "-m", "benchmarks.baselines", folder, *options]
    count = listing.read_text().count("\n")
    with TemporaryFile("w+") as log, listing.open() as paths:
        pipes = {"stdin": paths, "stdout": subprocess.PIPE, "stderr": log}
        with subprocess.Popen(
            words, cwd=ROOT, env=ENVIRONMENT, text=True, **pipes
        ) as process:
            lines = list(tqdm(process.stdout, name, count, leave=False))
        if process.returncode or len(lines) != count:
            raise LeftOut(last_line(log))
    return [json.loads(line) for line in lines]


def shares(sets: Sets, digits: list[int | None]) -> list[str]:
    each, cells = iter(digits), []
    for samples in sets.values():
        right = sum(next(each) == sample.label for sample in samples)
        cells.append(f"{right / len(samples):.2%} ({right:,})")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the larger sets")
    parser.add_argument("--limit", type=int, help="at most as many pictures of a set")
    parser.add_argument("--baselines", nargs="+", help="how their names begin")
    options = parser.parse_args()
    sets = evaluation_sets(RESOURCES)
    if options.data:
        sets |= evaluation_sets(options.data)
    sets, rows, notes = drawn(sets, options.limit), [], []
    data = (options.data or RESOURCES).resolve()
    with TemporaryDirectory() as folder:
        listing = write_pictures(sets, Path(folder))
        for name in chosen(list(BASELINES), options.baselines, parser):
            try:
                rows.append([name, *shares(sets, digits_read(name, listing, data))])
            except (LeftOut, OSError, json.JSONDecodeError) as reason:
                notes.append(f"{name} left out: {reason}")
    print(table(["", *(f"{name}, {len(s):,}" for name, s in sets.items())], rows))
    notes += ["First answers that are right; none at all is wrong."]
    if options.limit is not None:
        notes += [f"At most {options.limit:,} of a set, drawn with the seed {SEED}."]
    notes += [f"Python {platform.python_version()}, {pins(FOLDER)}."]
    notes += [command("benchmarks.accuracy")]
    print("", "\n\n".join(notes), sep="\n")


if __name__ == "__main__":
    main()
