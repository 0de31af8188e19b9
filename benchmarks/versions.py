"""Compare versions of this service: python -m benchmarks.versions FOLDER FOLDER ...

Each round starts all of them afresh, and loads one after the other in short turns: a
shared machine changes from second to second, a server from start to start. Prints what
each does for the first one's one, as means over the rounds with their standard errors.
"""

import argparse
import math
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import mean, median, stdev

from benchmarks import launches
from benchmarks.client import multipart
from benchmarks.report import Figures
from benchmarks.running import Running, running, seconds_to_first_answer, settle
from benchmarks.throughput import DIGIT, SIZES, jpeg, measure

# With fewer there is no error to be told.
ROUNDS, LEAST_ROUNDS = 6, 2
CONNECTIONS, TURNS, SECONDS = 16, 4, 0.5


def started(version: Path, stack: ExitStack) -> Running:
    start = partial(launches.service_in, version)
    server = stack.enter_context(running(launches.Server(start, is_ours=True)))
    seconds_to_first_answer(server, jpeg(SIZES[0]))
    return server


def one_round(options) -> dict[tuple[str, int], Figures]:
    """What each version did at each size, by its place on the command line."""
    with ExitStack() as stack:
        servers = [started(version, stack) for version in options.versions]
        for server in servers:
            settle(server.process)
        return {
            (size, number): figures
            for size in options.sizes
            for number, figures in enumerate(in_turns(servers, jpeg(size), options))
        }


def in_turns(servers: list[Running], picture: bytes, options) -> list[Figures]:
    """For each server the medians over its turns."""
    turns = [[] for _ in servers]
    for turn in range(TURNS):
        numbers = range(len(servers))
        # There and back, so that whatever grows in the meantime meets all of them.
        for number in numbers if turn % 2 else reversed(numbers):
            server = servers[number]
            request = multipart(picture, server.port)
            turns[number].append(
                measure(server, request, options.connections, DIGIT, SECONDS)
            )
    return [medians(figures) for figures in turns]


def medians(figures: list[Figures]) -> Figures:
    typical = Figures(*map(median, zip(*figures, strict=True)))
    return typical._replace(failed=sum(one.failed for one in figures))


def ratio(values: list[float], first: list[float]) -> str:
    logarithms = [math.log(a / b) for a, b in zip(values, first, strict=True)]
    error = stdev(logarithms) / math.sqrt(len(logarithms))
    return f"{math.exp(mean(logarithms)):.3f} ± {error:.3f}"


def report(rounds: list[dict], options) -> None:
    print(
        "| size | version | CPU a request | requests/s | CPU, ms | p99, ms | failed |"
    )
    print("|---|---|---|---|---|---|---|")
    for size in options.sizes:
        first = [done[size, 0] for done in rounds]
        for number, version in enumerate(options.versions):
            figures = [done[size, number] for done in rounds]
            cells = [
                ratio([f.cpu_ms for f in figures], [f.cpu_ms for f in first]),
                ratio(
                    [f.requests_a_second for f in figures],
                    [f.requests_a_second for f in first],
                ),
                f"{median(f.cpu_ms for f in figures):.3g}",
                f"{median(f.p99_ms for f in figures):.3g}",
                f"{sum(f.failed for f in figures):g}",
            ]
            print(f"| {size} | {version} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("versions", nargs="+", type=Path, help="folders with an app.py")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="as 90x140")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    if options.rounds < LEAST_ROUNDS:
        parser.error(f"at least {LEAST_ROUNDS} rounds")
    rounds = []
    for number in range(1, options.rounds + 1):
        now = time.strftime("%H:%M:%S")
        print(f"{now} round {number} of {options.rounds}", file=sys.stderr)
        rounds.append(one_round(options))
    report(rounds, options)


if __name__ == "__main__":
    main()
