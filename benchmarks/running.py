"""Start a server, wait until it is ready, tell what it uses, stop it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

from benchmarks.environments import ENVIRONMENT
from benchmarks.launches import Start, free_port
from benchmarks.load import NoAnswer, first_class

# The import of TensorFlow alone takes half a minute on a busy machine.
START_SECONDS, STOP_SECONDS = 180, 30
POLL_SECONDS = 0.02
# Of a server's log, where something goes wrong.
LOG_CHARACTERS = 3000
# A worker that still starts keeps a core busy; one that rests uses less.
REST_SECONDS, REST_CPU_SECONDS, SETTLE_SECONDS = 0.5, 0.05, 30
# In memory: on ext4 a new file costs 0.05 ms, but a millisecond in the minute after the
# thousands of the server before were deleted, as it passes over each of those.
SCRATCH = "/dev/shm"


class Running(NamedTuple):
    process: subprocess.Popen
    port: int
    began: float


@contextmanager
def running(start: Start) -> Iterator[Running]:
    port = free_port()
    with scratch_folder() as folder, (folder / "log").open("w") as log:
        launch = start(folder, port)
        environment = {**ENVIRONMENT, "TMPDIR": str(folder), **launch.environment}
        began = time.perf_counter()
        process = subprocess.Popen(
            launch.command, cwd=launch.folder, env=environment, stdout=log, stderr=log
        )
        try:
            yield Running(process, port, began)
        except BaseException:
            sys.stderr.write((folder / "log").read_text()[-LOG_CHARACTERS:])
            raise
        finally:
            stop(process)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    with TemporaryDirectory(dir=SCRATCH) as folder:
        yield Path(folder)


def processes(root: int) -> list[psutil.Process]:
    """The process and all below it."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(root)
        return [parent, *parent.children(recursive=True)]
    return []


def stop(process: subprocess.Popen) -> None:
    left_over = processes(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    # Whatever its workers left behind would disturb the next one.
    for each in left_over:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()


def cpu_seconds(root: int) -> float:
    """So far, also of those that ended; without the time spent waiting for a disk."""
    return sum(sum(each.cpu_times()[:4]) for each in processes(root))


def memory_mb(root: int) -> float:
    """Proportional: what several share is divided among them."""
    return sum(each.memory_full_info().pss / 1e6 for each in processes(root))


def seconds_to_first_answer(server: Running, picture: bytes) -> float:
    while server.process.poll() is None:
        with suppress(OSError):
            first_class(server.port, picture)
            return time.perf_counter() - server.began
        if time.perf_counter() - server.began > START_SECONDS:
            raise NoAnswer(f"it does not answer within {START_SECONDS} s")
        time.sleep(POLL_SECONDS)  # asking takes CPU from what is starting
    raise NoAnswer("it ended before its first answer")


def settle(process: subprocess.Popen) -> None:
    """Until all workers rest: then all have started."""
    used, deadline = cpu_seconds(process.pid), time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        time.sleep(REST_SECONDS)  # the time over which rest is judged
        before, used = used, cpu_seconds(process.pid)
        if used - before < REST_CPU_SECONDS:
            return
