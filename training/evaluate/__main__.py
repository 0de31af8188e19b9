"""Score model.keras: python -m training.evaluate --data DIR [--sets NAME …]

Every picture goes as bytes through the functions that answer a request. Prints Markdown
tables: the sets, pictures without a digit, numbers, the corruptions of MNIST-C, other
packaging, the cost. What is not in DIR is left out. With --failures it writes contact
sheets of what was read wrong, with --plots a reliability plot, examples and the
corruptions.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from training.data import NO_DIGIT, Sample, as_picture, evaluation_sets
from training.evaluate import metrics
from training.evaluate.answers import (
    MODEL,
    MODEL_FILE,
    RECOGNISER,
    Answer,
    answers,
    as_it_is,
    labels_and_probabilities,
)
from training.evaluate.composed import all_composed, composed_words, test_bank
from training.evaluate.corruptions import CORRUPTIONS, corrupted
from training.evaluate.empty import COMPOSED, RENDERED, empty_sets, rendered
from training.evaluate.failures import save_failures, save_number_failures
from training.evaluate.numbers import Number, Reading, load_numbers, score_of
from training.evaluate.packaging import VARIANTS, open_picture, repackaged
from training.evaluate.plots import (
    corruption_plot,
    examples_plot,
    reliability_plot,
    save_plot,
)
from training.evaluate.straight import straight_digits
from training.glyphs import Bank

COVERAGE = 0.95
CONFUSIONS = 3
SURE = (0.5, 0.9)
# What is corrupted: the first of these sets that is there.
MNIST = ("mnist", "mnist_sample")
# Of which one of each digit is shown.
PHOTOS = ("photos_mit",)
# What is packed otherwise, the first of each that is there: colour, grey, two tones.
PACKED = (("photos_mit",), MNIST, ("optdigits", "optdigits_sample"))
# So many pictures of a set; --full corrupts all.
CORRUPTED, REPACKAGED = 1_000, 1_000
PASSES, WARM_UP = 300, 30
TABLES = ("numbers", "corruptions", "packaging", "cost")

# `answers` without its pool: samples, title, change.
Ask = Callable[..., list[Answer]]
Sets = dict[str, list[Sample]]


def begin_table(title: str, *columns: str) -> None:
    print(f"\n## {title}\n")
    row(*columns)
    print(f"|{'---|' * len(columns)}")


def row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def share(part: int, count: int) -> str:
    return f"{part / count:.2%} ({part:,})"


def spread(samples: list[Sample], most: int | None) -> list[Sample]:
    """At most so many, evenly over the set: its start may be easier, or one digit."""
    if most is None or most >= len(samples):
        return samples
    places = np.linspace(0, len(samples) - 1, most).round().astype(int)
    return [samples[place] for place in places]


def score_sets(ask: Ask, sets: Sets, failures: Path | None) -> dict[str, list[Answer]]:
    columns = "set", "pictures", "wrong", "right", "95 % interval", "ECE"
    surest = f"right of the surest {100 * COVERAGE:.0f} %"
    columns = *columns, surest, "read as several", "most often read as another"
    begin_table("Digits", *columns)
    given = {}
    for name, samples in sets.items():
        given[name] = ask(samples, name)
        row(name, *digit_cells(given[name]))
        save_failures([a for a in given[name] if not a.is_right], failures, name)
    return given


def digit_cells(given: list[Answer]) -> list[str]:
    scores = labels_and_probabilities(given)
    count, right = len(given), sum(answer.is_right for answer in given)
    low, high = metrics.wilson(right, count)
    confused = metrics.confusions(*scores).most_common(CONFUSIONS)
    return [
        f"{count:,}",
        f"{count - right:,}",
        f"{right / count:.2%}",
        f"{low:.1%} to {high:.1%}",
        f"{metrics.calibration_error(*scores):.2%}",
        f"{metrics.accuracy_at(COVERAGE, *scores):.2%}",
        share(sum(answer.shows_several for answer in given), count),
        ", ".join(f"{true} as {read} ({times})" for (true, read), times in confused),
    ]


def score_empty(ask: Ask, sets: Sets, directory: Path, failures: Path | None) -> None:
    columns = (f"best probability above {100 * level:.0f} %" for level in SURE)
    columns = *columns, "any digit read"
    begin_table("Pictures that do not show one digit", "set", "pictures", *columns)
    for name, samples in sets.items():
        is_made = name in (*RENDERED, *COMPOSED)
        change = partial(rendered, directory, name) if is_made else as_it_is
        given = ask(samples, name, change)
        sure = [sum(answer.best > level for answer in given) for level in SURE]
        sure.append(sum(answer.shows_digit for answer in given))
        row(name, f"{len(given):,}", *(share(number, len(given)) for number in sure))
        save_failures([a for a in given if a.best > SURE[0]], failures, name)


def score_numbers(ask: Ask, numbers: list[Number], failures: Path | None) -> None:
    columns = "group", "pictures", "exact", "95 % interval", "F1 of the digits"
    begin_table("Numbers", *columns, "digits wrong, missing or added", "ECE of digits")
    groups: dict[str, list[Reading]] = {}
    for answer in ask(numbers, "numbers"):
        reading = Reading(answer.sample, answer.text, answer.confidences)
        groups.setdefault(reading.number.group, []).append(reading)
    for name, readings in groups.items():
        score, count = score_of(readings), len(readings)
        low, high = metrics.wilson(score.exact * count, count)
        best = np.array([each for one in readings for each in one.confidences])
        right = np.array([each for one in readings for each in one.right()])
        error = metrics.calibration_error_of(best, right) if len(best) else 0
        shares = f"{score.f1:.2%}", f"{score.error:.2%}", f"{error:.2%}"
        row(name, count, f"{score.exact:.2%}", f"{low:.1%} to {high:.1%}", *shares)
        wrong = [reading for reading in readings if not reading.is_exact]
        save_number_failures(wrong, failures, f"numbers {name}")


def score_all_numbers(
    ask: Ask, directory: Path, limit: int | None, failures: Path | None
) -> None:
    """Those in the directory, and composed ones if the sets for it are there."""
    bank = test_bank(directory) if (directory / "mnist").is_dir() else None
    numbers = load_numbers(directory) + (all_composed(bank) if bank else [])
    if numbers:
        score_numbers(ask, spread(numbers, limit), failures)
    if bank and bank.letters:
        samples = {"words": spread(words(bank), limit)}
        score_empty(ask, samples, directory, failures)


def words(bank: Bank) -> list[Sample]:
    return [
        as_picture(Sample(picture, NO_DIGIT, "words"))
        for picture in composed_words(bank)
    ]


def score_corruptions(
    ask: Ask, name: str, samples: list[Sample], failures: Path | None
) -> dict[str, tuple[bytes, float]]:
    """Also returns an example of each corruption, and the share of right answers."""
    title = f"Corruptions of MNIST-C, on {len(samples):,} pictures of {name}"
    begin_table(title, "corruption", "wrong", "right", "95 % interval")
    examples = {}
    for number, corruption in enumerate(CORRUPTIONS):
        given = ask(samples, corruption, partial(corrupted, corruption))
        wrong = [answer for answer in given if not answer.is_right]
        right = len(given) - len(wrong)
        low, high = metrics.wilson(right, len(given))
        accuracy = right / len(given)
        row(corruption, len(wrong), f"{accuracy:.2%}", f"{low:.1%} to {high:.1%}")
        save_failures(wrong, failures, corruption)
        example = given[number * len(given) // len(CORRUPTIONS)].sample
        examples[corruption] = example.content, accuracy
    row("mean", "", f"{np.mean([right for _, right in examples.values()]):.2%}", "")
    return examples


def score_packaging(ask: Ask, sets: Sets, failures: Path | None) -> None:
    columns = (f"{name}, {len(samples):,}" for name, samples in sets.items())
    title = "The same first answer in other packaging (and how often another)"
    begin_table(title, "packaging", "lossless", *columns)
    plain = {name: ask(samples, name) for name, samples in sets.items()}
    changes: dict[str, dict[str, int]] = {name: {} for name in sets}
    for kind, variant in VARIANTS.items():
        for name, given in plain.items():
            changed = changed_answers(ask, given, kind, name)
            changes[name][kind] = len(changed)
            save_failures(changed, failures, f"{kind} {name}")
        cells = (kept(changes[name], [kind], sets[name]) for name in sets)
        row(kind, variant.lossless.value, *cells)
    cells = (kept(changes[name], lossless(sets[name]), sets[name]) for name in sets)
    row("all lossless", "", *cells)
    row("all", "", *(kept(changes[name], VARIANTS, sets[name]) for name in sets))


def changed_answers(ask: Ask, plain: list[Answer], kind: str, name: str) -> list:
    samples = [answer.sample for answer in plain]
    given = ask(samples, f"{kind}, {name}", partial(repackaged, kind))
    pairs = zip(plain, given, strict=True)
    return [new for old, new in pairs if new.read_as != old.read_as]


def lossless(samples: list[Sample]) -> list[str]:
    picture = open_picture(samples[0].content)
    return [kind for kind, variant in VARIANTS.items() if variant.keeps(picture)]


def kept(changes: dict[str, int], kinds: Iterable[str], samples: list[Sample]) -> str:
    counts = [changes[kind] for kind in kinds]
    return f"{1 - sum(counts) / (len(counts) * len(samples)):.2%} ({sum(counts)})"


def measure_cost() -> None:
    columns = "size", "weights", "CPU of one pass, median", "99th percentile"
    begin_table("Cost of model.keras", *columns)
    pixels = np.ones(MODEL.input_shape[1:], np.float32)
    times = []
    for _ in range(WARM_UP + PASSES):
        start = time.process_time()
        RECOGNISER.classify(pixels)
        times.append(1000 * (time.process_time() - start))
    middle, slow = np.percentile(times[WARM_UP:], (50, 99))
    size = MODEL_FILE.stat().st_size / 1e6
    weights = f"{MODEL.count_params():,}"
    row(f"{size:.2f} MB", weights, f"{middle:.2f} ms", f"{slow:.2f} ms")


def first_there(names: Iterable[str], sets: dict[str, list]) -> list[str]:
    return [name for name in names if name in sets][:1]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets")
    only = f"only these sets and tables ({', '.join(TABLES)})"
    parser.add_argument("--sets", nargs="+", metavar="NAME", help=only)
    parser.add_argument("--failures", type=Path, help="folder for the contact sheets")
    parser.add_argument("--plots", type=Path, help="folder for the plots")
    parser.add_argument("--limit", type=int, help="at most so many pictures of a set")
    everything = f"corrupt all pictures, not {CORRUPTED:,}"
    parser.add_argument("--full", action="store_true", help=everything)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    digits, empty = evaluation_sets(arguments.data), empty_sets(arguments.data)
    digits["straight"] = straight_digits()
    known = [*digits, *empty, *TABLES]
    names = arguments.sets or known
    if unknown := set(names) - set(known):
        sys.exit(f"No set {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    digits, empty = (
        {name: spread(samples, arguments.limit) for name, samples in sets.items()}
        for sets in (digits, empty)
    )
    # Each process loads the service: neither model nor threads survive a fork.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        score(partial(answers, pool), digits, empty, names, arguments)


def score(
    ask: Ask, digits: Sets, empty: Sets, names: list, arguments: argparse.Namespace
) -> None:
    """All tables of the named sets, and the plots."""
    failures, plots = arguments.failures, arguments.plots
    if chosen := {name: digits[name] for name in digits if name in names}:
        given = score_sets(ask, chosen, failures)
        if plots:
            save_plot(reliability_plot(given), plots, "reliability")
            for name in first_there(PHOTOS, given):
                save_plot(examples_plot(given[name]), plots, "examples")
    if chosen := {name: empty[name] for name in empty if name in names}:
        score_empty(ask, chosen, arguments.data, failures)
    if "numbers" in names:
        score_all_numbers(ask, arguments.data, arguments.limit, failures)
    if "corruptions" in names:
        for name in first_there(MNIST, digits):
            samples = spread(digits[name], None if arguments.full else CORRUPTED)
            examples = score_corruptions(ask, name, samples, failures)
            if plots:
                save_plot(corruption_plot(examples), plots, "corruptions")
    if "packaging" in names:
        packed = [name for group in PACKED for name in first_there(group, digits)]
        some = {name: spread(digits[name], REPACKAGED) for name in packed}
        score_packaging(ask, some, failures)
    if "cost" in names:
        measure_cost()


if __name__ == "__main__":
    main()
