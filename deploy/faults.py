"""Break what the service rests on while it works, and print how it bore it.

python -m deploy.faults [NAME …] [--seconds 30]

Prints Markdown. Starts copies of the service with the documented command, and exits
with 1 where a promise is broken. Needs Linux; full and read-only disks need root, slow
clients need nginx.
"""

import argparse
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import requests

from benchmarks.client import Load, multipart
from benchmarks.launches import copy_service, free_port
from benchmarks.processes import tree
from benchmarks.throughput import jpeg
from deploy.clients import Answer, Clients, lost, pictures
from deploy.local_nginx import SERVICE, running_nginx
from tests.server import GUNICORN, Server, running_server

LONGEST_START = 120
# A worker that replaces another has loaded the model by then.
STARTED_SECONDS = 6
SLOW_CLIENTS, OVERLOAD, USUAL_LOAD = 200, 640, 64
# Small limits, so that sweeps come often and have much to delete.
SWEPT = {"MAX_UPLOAD_BYTES": "1000000", "UPLOADS_MAX_BYTES": "2000000"}


class Result(NamedTuple):
    requests: int
    failed: int
    recovery: float
    note: str
    is_kept: bool


@contextmanager
def service(**environment: str) -> Iterator[tuple[Server, Path]]:
    """A copy of its own, and the folder of its uploads."""
    with TemporaryDirectory() as folder:
        copy_service(Path(folder))
        uploads = Path(folder, "static", "uploads")
        environment = {"WEB_CONCURRENCY": "2", **environment}
        with running_server(Path(folder), **environment) as server:
            yield server, uploads


def workers(server: Server) -> set[int]:
    below = {process for process, _ in tree(server.process.pid)}
    return below - {server.process.pid}


def predict(server: Server, picture: bytes, **options) -> requests.Response:
    files = {"file": ("7.png", picture)}
    return requests.post(server.url + "/predict", files=files, timeout=60, **options)


def kept(server: Server, picture: bytes) -> Answer:
    url = predict(server, picture).json()["image_url"]
    return Answer(0, 0, 200, url, picture)


def run_for(seconds: float) -> None:
    time.sleep(seconds)  # the time for which the clients shall post


