"""Send crafted, damaged and malformed requests, and print a table in Markdown.

python -m tests.hostile [--archive FILE.zip] [--damaged COUNT] [--seed SEED]

Starts a copy of the service with the documented command. Exits with 1 where an answer
is a failure or takes too long, a refusal leaves a file, or a worker takes much memory.
"""

import argparse
import json
import random
import re
import socket
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.launches import copy_service
from tests.hostile_pictures import bombs, damaged, odd_sizes, polyglots
from tests.hostile_requests import file_names, heads, multiparts, upload
from tests.server import ROOT, Server, running_server

MOST_SECONDS, MOST_MEGABYTES = 2.0, 300
# None of these may be in an answer.
INTERNALS = [b"Traceback", b"site-packages", b".py", str(ROOT).encode(), b"Error:"]
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)")
# Storage full and too busy are valid answers.
BY_DESIGN = {503, 507}


class Outcome(NamedTuple):
    name: str
    status: int | None  # None: closed without an answer
    seconds: float
    complaint: str


def ask(server: Server, request: bytes) -> tuple[int | None, float, bytes]:
    address = urlsplit(server.url)
    began, received = time.perf_counter(), b""
    with socket.create_connection((address.hostname, address.port), 60) as client:
        with suppress(ConnectionError):
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while part := client.recv(65_536):
                received += part
    answer = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    status = int(answer[9:12]) if answer else None
    return status, time.perf_counter() - began, answer


def complaint(status: int | None, seconds: float, answer: bytes) -> str:
    if seconds > MOST_SECONDS:
        return "slow"
    if status is None:
        return ""
    if status >= 500 and status not in BY_DESIGN:
        return "a failure"
    head, _, body = answer.partition(b"\r\n\r\n")
    if status >= 400 and b"\r\nContent-Type: text/html" in head:
        return ""  # gunicorn refuses what is not valid HTTP itself
    # What exceeds the declared length is refused as a request of its own.
    length = int(LENGTH.search(head)[1])
    if status >= 400 and not is_refusal(body[:length]):
        return "no JSON"
    if b"\r\nAccess-Control-Allow-Origin: *" not in head:
        return "no CORS header"
    return "internals" if any(each in answer for each in INTERNALS) else ""


def is_refusal(body: bytes) -> bool:
    try:
        return {"error", "code"} <= set(json.loads(body))
    except ValueError:
        return False


def outcome(server: Server, uploads: Path, name: str, request: bytes) -> Outcome:
    status, seconds, answer = ask(server, request)
    wrong = complaint(status, seconds, answer)
    stored = list(uploads.iterdir())
    is_saved = status == 200 and b'"image_url":"http' in answer
    if len(stored) != is_saved:
        wrong = wrong or f"{len(stored)} files on disk"
    for path in stored:
        path.unlink()
    return Outcome(name, status, seconds, wrong)


def archive(path: Path) -> Iterable[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            if not info.is_dir():
                yield info.filename, file.read(info)


def groups(
    seed: int, count: int, path: Path | None = None
) -> dict[str, Iterable[tuple[str, bytes]]]:
    """Name of the group → name and bytes of each request."""
    pictures = {
        "damaged pictures": damaged(random.Random(seed), count),
        "bombs": bombs(),
        "odd sizes": odd_sizes(),
        "polyglots": polyglots(),
    }
    if path:
        pictures["archive"] = archive(path)
    requests = {"multipart": multiparts(), "file names": file_names(), "heads": heads()}
    uploads = {
        group: ((name, upload(data)) for name, data in cases)
        for group, cases in pictures.items()
    }
    return uploads | requests


def workers(server: Server) -> list[int]:
    process = server.process.pid
    return list(
        map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    )


def megabytes(process: int, field: str) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1000


def row(group: str, outcomes: list[Outcome], above_idle: float) -> str:
    statuses = Counter(str(each.status or "closed") for each in outcomes)
    failures = sum((each.status or 0) >= 500 for each in outcomes)
    left = sum("on disk" in each.complaint for each in outcomes)
    slowest = max(outcomes, key=lambda each: each.seconds)
    cells = [
        group,
        f"{len(outcomes):,}",
        ", ".join(f"{status}: {statuses[status]:,}" for status in sorted(statuses)),
        str(failures),
        str(left),
        f"{slowest.seconds:.2f} ({slowest.name})",
        f"{above_idle:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def try_all(server: Server, uploads: Path, cases: dict) -> bool:
    """Print a row for each group. Returns whether all is well."""
    print(
        "| group | cases | answers | 5xx | files left | slowest, s | above idle, MB |"
    )
    print("|---|---|---|---|---|---|---|")
    first, bad = workers(server), []
    idle = {worker: megabytes(worker, "VmRSS") for worker in first}
    for group, requests in cases.items():
        for worker in first:
            # Lets the peak begin anew.
            Path(f"/proc/{worker}/clear_refs").write_text("5")
        outcomes = [outcome(server, uploads, *request) for request in requests]
        above = max(megabytes(worker, "VmHWM") - idle[worker] for worker in first)
        print(row(group, outcomes, above), flush=True)
        bad += [each for each in outcomes if each.complaint]
        if above > MOST_MEGABYTES:
            bad.append(f"{group}: {above:.0f} MB")
    if workers(server) != first:
        bad.append("a worker died")
    print(f"\nbad: {len(bad)}", *bad[:50], sep="\n- ")
    return not bad


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--archive", type=Path, help="a ZIP of pictures")
    parser.add_argument("--damaged", type=int, default=5000, help="how many")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        copy_service(Path(folder))
        with running_server(Path(folder), WEB_CONCURRENCY="2") as server:
            cases = groups(args.seed, args.damaged, args.archive)
            is_well = try_all(server, Path(folder, "static", "uploads"), cases)
    sys.exit(not is_well)


if __name__ == "__main__":
    main()
