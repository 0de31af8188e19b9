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
from itertools import product
from pathlib import Path
from statistics import mean, stdev

from benchmarks.client import multipart
from benchmarks.launches import service_in
from benchmarks.markdown import table
from benchmarks.running import Running, running, seconds_to_first_answer, settle
from benchmarks.throughput import DIGIT, SIZES, Figures, jpeg, measure, medians

# With fewer there is no error to be told.
ROUNDS, LEAST_ROUNDS = 6, 2
CONNECTIONS, TURNS, SECONDS = 16, 4, 0.5
COLUMNS = "size | version | CPU a request | requests/s | CPU, ms | p99, ms | failed"


def started(version: Path, stack: ExitStack) -> Running:
    server = stack.enter_context(running(partial(service_in, version)))
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


def ratio(rounds: list[tuple[Figures, Figures]], what: str) -> str:
    """What a version does for the first one's one."""
    logarithms = [math.log(getattr(f, what) / getattr(g, what)) for f, g in rounds]
    error = stdev(logarithms) / math.sqrt(len(logarithms))
    return f"{math.exp(mean(logarithms)):.3f} ± {error:.3f}"


def row(figures: list[Figures], first: list[Figures]) -> list[str]:
    rounds = list(zip(figures, first, strict=True))
    cells = [ratio(rounds, "cpu_ms"), ratio(rounds, "requests_a_second")]
    typical = medians(figures)
    numbers = f"{typical.cpu_ms:.3g}", f"{typical.p99_ms:.3g}", f"{typical.failed:g}"
    return [*cells, *numbers]


def report(rounds: list[dict], options) -> str:
    rows = []
    for size, (number, version) in product(options.sizes, enumerate(options.versions)):
        figures, first = ([done[size, n] for done in rounds] for n in (number, 0))
        rows.append([size, version, *row(figures, first)])
    return table(COLUMNS.split(" | "), rows)


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
    print(report(rounds, options))


if __name__ == "__main__":
    main()
