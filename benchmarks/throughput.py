"""Measure the service beside baselines: python -m benchmarks.throughput

Prints Markdown tables with the medians over the rounds. In each round every server is
started afresh, one after the other, with its uploads in a folder in memory, and
measured at every size and number of connections. Needs Linux and wrk. A server that
cannot be installed or run is left out, with the reason.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections import defaultdict
from functools import partial
from io import BytesIO
from math import nan
from pathlib import Path
from statistics import median
from typing import NamedTuple

from PIL import Image, ImageOps

from benchmarks.environments import ENVIRONMENT, ROOT, LeftOut, chosen, pins
from benchmarks.launches import (
    ALL,
    OURS,
    SERVERS,
    WORKERS,
    Start,
    copy_service,
    service_in,
)
from benchmarks.load import NoAnswer, first_class, load
from benchmarks.markdown import command, table, three_digits
from benchmarks.running import (
    Running,
    cpu_seconds,
    memory_mb,
    running,
    scratch_folder,
    seconds_to_first_answer,
    settle,
)

PHOTO = ROOT / "tests" / "resources" / "photos_mit" / "7" / "7_087.jpg"
DIGIT = "7"
LOWER_BOUND = "lower bound"
SIZES = ("90x140", "720x1120", "3000x4000")
CONNECTIONS = (1, 4, 16, 64)
ROUNDS, SECONDS, BURN_IN_SECONDS = 3, 3, 1
# Before the load, to see whether they agree.
FIRST_ANSWERS = 4
COLUMNS = ("requests/s", "p50, ms", "p99, ms", "CPU a request, ms", "memory, MB")
RATIO = "requests/s of this service ÷ its"


class Figures(NamedTuple):
    requests_a_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    # Proportional.
    memory_mb: float
    failed: float


class Results:
    def __init__(self) -> None:
        # (size, connections) → server → the figures of each round
        self.figures = defaultdict(lambda: defaultdict(list))
        self.starts = defaultdict(list)
        self.left_out = {}


def jpeg(size: str) -> bytes:
    width, height = map(int, size.split("x"))
    file = BytesIO()
    ImageOps.fit(Image.open(PHOTO), (width, height)).save(file, "JPEG")
    return file.getvalue()


def checked_class(port: int, picture: bytes, prepares_as_ours: bool) -> str:
    """What it takes the picture for: always the same, and the digit if it must be."""
    answers = {first_class(port, picture) for _ in range(FIRST_ANSWERS)}
    if len(answers) > 1 or (prepares_as_ours and answers != {DIGIT}):
        raise NoAnswer(f"it takes a {DIGIT} for {' or '.join(answers)}")
    return answers.pop()


def measure(
    server: Running, picture: bytes, connections: int, expected: str, seconds: int
) -> Figures:
    post = partial(load, server.port, picture, connections, expected=expected)
    post(BURN_IN_SECONDS)
    before = cpu_seconds(server.process.pid)
    done = post(seconds)
    cpu = cpu_seconds(server.process.pid) - before
    right = done.answers - done.failed
    if right <= 0:
        raise NoAnswer("no right answer: give it more --seconds")
    memory = memory_mb(server.process.pid)
    latency = done.p50_ms, done.p99_ms
    return Figures(
        right / done.seconds, *latency, 1e3 * cpu / right, memory, done.failed
    )


def run_server(name: str, start: Start, options, results: Results) -> None:
    with running(start) as server:
        start_seconds = seconds_to_first_answer(server, jpeg(SIZES[0]))
        results.starts[name].append(start_seconds)
        settle(server.process)
        for size in options.sizes:
            picture = jpeg(size)
            is_usual = name == "tutorial" or name.endswith("usual preparation")
            expected = checked_class(server.port, picture, not is_usual)
            for count in options.connections:
                figures = measure(server, picture, count, expected, options.seconds)
                results.figures[size, count][name].append(figures)


def run_lower_bound(options, results: Results) -> None:
    """What as many cores as the service has workers can do at most."""
    with scratch_folder() as folder:
        copy_service(folder)
        for size in options.sizes:
            (folder / size).write_bytes(jpeg(size))
        script = ROOT / "benchmarks" / "lower_bound.py"
        loop = [sys.executable, script, *options.sizes]
        output = subprocess.check_output(loop, cwd=folder, env=ENVIRONMENT)
    for size, seconds in zip(options.sizes, json.loads(output), strict=True):
        figures = Figures(WORKERS / seconds, nan, nan, 1e3 * seconds, nan, 0)
        for count in options.connections:
            results.figures[size, count][LOWER_BOUND].append(figures)


def measure_all(servers: dict[str, Start | None], options) -> Results:
    """The lower bound has no Start."""
    results = Results()
    for number in range(1, options.rounds + 1):
        # In turn, so that whatever else the machine does meets all of them.
        for name, start in servers.items():
            if name in results.left_out:
                continue
            now = time.strftime("%H:%M:%S")
            print(f"{now} round {number} of {options.rounds}: {name}", file=sys.stderr)
            try:
                if start:
                    run_server(name, start, options, results)
                else:
                    run_lower_bound(options, results)
            except (LeftOut, OSError, subprocess.CalledProcessError) as reason:
                results.left_out[name] = f"{reason} (round {number})"
    return results


def medians(rounds: list[Figures]) -> Figures:
    """But of the failures the sum: not one may hide."""
    typical = Figures(*map(median, zip(*rounds, strict=True)))
    return typical._replace(failed=sum(figures.failed for figures in rounds))


def report(results: Results) -> str:
    starts = [[name, f"{median(s):.1f}"] for name, s in results.starts.items()]
    parts = [table(["", "start to first answer, s"], starts)]
    for (size, count), servers in results.figures.items():
        figures = {name: medians(rounds) for name, rounds in servers.items()}
        head = [f"{size}, connections: {count}", *COLUMNS, "failed", RATIO]
        ours = figures.get(OURS)
        parts += [table(head, [row(name, f, ours) for name, f in figures.items()])]
    parts += [f"{name} left out: {why}" for name, why in results.left_out.items()]
    return "\n\n".join(parts)


def row(name: str, figures: Figures, ours: Figures | None) -> list[str]:
    ratio = ours.requests_a_second / figures.requests_a_second if ours else nan
    cells = [*map(three_digits, figures[:5]), f"{figures.failed:.0f}"]
    return [name, *cells, three_digits(ratio)]


def machine() -> str:
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    count, name = len(os.sched_getaffinity(0)), model[1] if model else "?"
    return f"{count} CPUs, {name}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", nargs="+", help="how their names begin")
    parser.add_argument(
        "--versions", nargs="+", default=[], help="folders with others of this service"
    )
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="as 90x140")
    parser.add_argument("--connections", nargs="+", type=int, default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each point")
    options = parser.parse_args()
    known = {**ALL, LOWER_BOUND: None}
    names = chosen(list(known), options.servers, parser)
    servers = {name: known[name] for name in names}
    servers |= {path: partial(service_in, Path(path)) for path in options.versions}
    load_before = os.getloadavg()[0]
    print(report(measure_all(servers, options)))
    print(f"\nRounds: {options.rounds}, of {options.seconds} s at each point.")
    print(f"\n{machine()}, load before the start {load_before:.1f}.")
    print(f"\n{pins(SERVERS)}.")
    print(f"\n{command('benchmarks.throughput')}")


if __name__ == "__main__":
    main()
