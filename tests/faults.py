"""Break what the service rests on while it works, and print what came of it.

python -m tests.faults [NAME …] [--seconds 30]

Prints Markdown. Starts copies of the service with the documented command, and exits
with 1 where a fault does not pass. Needs Linux; full and read-only disks need root,
slow clients need nginx.
"""

import argparse
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil
import requests

from benchmarks.launches import copy_service, free_port
from benchmarks.markdown import heading, row
from tests.clients import (
    Answer,
    Clients,
    begun_upload,
    drawings,
    lost,
    noise,
    percentile,
    photo,
    poll,
    unfinished_head,
    wait_until,
)
from tests.local_nginx import SERVICE, running_nginx
from tests.server import GUNICORN, Server, running_server

COLUMNS = ["fault", "requests", "failed", "recovered after, s", "", "result"]
LONGEST_START_SECONDS = 120
# A worker that replaces another has loaded the model by then.
STARTED_SECONDS = 6
# Small limits, so that cleanups come often and have much to delete.
SMALL_STORAGE = {"MAX_UPLOAD_BYTES": "1000000", "UPLOADS_MAX_BYTES": "2000000"}
SMALL_DISK = "2m"
OVERLOAD, USUAL_LOAD = 640, 64
POLLED = ["/", "/ready"]
LARGE_PICTURES, LONGEST_POLL_SECONDS = 64, 0.5
IDLE_UPLOADS, ANNOUNCED_BYTES, SENT_BYTES = 64, 20_000_000, 100
MAX_REQUEST_SECONDS, OVERDUE_SECONDS = 5, 2
# More than 64 KB, which such uploads once waited for.
OTHER_UPLOAD, LONGEST_UPLOAD_SECONDS = (2600, 3700), 2
SLOW_CLIENTS, SLOW_BYTE_SECONDS = 200, 1
# What the other clients' p99 may be with slow ones beside them: the slow ones' bytes
# take CPU time from them too.
SLOWER_FACTOR, SLOWER_SECONDS = 1.5, 0.02


class Result(NamedTuple):
    requests: int
    failed: int
    recovery: float
    note: str
    has_passed: bool


@contextmanager
def service(**environment: str) -> Iterator[Server]:
    """A copy with two workers."""
    environment = {"WEB_CONCURRENCY": "2", **environment}
    with running_server(stdout=subprocess.DEVNULL, **environment) as server:
        yield server


def workers(server: Server) -> set[int]:
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def memory_mb(server: Server) -> float:
    """Proportional: what the processes share is counted once."""
    master = psutil.Process(server.process.pid)
    processes = [master, *master.children()]
    return sum(each.memory_full_info().pss for each in processes) / 1e6


def predict(server: Server, picture: bytes, **options) -> requests.Response:
    files = {"file": ("7.png", picture)}
    return requests.post(server.url + "/predict", files=files, timeout=60, **options)


def stored_name(answer: requests.Response) -> str:
    return answer.json()["image_url"].rpartition("/")[2]


def run_for(seconds: float) -> None:
    time.sleep(seconds)  # the time for which the clients shall post


def statuses(answers: list[Answer]) -> str:
    counts = Counter(str(answer.status) for answer in answers)
    return ", ".join(f"{counts[status]:,} times {status}" for status in sorted(counts))


def workers_killed(seconds: float) -> Result:
    """One after the other, then all together."""
    with service() as server, Clients(server.url) as clients:
        run_for(1)
        for worker in workers(server):
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: len(workers(server)) == 2)
            run_for(STARTED_SECONDS)
        both = workers(server)
        # Else a request that the first one drops is retried on the second.
        for signal_number in (signal.SIGSTOP, signal.SIGKILL):
            for worker in both:
                os.kill(worker, signal_number)
        killed = time.monotonic()
        run_for(STARTED_SECONDS)
        clients.stop()
        missing = lost(clients.answers)
    after = [each for each in clients.answers if each.ended > killed + 0.1]
    recovery = min(each.ended for each in after if each.status == 200) - killed
    failed = clients.failed()
    note = (
        f"{statuses(clients.answers)}, {clients.retried} retried, "
        f"{missing} uploads lost"
    )
    return Result(len(clients.answers), failed, recovery, note, failed == missing == 0)


