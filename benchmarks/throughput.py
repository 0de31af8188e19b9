"""Measure the service beside baselines: python -m benchmarks.throughput

Prints Markdown tables of medians. In each round every server is started afresh, one
after the other, and measured at every size and number of connections. Needs Linux and
wrk. A server that cannot be installed or run is left out, with the reason.
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
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from math import nan
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from PIL import Image, ImageOps

from benchmarks.environments import ROOT, chosen, pins
from benchmarks.launches import ALL, OURS, WORKERS, Start, service_in
from benchmarks.markdown import command, table, three_digits
from benchmarks.running import SCRATCH, Server, running

PHOTO = ROOT / "tests" / "resources" / "photos_mit" / "7" / "7_087.jpg"
LOWER_BOUND = "lower bound"
SIZES = ("90x140", "720x1120", "3000x4000")
CONNECTIONS = (1, 4, 16, 64)
ROUNDS, SECONDS, BURN_IN_SECONDS = 3, 3, 1
RATE, CPU, FAILED = "requests/s", "CPU a request, ms", "failed"
MEMORY, GROWN = "memory, MB", "memory grown by, MB"
COLUMNS = (RATE, "p50, ms", "p99, ms", CPU, MEMORY, GROWN, FAILED)

# By column.
Figures = dict[str, float]
# (size, connections) → server → the figures of each round
Results = dict[tuple[str, int], dict[str, list[Figures]]]


def jpeg(size: str) -> bytes:
    width, height = map(int, size.split("x"))
    file = BytesIO()
    ImageOps.fit(Image.open(PHOTO), (width, height)).save(file, "JPEG")
    return file.getvalue()


def measure(server: Server, picture: bytes, connections: int, seconds: int) -> Figures:
    """An answer other than the first one counts as failed."""
    expected = server.first_class(picture)
    server.load(picture, connections, BURN_IN_SECONDS, expected)
    cpu, memory = server.cpu_seconds(), server.memory_mb()
    done = server.load(picture, connections, seconds, expected)
    cpu, grown = server.cpu_seconds() - cpu, server.memory_mb() - memory
    right = done["answers"] - done[FAILED]
    if right <= 0:
        raise ConnectionError("no right answer: give it more --seconds")
    usage = {CPU: 1e3 * cpu / right, MEMORY: memory + grown, GROWN: grown}
    return {RATE: right / done["seconds"], **usage, **done}


def run_server(name: str, start: Start, options, results: Results) -> None:
    with running(start, jpeg(SIZES[0])) as server:
        for size in options.sizes:
            for count in options.connections:
                figures = measure(server, jpeg(size), count, options.seconds)
                results[size, count][name].append(figures)


def seconds_each(data: bytes) -> float:
    """CPU time of an answer to a picture, as other programs share the core."""
    # As the service does with its workers.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from app import RECOGNISER, prediction  # loads the model

    recogniser = RECOGNISER.recogniser
    with TemporaryDirectory(dir=SCRATCH) as folder:
        upload = Path(folder, "upload.jpg")
        for seconds in (BURN_IN_SECONDS, SECONDS):
            count, began = 0, time.process_time()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                recognition = recogniser.recognise(data, max_pixels=10**9)
                upload.write_bytes(data)
                json.dumps(prediction(recognition, str(upload), shows_input=False))
                count += 1
    return (time.process_time() - began) / count


def run_lower_bound(options, results: Results) -> None:
    """What as many cores as the service has workers can do at most."""
    for size in options.sizes:
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            seconds = alone.submit(seconds_each, jpeg(size)).result()
        for count in options.connections:
            figures = {RATE: WORKERS / seconds, CPU: 1e3 * seconds, FAILED: 0}
            results[size, count][LOWER_BOUND].append(figures)


def measure_all(servers: dict[str, Start | None], options) -> str:
    """The tables; the lower bound has no Start."""
    results, left_out = defaultdict(partial(defaultdict, list)), []
    for number in range(1, options.rounds + 1):
        # In turn, so that whatever else the machine does meets all of them.
        for name, start in list(servers.items()):
            print(f"round {number} of {options.rounds}: {name}", file=sys.stderr)
            try:
                if start:
                    run_server(name, start, options, results)
                else:
                    run_lower_bound(options, results)
            except (OSError, subprocess.CalledProcessError) as reason:
                left_out.append(f"{name} left out: {reason} (round {number})")
                del servers[name]
    tables = [report(*point, figures) for point, figures in results.items()]
    return "\n\n".join([*tables, *left_out])


def report(size: str, connections: int, servers: dict[str, list[Figures]]) -> str:
    figures = {name: medians(rounds) for name, rounds in servers.items()}
    ours = figures.get(OURS, {}).get(RATE, nan)
    head = [f"{size}, connections: {connections}", *COLUMNS, f"{RATE} of {OURS} ÷ its"]
    rows = []
    for name, each in figures.items():
        numbers = [*(each.get(column, nan) for column in COLUMNS), ours / each[RATE]]
        rows.append([name, *map(three_digits, numbers)])
    return table(head, rows)


def medians(rounds: list[Figures]) -> Figures:
    """But of the failures the sum: not one may hide."""
    typical = {column: median(each[column] for each in rounds) for column in rounds[0]}
    return typical | {FAILED: sum(each[FAILED] for each in rounds)}


def machine() -> str:
    models = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    load = f"load before the start {os.getloadavg()[0]:.1f}"
    cpus = f"{len(models)} CPUs ({', '.join(set(models))})"
    return f"{cpus}, {load}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", nargs="+", help="how their names begin")
    versions = "folders with other versions of this service"
    parser.add_argument("--versions", nargs="+", default=[], type=Path, help=versions)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="as 90x140")
    parser.add_argument("--connections", nargs="+", type=int, default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each point")
    options = parser.parse_args()
    known = {**ALL, LOWER_BOUND: None}
    servers = {name: known[name] for name in chosen(list(known), options.servers)}
    servers |= {str(path): partial(service_in, path) for path in options.versions}
    conditions = f"{options.rounds} rounds of {options.seconds} s; {machine()}"
    print(measure_all(servers, options))
    print(f"\n{conditions}, {pins(['fastapi', 'litserve', 'bentoml'])}.")
    print(f"\n{command('benchmarks.throughput')}")


if __name__ == "__main__":
    main()
