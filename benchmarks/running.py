"""Start a server, wait until it is ready, stop it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import NamedTuple

from benchmarks import launches
from benchmarks.client import NoAnswer, ask, multipart
from benchmarks.environments import ENVIRONMENT
from benchmarks.processes import tree_cpu_seconds

# The import of TensorFlow alone takes half a minute on a busy machine.
START_SECONDS, STOP_SECONDS = 180, 30
ASK_EVERY_SECONDS = 0.02
# A worker that still starts keeps a core busy; one that rests uses less than this.
REST_SECONDS, REST_CPU_SECONDS, SETTLE_SECONDS = 0.5, 0.05, 30
# In memory: on ext4 a new file costs 0.05 ms, but a millisecond in the minute after the
# thousands of the server before were deleted, as it passes over each of those.
SCRATCH = "/dev/shm"


class Running(NamedTuple):
    process: subprocess.Popen
    port: int
    began: float


@contextmanager
def running(server: launches.Server) -> Iterator[Running]:
    port = launches.free_port()
    with scratch_folder() as folder, error_log() as log:
        launch = server.start(Path(folder), port)
        began = time.perf_counter()
        with started(launch, log) as process:
            try:
                yield Running(process, port, began)
            finally:
                stop(process)


def scratch_folder() -> TemporaryDirectory:
    return TemporaryDirectory(dir=SCRATCH)


@contextmanager
def error_log() -> Iterator:
    """A file that is shown only if something goes wrong."""
    with TemporaryFile() as log:
        try:
            yield log
        except BaseException:
            log.seek(0)
            shutil.copyfileobj(log, sys.stderr.buffer)
            raise


def started(launch: launches.Launch, log, **pipes) -> subprocess.Popen:
    return subprocess.Popen(
        launch.command,
        cwd=launch.folder,
        env={
            **os.environ,
            **ENVIRONMENT,
            "TMPDIR": SCRATCH,
            **launch.environment,
        },
        stderr=log,
        start_new_session=True,
        **{"stdout": subprocess.DEVNULL, **pipes},
    )


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    # Whatever its workers left behind would disturb the next one.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def seconds_to_first_answer(server: Running, picture: bytes) -> float:
    request = multipart(picture, server.port)
    while server.process.poll() is None:
        with suppress(NoAnswer, OSError):
            ask(server.port, request)
            return time.perf_counter() - server.began
        if time.perf_counter() - server.began > START_SECONDS:
            raise NoAnswer(f"it does not answer within {START_SECONDS} s")
        time.sleep(ASK_EVERY_SECONDS)  # asking takes CPU from what is starting
    raise NoAnswer("it ended before its first answer")


def settle(process: subprocess.Popen) -> None:
    """Until all workers rest: then all have started."""
    used, deadline = tree_cpu_seconds(process.pid), time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        time.sleep(REST_SECONDS)  # the time over which rest is judged
        before, used = used, tree_cpu_seconds(process.pid)
        if used - before < REST_CPU_SECONDS:
            return
