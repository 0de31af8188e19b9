"""Measure the service beside its peers: python -m benchmarks.throughput

Prints a Markdown table with the medians over the rounds. In each round every peer is
started afresh, one after the other, with its uploads in a temporary folder. Needs
Linux, where /proc tells the CPU time.
"""

import argparse
import json
import os
import platform
import re
import runpy
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory, TemporaryFile
from typing import NamedTuple

from PIL import Image, ImageOps

ROOT = Path(__file__).parent.parent
PHOTO = ROOT / "tests" / "resources" / "photos_mit" / "7" / "7_087.jpg"
HOST = "127.0.0.1"
WORKERS = 2
# Alike for every peer, whatever the shell has set.
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "GUNICORN_CMD_ARGS": "",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
GUNICORN = [sys.executable, "-m", "gunicorn", "app:app"]
PACKAGES = (
    "tensorflow",
    "keras",
    "flask",
    "gunicorn",
    "pillow",
    "opencv-python-headless",
    "numpy",
)

# The import of TensorFlow alone takes half a minute on a busy machine.
START_SECONDS = 180
# A worker that still starts keeps a core busy; one that rests uses less than this.
REST_SECONDS, REST_CPU_SECONDS = 0.5, 0.05
BURN_IN_SECONDS = 2
FIRST_ANSWERS = 8
CLASSES = list("0123456789")
BOUNDARY = "a-line-that-no-picture-holds"
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Launch(NamedTuple):
    command: list[str]
    folder: Path
    environment: dict[str, str]


class Load(NamedTuple):
    picture: bytes
    extension: str
    connections: int
    seconds: int


class Answer(NamedTuple):
    finished: float
    seconds: float
    body: bytes


class Reading(NamedTuple):
    """The clocks at one moment, in seconds."""

    wall: float
    server_cpu: float
    client_cpu: float


class Figures(NamedTuple):
    requests_a_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    client_cpu_ms: float


def this_service(folder: Path, port: int) -> Launch:
    # Its uploads lie beside its code: a copy keeps them out of the repository.
    for path in [*ROOT.glob("*.py"), ROOT / "model.keras"]:
        shutil.copy(path, folder)
    no_uploads = shutil.ignore_patterns("uploads")
    shutil.copytree(ROOT / "static", folder / "static", ignore=no_uploads)
    environment = {"PORT": str(port), "WEB_CONCURRENCY": str(WORKERS)}
    return Launch(GUNICORN, folder, environment)


def tutorial(folder: Path, port: int) -> Launch:
    ours = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    command = [
        *GUNICORN,
        f"--bind={HOST}:{port}",
        f"--workers={WORKERS}",
        f"--worker-class={ours['worker_class']}",
        f"--threads={ours['threads']}",
        f"--timeout={ours['timeout']}",
        f"--keep-alive={ours['keepalive']}",
    ]
    here = ROOT / "benchmarks" / "servers" / "tutorial"
    return Launch(command, here, {"STATIC_FOLDER": str(folder)})


Peer = Callable[[Path, int], Launch]
PEERS: dict[str, Peer] = {"this service": this_service, "tutorial": tutorial}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


@contextmanager
def running(peer: Peer, port: int) -> Iterator[subprocess.Popen]:
    with TemporaryDirectory() as folder, TemporaryFile() as log:
        command, start_folder, environment = peer(Path(folder), port)
        with subprocess.Popen(
            command,
            cwd=start_folder,
            env={**os.environ, **ENVIRONMENT, **environment},
            stdout=subprocess.DEVNULL,
            stderr=log,
        ) as process:
            try:
                yield process
            except BaseException:
                log.seek(0)
                shutil.copyfileobj(log, sys.stderr.buffer)
                raise
            finally:
                process.terminate()
                process.wait()