def terminated(seconds: float) -> Result:
    """A server that was told to stop resets what it has not read from its backlog."""
    with service() as server, Clients(server.url) as clients:
        run_for(3)
        told = time.monotonic()
        server.process.terminate()
        status = server.process.wait(60)
        recovery = time.monotonic() - told
        clients.stop()
        missing = lost(clients.answers, server.uploads)
    late = [
        each
        for each in clients.answers
        if each.status == "refused" or (each.status == "reset" and each.began > told)
    ]
    failed = clients.failed() - len(late)
    note = (
        f"ends with {status}, {clients.retried} retried, {len(late)} not accepted "
        f"afterwards, {missing} uploads lost"
    )
    has_passed = failed == missing == status == 0
    return Result(len(clients.answers) - len(late), failed, recovery, note, has_passed)


def reloaded(seconds: float) -> Result:
    with service() as server, Clients(server.url) as clients:
        run_for(1)
        old = workers(server)
        server.process.send_signal(signal.SIGHUP)
        recovery = wait_until(lambda: not old & workers(server))
        run_for(1)
        clients.stop()
        missing = lost(clients.answers, server.uploads)
    slowest = percentile(clients.answers, 1)
    note = f"slowest answer {slowest:.1f} s, {clients.retried} retried, {missing} lost"
    failed = clients.failed()
    return Result(len(clients.answers), failed, recovery, note, failed == missing == 0)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", folder]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def disk_full(seconds: float) -> Result:
    picture, saved, codes, slowest = photo(720, 1120), [], Counter(), 0.0
    with service() as server, small_disk(server.uploads):
        for _ in range(2):
            while (answer := predict(server, picture)).ok:
                saved.append(stored_name(answer))
                codes[answer.status_code] += 1
            slowest = max(slowest, answer.elapsed.total_seconds())
            unsaved = predict(server, picture, params={"save": "false"})
            codes.update([answer.status_code, unsaved.status_code])
            for name in saved[::2]:
                (server.uploads / name).unlink()
            saved = saved[1::2]
            began = time.monotonic()
            after = predict(server, picture)
            recovery = time.monotonic() - began
            codes[after.status_code] += 1
        missing = sum((server.uploads / n).read_bytes() != picture for n in saved)
        unfinished = len(list(server.uploads.glob(".*")))
    failed = codes.total() - codes[200] - codes[507]
    note = (
        f"full twice: 507 in {slowest:.2f} s; 200 with save=false; "
        f"{missing} lost, {unfinished} half written"
    )
    has_passed = failed == missing == unfinished == 0 and codes[507] == 2
    return Result(codes.total(), failed, recovery, note, has_passed)


def read_only(seconds: float) -> Result:
    (picture,) = drawings(1)
    with service() as server, small_disk(server.uploads):
        before = server.uploads / stored_name(predict(server, picture))
        remount(server.uploads, "ro")
        codes = [predict(server, picture).status_code for _ in range(20)]
        unsaved = predict(server, picture, params={"save": "false"})
        missing = int(before.read_bytes() != picture)
        remount(server.uploads, "rw")
        began = time.monotonic()
        after = predict(server, picture)
        recovery = time.monotonic() - began
    failed = sum(code != 507 for code in codes) + (not unsaved.ok) + (not after.ok)
    note = f"507; 200 with save=false and once it is writable again, {missing} lost"
    return Result(23, failed, recovery, note, failed == missing == 0)


def remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", folder], check=True)


def folder_removed(seconds: float) -> Result:
    with service() as server, Clients(server.url) as clients:
        for _ in range(5):
            run_for(0.5)
            with suppress(OSError):
                shutil.rmtree(server.uploads)
        removed = time.monotonic()
        run_for(2)
        clients.stop()
        missing = lost([each for each in clients.answers if each.began > removed + 1])
    failed = clients.failed()
    note = f"created again 5 times, {missing} later uploads lost"
    return Result(len(clients.answers), failed, 0, note, failed == missing == 0)


def cleanup(seconds: float) -> Result:
    """Two workers clean up one folder."""
    pictures, largest = [photo(720, 1120), *drawings()], 0
    with service(**SMALL_STORAGE) as server:
        with Clients(server.url, pictures=pictures) as clients:
            end = time.monotonic() + 5
            while time.monotonic() < end:
                largest = max(largest, folder_bytes(server.uploads))
                run_for(0.05)
        latest = sorted(clients.answers, key=lambda each: each.began)[-5:]
        missing = lost(latest)
    failed = clients.failed()
    note = f"at most {largest / 1e6:.2f} of 2 MB on disk, {missing} of the last 5 lost"
    has_passed = failed == missing == 0 and largest <= 2_000_000
    return Result(len(clients.answers), failed, 0, note, has_passed)


