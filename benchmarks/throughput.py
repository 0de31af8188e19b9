"""Measure the service beside its peers: python -m benchmarks.throughput

Prints Markdown tables with the medians over the rounds and draws a plot. In each round
every server is started afresh, one after the other, with its uploads in a folder in
memory, and measured at every size and number of connections. Needs Linux, where /proc
tells CPU time and memory. A server that cannot be installed or run is left out, with
the reason.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from PIL import Image, ImageOps

from benchmarks import launches
from benchmarks.client import Answer, Load, NoAnswer, ask, multipart, ranking
from benchmarks.environments import CACHE, ROOT, LeftOut, chosen
from benchmarks.processes import tree_cpu_seconds, tree_memory_mb
from benchmarks.report import FLOOR, Figures, Point, Results, plot, report
from benchmarks.running import (
    Running,
    error_log,
    running,
    scratch_folder,
    seconds_to_first_answer,
    settle,
    started,
    stop,
)

PHOTO = ROOT / "tests" / "resources" / "photos_mit" / "7" / "7_087.jpg"
DIGIT = "7"
SIZES = ("90x140", "720x1120", "3000x4000")
CONNECTIONS = (1, 4, 16, 64)
ROUNDS, SECONDS, BURN_IN_SECONDS = 3, 3, 1
# Before the load, to see whether they agree.
FIRST_ANSWERS = 4


class Reading(NamedTuple):
    """The clocks at one moment, in seconds."""

    wall: float
    server_cpu: float
    client_cpu: float


def checked_class(server: Running, request: bytes, is_ours: bool) -> str:
    """What it takes the picture for: always the same, and what we do where it can."""
    first, *others = [ranking(ask(server.port, request)) for _ in range(FIRST_ANSWERS)]
    if any(other != first for other in others):
        raise NoAnswer(f"it reads one picture in several ways: {first}, {others}")
    if is_ours and first[0] != DIGIT:
        raise NoAnswer(f"it takes a {DIGIT} for a {first[0]}")
    return first[0]


def measure(
    server: Running, request: bytes, connections: int, expected: str, seconds: float
) -> Figures:
    load = Load(server.port, request, connections, expected)
    load.run(BURN_IN_SECONDS, least=connections)
    begin = read_clocks(server.process)
    answers = load.run(seconds, least=2 * connections)
    end = read_clocks(server.process)
    memory = tree_memory_mb(server.process.pid)
    load.drain()
    return summary(answers, begin, end, memory)


def read_clocks(process: subprocess.Popen) -> Reading:
    return Reading(
        time.perf_counter(), tree_cpu_seconds(process.pid), time.process_time()
    )


def summary(
    answers: list[Answer], begin: Reading, end: Reading, memory: float
) -> Figures:
    right = [answer.seconds for answer in answers if answer.is_right]
    p50, p99 = percentiles(right)
    return Figures(
        requests_a_second=len(right) / (end.wall - begin.wall),
        p50_ms=p50,
        p99_ms=p99,
        cpu_ms=1000 * (end.server_cpu - begin.server_cpu) / len(right),
        memory_mb=memory,
        failed=len(answers) - len(right),
        client_cpu_ms=1000 * (end.client_cpu - begin.client_cpu) / len(right),
    )


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """The 50th and the 99th, in milliseconds."""
    if len(seconds) < 2:
        raise NoAnswer("too few right answers: give it more --seconds")
    hundredths = quantiles(seconds, n=100, method="inclusive")
    return 1000 * hundredths[49], 1000 * hundredths[98]


def run_server(name: str, pictures: dict[str, bytes], options, results) -> None:
    """Start a server and measure it at every point."""
    server = launches.ALL[name]
    with running(server) as instance:
        smallest = min(pictures.values(), key=len)
        start_seconds = seconds_to_first_answer(instance, smallest)
        results.starts[name].append(start_seconds)
        settle(instance.process)
        for size, picture in pictures.items():
            request = multipart(picture, instance.port)
            expected = checked_class(instance, request, server.is_ours)
            for count in options.connections:
                figures = measure(instance, request, count, expected, options.seconds)
                results.add(Point(name, size, count), figures)


def run_floor(pictures: dict[str, bytes], options, results) -> None:
    """The bare loop on as many cores as the service has workers, at the same time."""
    with scratch_folder() as folder, error_log() as log:
        copy = Path(folder)
        launches.copy_service(copy)
        loops = [start_loop(copy, core, log) for core in cores()]
        try:
            for size, picture in pictures.items():
                (copy / "picture").write_bytes(picture)
                figures = floor_figures(loops, copy / "picture", options.seconds)
                results.add(Point(FLOOR, size, 0), figures)
        finally:
            for loop in loops:
                stop(loop)


def cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))[: launches.WORKERS]


def start_loop(folder: Path, core: int, log) -> subprocess.Popen:
    script = str(ROOT / "benchmarks" / "floor.py")
    launch = launches.Launch([sys.executable, script, str(core)], folder, {})
    pipe = subprocess.PIPE
    return started(launch, log, stdin=pipe, stdout=pipe, text=True)


def floor_figures(
    loops: list[subprocess.Popen], picture: Path, seconds: float
) -> Figures:
    for loop in loops:
        print(json.dumps([str(picture), seconds]), file=loop.stdin, flush=True)
    lines = [loop.stdout.readline() for loop in loops]
    if not all(lines):
        raise NoAnswer("it ended before its time")
    each, cpu_seconds = zip(*map(json.loads, lines), strict=True)
    durations = [duration for durations in each for duration in durations]
    p50, p99 = percentiles(durations)
    return Figures(
        requests_a_second=len(durations) / seconds,
        p50_ms=p50,
        p99_ms=p99,
        cpu_ms=1000 * sum(cpu_seconds) / len(durations),
    )


def measure_all(options: argparse.Namespace) -> Results:
    pictures, results = {size: jpeg(size) for size in options.sizes}, Results()
    for number in range(1, options.rounds + 1):
        # In turn, so that whatever else the machine does meets all of them.
        for name in options.servers:
            if name in results.left_out:
                continue
            now = time.strftime("%H:%M:%S")
            print(f"{now} round {number} of {options.rounds}: {name}", file=sys.stderr)
            try:
                run(name, pictures, options, results)
            except (LeftOut, NoAnswer, OSError) as reason:
                results.left_out[name] = f"{reason} (round {number})"
    return results


def run(name: str, pictures: dict[str, bytes], options, results) -> None:
    if name == FLOOR:
        run_floor(pictures, options, results)
    else:
        run_server(name, pictures, options, results)


def jpeg(size: str) -> bytes:
    file = BytesIO()
    ImageOps.fit(Image.open(PHOTO), width_and_height(size)).save(file, "JPEG")
    return file.getvalue()


def width_and_height(size: str) -> tuple[int, int]:
    width, height = map(int, size.split("x"))
    return width, height


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", nargs="+", help="how their names begin")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="as 90x140")
    parser.add_argument("--connections", nargs="+", type=int, default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each point")
    parser.add_argument("--plot", type=Path, default=CACHE / "throughput.png")
    options = parser.parse_args()
    options.servers = chosen([*launches.ALL, FLOOR], options.servers, parser)
    return options


def main() -> None:
    options = arguments()
    load_before = os.getloadavg()[0]
    results = measure_all(options)
    options.plot.parent.mkdir(exist_ok=True)
    plot(results, options.plot)
    print(report(results, load_before))
    print(f"\nRounds: {options.rounds}, of {options.seconds} s at each point.")
    print(f"\n`{' '.join(['python -m benchmarks.throughput', *sys.argv[1:]])}`")


if __name__ == "__main__":
    main()