def wait_until_settled(process: subprocess.Popen, port: int, request: bytes) -> None:
    """Until a prediction is answered and all workers rest: then all have started."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(port, request):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("The server does not start.")
        time.sleep(0.1)
    used = tree_cpu_seconds(process.pid)
    while time.monotonic() < deadline:
        time.sleep(REST_SECONDS)
        before, used = used, tree_cpu_seconds(process.pid)
        if used - before < REST_CPU_SECONDS:
            return
    raise SystemExit("The server does not come to rest.")


def answers(port: int, request: bytes) -> bool:
    with suppress(ConnectionError):
        return bool(ask(port, request))
    return False


def tree_cpu_seconds(root: int) -> float:
    """CPU time so far of a process and all below it, also of those that ended."""
    parents, ticks = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name in parentheses, which may hold spaces, is the second field.
            fields = path.read_text().rpartition(")")[2].split()
            process = int(path.parent.name)
            parents[process] = int(fields[1])
            ticks[process] = sum(map(int, fields[11:15]))
    return sum(ticks[p] for p in ticks if is_below(p, root, parents)) / TICKS_A_SECOND


def is_below(process: int | None, root: int, parents: dict[int, int]) -> bool:
    while process is not None and process != root:
        process = parents.get(process)
    return process == root


def connect(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=START_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """The body of the answer, which must be a 200."""
    connection.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received:
        received += more_of(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += more_of(connection)
    if not length or not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"Not the answer to a prediction: {head + body!r}")
    return body


def more_of(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise ConnectionResetError("The server hung up.")
    return received


def ask(port: int, request: bytes) -> bytes:
    with connect(port) as connection:
        return exchange(connection, request)


def drive(port: int, request: bytes, stop: threading.Event) -> list[Answer]:
    answers = []
    with connect(port) as connection:
        while not stop.is_set():
            began = time.perf_counter()
            body = exchange(connection, request)
            finished = time.perf_counter()
            answers.append(Answer(finished, finished - began, body))
    return answers


def result(body: bytes) -> list[dict]:
    ranked = json.loads(body)["classification_result"]
    if sorted(entry["class"] for entry in ranked) != CLASSES:
        raise SystemExit(f"Not a ranking of the digits: {ranked}")
    return ranked


def check_stable(port: int, request: bytes) -> None:
    first, *others = [result(ask(port, request)) for _ in range(FIRST_ANSWERS)]
    if any(other != first for other in others):
        raise SystemExit(f"One picture, several answers: {first}, {others}")


def read_clocks(process: subprocess.Popen) -> Reading:
    return Reading(
        time.perf_counter(), tree_cpu_seconds(process.pid), time.process_time()
    )


def measure(
    process: subprocess.Popen, port: int, request: bytes, load: Load
) -> Figures:
    stop = threading.Event()
    with ThreadPoolExecutor(load.connections) as pool:
        try:
            drivers = [
                pool.submit(drive, port, request, stop) for _ in range(load.connections)
            ]
            time.sleep(BURN_IN_SECONDS)
            begin = read_clocks(process)
            time.sleep(load.seconds)
            end = read_clocks(process)
        finally:
            stop.set()
        answers = [answer for driver in drivers for answer in driver.result()]
    for answer in answers:
        result(answer.body)
    return summary(answers, begin, end)


def summary(answers: list[Answer], begin: Reading, end: Reading) -> Figures:
    """Of the answers in a window of unbroken load, so that no start or end counts."""
    in_window = [a.seconds for a in answers if begin.wall < a.finished <= end.wall]
    count = len(in_window)
    if count < 2:
        raise SystemExit("Too few answers: give it more --seconds.")
    percentiles = quantiles(in_window, n=100, method="inclusive")
    return Figures(
        count / (end.wall - begin.wall),
        1000 * percentiles[49],
        1000 * percentiles[98],
        1000 * (end.server_cpu - begin.server_cpu) / count,
        1000 * (end.client_cpu - begin.client_cpu) / count,
    )


def run_round(peer: Peer, load: Load) -> Figures:
    port = free_port()
    request = multipart(load, port)
    with running(peer, port) as process:
        wait_until_settled(process, port, request)
        check_stable(port, request)
        return measure(process, port, request, load)


def multipart(load: Load, port: int) -> bytes:
    part = (
        f"--{BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="7{load.extension}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = part.encode() + load.picture + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        "POST /predict HTTP/1.1\r\n"
        f"Host: {HOST}:{port}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def jpeg(size: tuple[int, int]) -> bytes:
    file = BytesIO()
    ImageOps.fit(Image.open(PHOTO), size).save(file, "JPEG")
    return file.getvalue()


def table(medians: dict[str, Figures]) -> str:
    lines = ["| | requests/s | p50, ms | p99, ms | CPU a request, ms |"]
    lines += ["|---|---|---|---|---|"]
    lines += [row(name, figures[:4]) for name, figures in medians.items()]
    (_, ours), *others = medians.items()
    lines += [row(f"times better than {name}", gain(ours, o)) for name, o in others]
    return "\n".join(lines)


def row(name: str, figures: tuple[float, ...]) -> str:
    return f"| {name} | {' | '.join(map(three_digits, figures))} |"


def three_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def gain(ours: Figures, other: Figures) -> tuple[float, ...]:
    costs = zip(other[1:4], ours[1:4], strict=True)
    return (
        ours.requests_a_second / other.requests_a_second,
        *(theirs / own for theirs, own in costs),
    )


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.+)", cpuinfo)
    parts = [f"{len(os.sched_getaffinity(0))} CPUs"]
    parts += [model[1] if model else platform.machine()]
    parts += [f"Python {platform.python_version()}"]
    parts += [f"{package} {version(package)}" for package in PACKAGES]
    parts += [f"load before the start {os.getloadavg()[0]:.1f}"]
    return ", ".join(parts)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--picture", type=Path, help="sent as it is")
    source.add_argument("--size", type=width_and_height, default=(90, 140))
    return parser.parse_args()


def width_and_height(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    return width, height


def load_of(options: argparse.Namespace) -> Load:
    path = options.picture
    picture, extension = (
        (path.read_bytes(), path.suffix) if path else (jpeg(options.size), ".jpg")
    )
    return Load(picture, extension, options.connections, options.seconds)


def medians(load: Load, rounds: int) -> dict[str, Figures]:
    measured = {name: [] for name in PEERS}
    for number in range(1, rounds + 1):
        # In turn, so that whatever else the machine does meets all of them.
        for name, peer in PEERS.items():
            figures = run_round(peer, load)
            measured[name].append(figures)
            print(f"Round {number}, {name}: {figures}", file=sys.stderr)
    columns = {name: zip(*each, strict=True) for name, each in measured.items()}
    return {name: Figures(*map(median, each)) for name, each in columns.items()}


def main() -> None:
    options = arguments()
    load, about = load_of(options), machine()
    figures = medians(load, options.rounds)
    client = max(each.client_cpu_ms for each in figures.values())
    print(f"{table(figures)}\n")
    print(
        f"{load.connections} connections, {WORKERS} workers, a picture of "
        f"{len(load.picture):,} bytes; rounds: {options.rounds} of {load.seconds} s. "
        f"The client took {client:.2f} ms CPU a request.\n"
    )
    print(f"{about}.\n")
    print(f"`{' '.join(['python -m benchmarks.throughput', *sys.argv[1:]])}`")


if __name__ == "__main__":
    main()
