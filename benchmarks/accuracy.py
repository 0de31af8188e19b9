"""Read digits with this service and its peers: python -m benchmarks.accuracy

Prints a Markdown table with the share of first answers that are right. Every peer
reads the same files, in an environment of its own under benchmarks/cache where it has
requirements; one that cannot be installed or run is left out, with the reason.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import NamedTuple

from tqdm import tqdm

from benchmarks.environments import (
    ENVIRONMENT,
    ROOT,
    LeftOut,
    chosen,
    finish,
    last_line,
    python_of,
)
from training.data import Sample, evaluation_sets

RESOURCES = ROOT / "tests" / "resources"
PEERS_FOLDER = ROOT / "benchmarks" / "peers"
PNG_SIGNATURE = b"\x89PNG"
# Which pictures --limit draws.
SEED = 0

Sets = dict[str, list[Sample]]


class Peer(NamedTuple):
    folder: str
    options: tuple[str, ...] = ()


PEERS = {
    "this service": Peer("this_service"),
    "Tesseract": Peer("tesseract"),
    "RapidOCR": Peer("rapidocr"),
    "RapidOCR, recognition only": Peer("rapidocr", ("--recognition-only",)),
    "digit-recognizer-py": Peer("digit_recognizer_py"),
    "Keras MNIST convnet": Peer("keras_convnet"),
}


class Reading(NamedTuple):
    versions: str
    digits: list[int | None]


def drawn(sets: Sets, limit: int | None) -> Sets:
    """At most `limit` pictures of each set, at random: their files lie by digit."""
    if limit is None:
        return sets
    draw = random.Random(SEED)
    return {
        name: draw.sample(samples, min(limit, len(samples)))
        for name, samples in sets.items()
    }


def write_pictures(sets: Sets, folder: Path) -> list[Path]:
    """Under numbers, so that no peer can tell the digit by the name."""
    paths = []
    for sample in (sample for samples in sets.values() for sample in samples):
        suffix = ".png" if sample.content.startswith(PNG_SIGNATURE) else ".jpg"
        paths.append(folder / f"{len(paths):06}{suffix}")
        paths[-1].write_bytes(sample.content)
    return paths


def ask(name: str, peer: Peer, listing: Path, data: Path) -> Reading:
    folder = PEERS_FOLDER / peer.folder
    python, module = python_of(folder), f"benchmarks.peers.{peer.folder}"
    if (folder / "train.py").exists():
        finish([python, "-m", f"{module}.train", str(data)])
    lines = answers([python, "-m", f"{module}.run", *peer.options], name, listing)
    versions, *digits = map(json.loads, lines)
    return Reading(versions, digits)


def answers(command: list[str], name: str, listing: Path) -> list[str]:
    """The lines that a peer prints: its versions and one for each picture."""
    count = 1 + listing.read_text().count("\n")
    with TemporaryFile("w+") as log, listing.open() as paths:
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
            stdin=paths,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process:
            lines = list(tqdm(process.stdout, name, count, leave=False))
        if process.returncode or len(lines) != count:
            raise LeftOut(last_line(log))
    return lines


def ask_all(
    names: list[str], listing: Path, data: Path
) -> tuple[dict[str, Reading], dict[str, str]]:
    """What each peer read, and of those that did not, the reasons."""
    readings, left_out = {}, {}
    for name in names:
        try:
            readings[name] = ask(name, PEERS[name], listing, data)
        except (LeftOut, OSError, json.JSONDecodeError) as reason:
            left_out[name] = str(reason)
    return readings, left_out


def table(sets: Sets, names: list[str], readings: dict[str, Reading]) -> str:
    heads = [f"{name}, {len(samples):,}" for name, samples in sets.items()]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---|' * len(sets)}"]
    for name in names:
        reading = readings.get(name)
        cells = shares(sets, reading) if reading else ["left out"] * len(sets)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shares(sets: Sets, reading: Reading) -> list[str]:
    digits = iter(reading.digits)
    cells = []
    for samples in sets.values():
        right = sum(next(digits) == sample.label for sample in samples)
        cells.append(f"{right / len(samples):.2%} ({right:,})")
    return cells


def footnotes(
    limit: int | None, readings: dict[str, Reading], left_out: dict[str, str]
) -> str:
    notes = ["First answers that are right; where a peer gives none, that is wrong."]
    if limit is not None:
        notes += [f"Of a larger set {limit:,} pictures, drawn with the seed {SEED}."]
    notes += [f"{name} was left out: {reason}" for name, reason in left_out.items()]
    versions = dict.fromkeys(reading.versions for reading in readings.values())
    notes += [f"Python {platform.python_version()}; {'; '.join(versions)}."]
    notes += [f"`{' '.join(['python -m benchmarks.accuracy', *sys.argv[1:]])}`"]
    return "\n\n".join(notes)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the larger sets")
    parser.add_argument("--limit", type=int, help="at most as many pictures of a set")
    parser.add_argument("--peers", nargs="+", help="how their names begin")
    options = parser.parse_args()
    options.peers = chosen(list(PEERS), options.peers, parser)
    return options


def main() -> None:
    options = arguments()
    sets = evaluation_sets(RESOURCES)
    if options.data:
        sets |= evaluation_sets(options.data)
    sets = drawn(sets, options.limit)
    with TemporaryDirectory() as folder:
        listing = Path(folder, "paths.txt")
        paths = write_pictures(sets, Path(folder))
        listing.write_text("".join(f"{path}\n" for path in paths))
        data = (options.data or RESOURCES).resolve()
        readings, left_out = ask_all(options.peers, listing, data)
    print(f"{table(sets, options.peers, readings)}\n")
    print(footnotes(options.limit, readings, left_out))


if __name__ == "__main__":
    main()
