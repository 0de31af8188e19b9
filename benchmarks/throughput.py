"""Measure the service beside baselines: python -m benchmarks.throughput

Prints Markdown tables with the medians over the rounds. In each round every server is
started afresh, one after the other, with its uploads in a folder in memory, and
measured at every size and number of connections. Needs Linux. A server that cannot be
installed or run is left out, with the reason.
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
from io import BytesIO
from math import nan
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from benchmarks.client import Load, NoAnswer, first_class, multipart
from benchmarks.environments import ENVIRONMENT, ROOT, LeftOut, chosen, pins
from benchmarks.launches import ALL, OURS, SERVERS, WORKERS, copy_service
from benchmarks.markdown import command, table, three_digits
from benchmarks.processes import tree_cpu_seconds, tree_memory_mb
from benchmarks.running import (
    Running,
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
    # Proportional. The lower bound has neither this nor failures nor a client.
    memory_mb: float = nan
    failed: float = 0
    client_cpu_ms: float = 0


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


def checked_class(server: Running, request: bytes, is_ours: bool) -> str:
    """What it takes the picture for: always the same, and the digit if it must be."""
    answers = [first_class(server.port, request) for _ in range(FIRST_ANSWERS)]
    if len(set(answers)) > 1 or (is_ours and answers[0] != DIGIT):
        raise NoAnswer(f"it takes a {DIGIT} for {' or '.join(set(answers))}")
    return answers[0]


def measure(
    server: Running, request: bytes, connections: int, expected: str, seconds: float
) -> Figures:
    load = Load(server.port, request, connections, expected)
    try:
        load.run(BURN_IN_SECONDS, least=connections)
        begin = clocks(server)
        answers = load.run(seconds, least=2 * connections)
        wall, cpu, client_cpu = clocks(server) - begin
        memory = tree_memory_mb(server.process.pid)
    finally:
        load.drain()
    right = [answer.seconds for answer in answers if answer.is_right]
    return Figures(
        len(right) / wall,
        *percentiles(right),
        cpu_ms=1000 * cpu / len(right),
        memory_mb=memory,
        failed=len(answers) - len(right),
        client_cpu_ms=1000 * client_cpu / len(right),
    )


def clocks(server: Running) -> np.ndarray:
    """Seconds by the wall, of the server's CPU time and of the client's."""
    cpu = tree_cpu_seconds(server.process.pid)
    return np.array([time.perf_counter(), cpu, time.process_time()])


def percentiles(seconds: list[float]) -> np.ndarray:
    """The 50th and the 99th, in milliseconds."""
    if not seconds:
        raise NoAnswer("no right answer: give it more --seconds")
    return 1000 * np.percentile(seconds, [50, 99])


def run_server(name: str, options, results: Results) -> None:
    is_ours = name == OURS or name.endswith("our preparation")
    with running(ALL[name]) as server:
        start_seconds = seconds_to_first_answer(server, jpeg(SIZES[0]))
        results.starts[name].append(start_seconds)
        settle(server.process)
        for size in options.sizes:
            request = multipart(jpeg(size), server.port)
            expected = checked_class(server, request, is_ours)
            for count in options.connections:
                figures = measure(server, request, count, expected, options.seconds)
                results.figures[size, count][name].append(figures)


def run_lower_bound(_name: str, options, results: Results) -> None:
    """What as many cores as the service has workers can do at most."""
    with scratch_folder() as folder:
        copy_service(folder)
        for size in options.sizes:
            (folder / size).write_bytes(jpeg(size))
        script = ROOT / "benchmarks" / "lower_bound.py"
        loop = [sys.executable, script, *options.sizes]
        output = subprocess.check_output(loop, cwd=folder, env=ENVIRONMENT)
    for size, seconds in zip(options.sizes, json.loads(output), strict=True):
        each = mean(seconds)
        figures = Figures(WORKERS / each, *percentiles(seconds), 1000 * each)
        for count in options.connections:
            results.figures[size, count][LOWER_BOUND].append(figures)


def measure_all(options: argparse.Namespace) -> Results:
    results = Results()
    for number in range(1, options.rounds + 1):
        # In turn, so that whatever else the machine does meets all of them.
        for name in options.servers:
            if name in results.left_out:
                continue
            now = time.strftime("%H:%M:%S")
            print(f"{now} round {number} of {options.rounds}: {name}", file=sys.stderr)
            try:
                run = run_lower_bound if name == LOWER_BOUND else run_server
                run(name, options, results)
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
    client_share = 0
    for (size, count), servers in results.figures.items():
        figures = {name: medians(rounds) for name, rounds in servers.items()}
        head = [f"{size}, connections: {count}", *COLUMNS, "failed", RATIO]
        ours = figures.get(OURS)
        parts += [table(head, [row(name, f, ours) for name, f in figures.items()])]
        shares = (f.client_cpu_ms / f.cpu_ms for f in figures.values())
        client_share = max(client_share, *shares)
    parts += [f"{name} left out: {why}" for name, why in results.left_out.items()]
    parts += [f"The client took at most {client_share:.1%} of a server's CPU time."]
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
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="as 90x140")
    parser.add_argument("--connections", nargs="+", type=int, default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each point")
    options = parser.parse_args()
    options.servers = chosen([*ALL, LOWER_BOUND], options.servers, parser)
    load_before = os.getloadavg()[0]
    print(report(measure_all(options)))
    print(f"\nRounds: {options.rounds}, of {options.seconds} s at each point.")
    print(f"\n{machine()}, load before the start {load_before:.1f}.")
    print(f"\n{pins(SERVERS)}.")
    print(f"\n{command('benchmarks.throughput')}")


if __name__ == "__main__":
    main()