def folder_bytes(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def slow_clients(seconds: float) -> Result:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        server = stack.enter_context(service(TRUSTED_PROXIES="1"))
        # Here all clients have one address.
        replaced = {
            SERVICE: f"server {server.url.removeprefix('http://')};",
            "limit_conn connections 32;": "",
            "limit_req zone=requests burst=100 nodelay;": "",
        }
        proxy = stack.enter_context(running_nginx(folder, replaced))
        alone = posted_for(5, proxy)
        at = proxy.url, proxy.certificate
        slow = [unfinished_head(*at) for _ in range(SLOW_CLIENTS // 2)]
        slow += [
            begun_upload(at[0], 9999, b"--x", at[1]) for _ in range(SLOW_CLIENTS // 2)
        ]
        sender = threading.Thread(target=send_slowly, args=(slow,))
        sender.start()
        beside = posted_for(5, proxy)
        sender.join()
    answers = alone.answers + beside.answers
    failed = alone.failed() + beside.failed()
    before, after = percentile(alone.answers, 0.99), percentile(beside.answers, 0.99)
    note = f"p99 {before:.3f} s alone, {after:.3f} s beside {SLOW_CLIENTS} slow ones"
    is_as_fast = after <= SLOWER_FACTOR * before + SLOWER_SECONDS
    return Result(len(answers), failed, 0, note, failed == 0 and is_as_fast)


def posted_for(seconds: float, proxy) -> Clients:
    with Clients(proxy.url, 4, certificate=proxy.certificate) as clients:
        run_for(seconds)
    return clients


def send_slowly(slow: list) -> None:
    for _ in range(5):
        for client in slow:
            client.send(b"a")
        time.sleep(SLOW_BYTE_SECONDS)  # that is what makes them slow


def idle_uploads(seconds: float) -> Result:
    """Without nginx."""
    picture, answers = photo(*OTHER_UPLOAD), []
    with (
        service(MAX_REQUEST_SECONDS=str(MAX_REQUEST_SECONDS)) as server,
        ThreadPoolExecutor(IDLE_UPLOADS) as pool,
    ):
        idle = [pool.submit(idle_upload, server.url) for _ in range(IDLE_UPLOADS)]
        while not all(each.done() for each in idle):
            answers.append(predict(server, picture))
            run_for(0.2)
    closed = [each.result() for each in idle]
    overdue = sum(each > MAX_REQUEST_SECONDS + OVERDUE_SECONDS for each in closed)
    slowest = max(answer.elapsed.total_seconds() for answer in answers)
    failed = sum(not answer.ok for answer in answers) + overdue
    note = (
        f"{IDLE_UPLOADS} idle uploads, closed after {min(closed):.1f} to "
        f"{max(closed):.1f} s; slowest of the others, {len(picture) / 1000:.0f} KB "
        f"each, {slowest:.2f} s"
    )
    has_passed = failed == 0 and slowest <= LONGEST_UPLOAD_SECONDS
    return Result(len(answers) + IDLE_UPLOADS, failed, 0, note, has_passed)


def idle_upload(url: str) -> float:
    """After how many seconds the server closes the connection."""
    with begun_upload(url, ANNOUNCED_BYTES, b"a" * SENT_BYTES) as client:
        began = time.monotonic()
        with suppress(ConnectionError, TimeoutError):
            while client.recv(65_536):
                pass
    return time.monotonic() - began


def large_pictures(seconds: float) -> Result:
    picture = noise()
    with service() as server, polled(server, seconds) as polls:
        clients, peak = loaded(server, picture, LARGE_PICTURES, seconds, digit=None)
    notes, slowest, bad = [], 0.0, clients.failed(accepted=(200, 503))
    for path, answers in polls.items():
        bad += sum(answer.status not in (200, 503) for answer in answers)
        slowest = max(slowest, percentile(answers, 1))
        notes.append(
            f"{path} p99 {percentile(answers, 0.99):.2f} s, slowest "
            f"{percentile(answers, 1):.2f} s ({statuses(answers)})"
        )
    note = (
        f"{LARGE_PICTURES} clients, {len(picture) / 1e6:.1f} MB each: "
        f"{statuses(clients.answers)}; {'; '.join(notes)}; at most {peak:.0f} MB"
    )
    has_passed = bad == 0 and slowest <= LONGEST_POLL_SECONDS
    return Result(len(clients.answers), bad, 0, note, has_passed)


@contextmanager
def polled(server: Server, seconds: float) -> Iterator[dict[str, list[Answer]]]:
    """What / and /ready answered meanwhile, once the with statement has ended."""
    # In processes of their own: else they would wait for the clients' threads.
    context = multiprocessing.get_context("spawn")
    answers: dict[str, list[Answer]] = {}
    with ProcessPoolExecutor(len(POLLED), context) as pool:
        warm_up = [pool.submit(poll, server.url, path, 1) for path in POLLED]
        for each in warm_up:
            each.result()
        polls = [pool.submit(poll, server.url, path, seconds) for path in POLLED]
        yield answers
        answers.update(zip(POLLED, (each.result() for each in polls), strict=True))


def loaded(
    server: Server, picture: bytes, count: int, seconds: float, **options
) -> tuple[Clients, float]:
    """The clients after so many seconds, and the most memory of the server in MB."""
    end, peak, path = time.monotonic() + seconds, 0.0, "/predict?save=false"
    with Clients(server.url, count, [picture], path, **options) as clients:
        while time.monotonic() < end:
            peak = max(peak, memory_mb(server))
            run_for(1)
    return clients, peak


def overloaded(seconds: float) -> Result:
    """By clients that ignore Retry-After: each refusal costs an upload again."""
    picture = photo(3000, 4000)
    with service() as server:
        usual, _ = loaded(server, picture, USUAL_LOAD, seconds / 3)
        with polled(server, seconds) as polls:
            clients, peak = loaded(server, picture, OVERLOAD, seconds, waits=False)
        began = time.monotonic()
        predict(server, picture)
        recovery = time.monotonic() - began
    answered = [each for each in clients.answers if each.status == 200]
    usual_rate, rate = 3 * usual.count(200) / seconds, len(answered) / seconds
    note = (
        f"{OVERLOAD} connections: {rate:.0f} pictures/s ({usual_rate:.0f} with "
        f"{USUAL_LOAD}), {clients.count(503):,} times 503, p99 of 200 "
        f"{percentile(answered, 0.99):.1f} s, slowest {percentile(answered, 1):.1f} s, "
        f"/ready p99 {percentile(polls['/ready'], 0.99):.2f} s, at most {peak:.0f} MB"
    )
    failed = usual.failed() + clients.failed(accepted=(200, 503))
    has_passed = failed == 0 and len(answered) > 0
    return Result(len(clients.answers), failed, recovery, note, has_passed)


def model_damaged(seconds: float) -> Result:
    notes, failed, slowest = [], 0, 0.0
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
            slowest = max(slowest, time.monotonic() - began)
            is_named = "model.keras" in ended.stderr
            notes.append(f"{damage}: ends with {ended.returncode}, {is_named=}")
            failed += ended.returncode == 0 or not is_named
    return Result(2, failed, slowest, "; ".join(notes), failed == 0)


def start(folder: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        GUNICORN,
        cwd=folder,
        env={**os.environ, "PORT": str(free_port()), "WEB_CONCURRENCY": "2"},
        timeout=LONGEST_START_SECONDS,
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
    "cleanup": cleanup,
    "slow-clients": slow_clients,
    "idle-uploads": idle_uploads,
    "large-pictures": large_pictures,
    "overloaded": overloaded,
    "model-damaged": model_damaged,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", choices=[*FAULTS, []], metavar="NAME")
    parser.add_argument("--seconds", type=float, default=30, help="of heavy load")
    args = parser.parse_args()
    print(heading(COLUMNS))
    has_passed = True
    for name in args.names or FAULTS:
        result = FAULTS[name](args.seconds)
        has_passed &= result.has_passed
        cells = [name, f"{result.requests:,}", result.failed, f"{result.recovery:.1f}"]
        cells += [result.note, "pass" if result.has_passed else "FAIL"]
        print(row(cells), flush=True)
    sys.exit(not has_passed)


if __name__ == "__main__":
    main()