def until(is_so: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > LONGEST_START:
            raise TimeoutError("the service does not recover")
        time.sleep(0.02)  # asking takes CPU from what recovers
    return time.monotonic() - began


def workers_killed(seconds) -> Result:
    """One after the other, then all at once."""
    with service() as (server, _), Clients(server.url) as clients:
        run_for(1)
        for worker in workers(server):
            os.kill(worker, signal.SIGKILL)
            until(lambda: len(workers(server)) == 2)
            run_for(STARTED_SECONDS)
        for worker in workers(server):
            os.kill(worker, signal.SIGKILL)
        killed = time.monotonic()
        run_for(STARTED_SECONDS)
        clients.__exit__()
        missing = lost(clients.answers)
    recovery = min(
        each.began + each.seconds - killed
        for each in clients.answers
        if each.status == 200 and each.began + each.seconds > killed + 0.1
    )
    failed = clients.failed()
    note = f"{clients.retried} asked again, {missing} uploads lost"
    return Result(len(clients.answers), failed, recovery, note, failed == missing == 0)


def terminated(seconds) -> Result:
    with service() as (server, uploads), Clients(server.url) as clients:
        run_for(3)
        began = time.monotonic()
        server.process.terminate()
        status = server.process.wait(60)
        recovery = time.monotonic() - began
        clients.__exit__()
        missing = lost(clients.answers, uploads)
    dropped = clients.count("dropped")
    accepted = len(clients.answers) - clients.count("refused")
    note = f"ends with {status}, {clients.retried} asked again, {missing} uploads lost"
    is_kept = dropped == missing == status == 0
    return Result(accepted, dropped, recovery, note, is_kept)


def reloaded(seconds) -> Result:
    with service() as (server, uploads), Clients(server.url) as clients:
        run_for(1)
        old = workers(server)
        server.process.send_signal(signal.SIGHUP)
        recovery = until(lambda: not old & workers(server))
        run_for(1)
        clients.__exit__()
        missing = lost(clients.answers, uploads)
    longest = max(answer.seconds for answer in clients.answers)
    note = f"longest answer {longest:.1f} s, {clients.retried} asked again"
    failed = clients.failed()
    is_kept = failed == missing == 0
    return Result(len(clients.answers), failed, recovery, note, is_kept)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def disk_full(seconds) -> Result:
    picture = jpeg("720x1120")
    with service() as (server, uploads), small_disk(uploads):
        refused, saved, asked = [], [], 0
        for _round in range(2):
            while not refused or refused[-1].status_code != 507:
                answer = predict(server, picture)
                asked += 1
                (saved if answer.ok else refused).append(answer)
            unsaved = predict(server, picture, params={"save": "false"})
            began, half = time.monotonic(), len(saved) // 2
            for answer in saved[:half]:
                (uploads / answer.json()["image_url"].rpartition("/")[2]).unlink()
            saved = saved[half:]
            refused.append(predict(server, picture))
            recovery = time.monotonic() - began
            asked += 2
        urls = [answer.json()["image_url"] for answer in saved]
        missing = sum(requests.get(url).content != picture for url in urls)
        parts = len(list(uploads.glob(".*")))
    statuses = [answer.status_code for answer in refused]
    failed = sum(status not in (200, 507) for status in statuses) + (not unsaved.ok)
    note = f"full twice: 507; 200 with save=false; {missing} lost, {parts} half written"
    is_kept = failed == missing == parts == 0 and statuses[-1] == 200
    return Result(asked, failed, recovery, note, is_kept)


def read_only(seconds) -> Result:
    (picture,) = pictures(1)
    with service() as (server, uploads), small_disk(uploads):
        before = kept(server, picture)
        remount(uploads, "ro")
        statuses = [predict(server, picture).status_code for _ in range(20)]
        unsaved = predict(server, picture, params={"save": "false"})
        missing = lost([before])
        remount(uploads, "rw")
        began = time.monotonic()
        after = predict(server, picture)
        recovery = time.monotonic() - began
    failed = sum(status != 507 for status in statuses) + (not unsaved.ok)
    note = f"507; 200 with save=false and for what is saved, {missing} lost"
    return Result(23, failed, recovery, note, failed == missing == 0 and after.ok)


def remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", folder], check=True)


def folder_removed(seconds) -> Result:
    with service() as (server, uploads), Clients(server.url) as clients:
        for _ in range(5):
            run_for(0.5)
            with suppress(OSError):
                shutil.rmtree(uploads)
        removed = time.monotonic()
        run_for(2)
        clients.__exit__()
        missing = lost([each for each in clients.answers if each.began > removed + 1])
    failed = clients.failed()
    note = f"made anew 5 times, {missing} later uploads lost"
    return Result(len(clients.answers), failed, 0, note, failed == missing == 0)


def two_sweep(seconds) -> Result:
    with service(**SWEPT) as (server, uploads):
        largest, watching = 0, threading.Event()
        with Clients(server.url, sent=[jpeg("720x1120"), *pictures()]) as clients:
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                largest = max(largest, folder_bytes(uploads))
                watching.wait(0.05)
        latest = sorted(clients.answers, key=lambda each: each.began)[-5:]
        missing = lost(latest)
    failed = clients.failed()
    note = f"at most {largest / 1e6:.2f} of 2 MB on disk, {missing} of the last 5 lost"
    is_kept = failed == missing == 0 and largest <= 2_000_000
    return Result(len(clients.answers), failed, 0, note, is_kept)


def folder_bytes(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def slow_clients(seconds) -> Result:
    (picture,) = pictures(1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        server, _ = stack.enter_context(service(TRUSTED_PROXIES="1"))
        # Here all clients have one address.
        replaced = {
            SERVICE: f"server {server.url.removeprefix('http://')};",
            "limit_conn connections 32;": "",
            "limit_req zone=requests burst=100 nodelay;": "",
        }
        proxy = stack.enter_context(running_nginx(folder, replaced))
        slow = [stack.enter_context(dawdler(proxy)) for _ in range(SLOW_CLIENTS)]
        seconds, statuses = [], []
        for _ in range(100):
            for client in slow:
                with suppress(OSError):
                    client.send(b"a")
            files, began = {"file": ("7.png", picture)}, time.monotonic()
            statuses.append(proxy.ask("POST", "/predict", files=files).status_code)
            seconds.append(time.monotonic() - began)
    failed = sum(status != 200 for status in statuses)
    note = f"{SLOW_CLIENTS} slow ones beside; slowest answer {max(seconds):.2f} s"
    return Result(100, failed, 0, note, failed == 0)


def dawdler(proxy) -> ssl.SSLSocket:
    """Sends the start of an upload."""
    host, port = proxy.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=proxy.certificate)
    plain = socket.create_connection((host, int(port)), timeout=60)
    client = context.wrap_socket(plain, server_hostname=host)
    head = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n"
    client.send((head + "Content-Type: multipart/form-data; boundary=x\r\n").encode())
    if random.random() < 0.5:
        client.send(b"\r\n--x")
    return client


class Counted(Load):
    """Tells busy from broken, and asks at once again: it obeys no Retry-After."""

    busy = broken = 0

    def is_right(self, received: bytes) -> bool:
        is_right = super().is_right(received)
        is_busy = (
            received.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After" in received
        )
        self.busy += is_busy
        self.broken += not is_busy and not is_right
        return is_right


def overloaded(seconds) -> Result:
    with service() as (server, _):
        port = int(server.url.rpartition(":")[2])
        request = multipart(jpeg("3000x4000"), port)
        request = request.replace(b"/predict", b"/predict?save=false", 1)
        usual, *usual_refused = load(port, request, USUAL_LOAD, seconds / 3)
        ready = threading.Thread(target=ready_seconds, args=(server, asked := []))
        ready.start()
        answers, busy, broken = load(port, request, OVERLOAD, seconds)
        began = time.monotonic()
        predict(server, jpeg("3000x4000"))
        recovery = time.monotonic() - began
        ready.join()
    good = sorted(answer.seconds for answer in answers if answer.is_right)
    usual_rate, rate = 3 * len(usual) / seconds, len(good) / seconds
    longest = max(answer.seconds for answer in answers)
    note = (
        f"{OVERLOAD} connections: {rate:.0f} pictures/s ({usual_rate:.0f} with "
        f"{USUAL_LOAD}), {busy} times 503, p99 {good[int(0.99 * len(good))]:.1f} s, "
        f"longest {longest:.1f} s, /ready in {max(asked):.1f} s"
    )
    is_kept = broken == 0 and len(good) > 0 and not any(usual_refused)
    return Result(len(answers), broken, recovery, note, is_kept)


def load(port: int, request: bytes, connections: int, seconds: float):
    clients = Counted(port, request, connections, "7")
    answers = clients.run(seconds, least=1)
    clients.drain()
    return answers, clients.busy, clients.broken


def ready_seconds(server: Server, asked: list[float]) -> None:
    for _ in range(2):
        began = time.monotonic()
        requests.get(server.url + "/ready", timeout=120).raise_for_status()
        asked.append(time.monotonic() - began)


def model_damaged(seconds) -> Result:
    notes, failed, seconds = [], 0, 0.0
    for damage in ("missing", "cut off"):
        with TemporaryDirectory() as folder:
            copy_service(Path(folder))
            model = Path(folder, "model.keras")
            data = model.read_bytes()
            model.unlink()
            if damage == "cut off":
                model.write_bytes(data[: len(data) // 2])
            began = time.monotonic()
            ended = start(folder)
            seconds = max(seconds, time.monotonic() - began)
            names = "model.keras" in ended.stderr
            notes.append(f"{damage}: ends with {ended.returncode}, file named: {names}")
            failed += ended.returncode == 0 or not names
    return Result(2, failed, seconds, "; ".join(notes), failed == 0)


def start(folder: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        GUNICORN,
        cwd=folder,
        env={**os.environ, "PORT": str(free_port()), "WEB_CONCURRENCY": "2"},
        timeout=LONGEST_START,
        capture_output=True,
        text=True,
    )


FAULTS = {
    "workers-killed": workers_killed,
    "terminated": terminated,
    "reloaded": reloaded,
    "disk-full": disk_full,
    "read-only": read_only,
    "folder-removed": folder_removed,
    "two-sweep": two_sweep,
    "slow-clients": slow_clients,
    "overloaded": overloaded,
    "model-damaged": model_damaged,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", choices=[*FAULTS, []], metavar="NAME")
    parser.add_argument("--seconds", type=float, default=30, help="of the overload")
    args = parser.parse_args()
    print("| fault | requests | failed | recovered after, s | | promise |")
    print("|---|---|---|---|---|---|")
    is_kept = True
    for name in args.names or FAULTS:
        result = FAULTS[name](args.seconds)
        is_kept &= result.is_kept
        print(
            f"| {name} | {result.requests:,} | {result.failed} | {result.recovery:.1f} "
            f"| {result.note} | {'kept' if result.is_kept else 'BROKEN'} |",
            flush=True,
        )
    sys.exit(not is_kept)


if __name__ == "__main__":
    main()
