"""How the cost of an answer grows: python -m benchmarks.growth

Prints Markdown tables over the size and format of the picture, over connections, and
over workers, with what a machine of more cores is then expected to carry. Needs Linux.
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from benchmarks import launches
from benchmarks.client import multipart
from benchmarks.report import Figures, machine, three_digits
from benchmarks.running import Running, running, seconds_to_first_answer, settle
from benchmarks.throughput import PHOTO, checked_class, jpeg, measure

MEGAPIXELS = (0.01, 0.1, 1, 5, 12, 25, 50)
CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# So many at once keep every core busy.
BUSY = 16
EXPECTED_CORES = (4, 8, 16, 64)
SMALL = "90x140"
SECONDS = 3
# Of 16 tones, as scanners write them: a PNG of a photo exceeds the limit soon.
SCAN_BITS = 4


def picture(megapixels: float, file_format: str) -> bytes:
    """The same photo in 3:4."""
    width = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    image = ImageOps.fit(Image.open(PHOTO).convert("RGB"), (width, width * 4 // 3))
    if file_format == "PNG":
        image = ImageOps.posterize(image.convert("L"), SCAN_BITS)
    file = BytesIO()
    image.save(file, file_format)
    return file.getvalue()


@contextmanager
def service(workers: int) -> Iterator[Running]:
    """With fewer workers than cores on as many cores, as on a smaller machine."""

    def start(folder: Path, port: int) -> launches.Launch:
        launch = launches.this_service(folder, port)
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:workers]))
        command = ["taskset", "--cpu-list", cores, *launch.command]
        environment = {**launch.environment, "WEB_CONCURRENCY": str(workers)}
        return launch._replace(command=command, environment=environment)

    with running(launches.Server(start, is_ours=True)) as server:
        seconds_to_first_answer(server, jpeg(SMALL))
        settle(server.process)
        yield server


def figures_of(
    server: Running, data: bytes, connections: int, seconds: float
) -> Figures:
    request = multipart(data, server.port)
    expected = checked_class(server, request, is_ours=True)
    return measure(server, request, connections, expected, seconds)


def table(*columns: str) -> None:
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


def row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def over_size(server: Running, seconds: float) -> None:
    columns = "file, KB", "CPU, ms", "answer alone, ms", "memory of all, MB"
    table("megapixels", "format", *columns)
    for file_format in ("JPEG", "PNG"):
        for size in MEGAPIXELS:
            data = picture(size, file_format)
            one = figures_of(server, data, 1, seconds)
            cells = three_digits(len(data) / 1000), three_digits(one.cpu_ms)
            memory = three_digits(one.memory_mb)
            row(size, file_format, *cells, three_digits(one.p50_ms), memory)


def over_connections(server: Running, seconds: float) -> None:
    columns = "requests/s", "p50, ms", "p99, ms", "p99 ÷ ideal", "failed"
    table("connections", *columns)
    for count in CONNECTIONS:
        figures = figures_of(server, jpeg(SMALL), count, seconds)
        ideal = 1000 * count / figures.requests_a_second
        numbers = figures.requests_a_second, figures.p50_ms, figures.p99_ms
        ratio = three_digits(figures.p99_ms / ideal)
        row(count, *map(three_digits, numbers), ratio, f"{figures.failed:.0f}")


def over_workers(most: int, seconds: float) -> None:
    """Cores share nothing but memory: a machine should carry what each does alone.

    It does a little less where two of its cores are threads of one. So what more are
    expected to do goes by all that are here, not by one.
    """
    columns = "requests/s", "÷ as many times one", "CPU a request, ms"
    table("cores and workers", *columns, "memory of all, MB")
    measured = {}
    for count in range(1, most + 1):
        with service(count) as server:
            measured[count] = figures_of(server, jpeg(SMALL), BUSY, seconds)
        rate, memory = measured[count].requests_a_second, measured[count].memory_mb
        ratio = rate / (count * measured[1].requests_a_second)
        numbers = rate, ratio, measured[count].cpu_ms, memory
        row(count, *map(three_digits, numbers))
    all_cores = measured[most]
    further = (all_cores.memory_mb - measured[1].memory_mb) / max(most - 1, 1)
    for count in EXPECTED_CORES:
        rate = all_cores.requests_a_second * count / most
        memory = measured[1].memory_mb + further * (count - 1)
        row(f"{count}, expected", three_digits(rate), "-", "-", three_digits(memory))
    print(f"\nA further worker takes {further:.0f} MB.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each row")
    seconds = parser.parse_args().seconds
    cores = len(os.sched_getaffinity(0))
    with service(cores) as server:
        over_size(server, seconds)
        over_connections(server, seconds)
    over_workers(cores, seconds)
    print(f"\n{machine()}.")


if __name__ == "__main__":
    main()
