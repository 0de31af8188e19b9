"""Start a server, load it by wrk, tell what it uses, stop it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import NamedTuple

import psutil
import requests

from benchmarks.environments import ENVIRONMENT
from benchmarks.launches import HOST, Start, free_port

SCRIPT = Path(__file__).with_name("load.lua")
# The import of TensorFlow alone takes half a minute on a busy machine.
START_SECONDS, STOP_SECONDS, POLL_SECONDS = 180, 30, 0.02
# The other worker may start a little later than the one that answers first.
SETTLE_SECONDS = 5
# Longer than any server here takes for what 64 connections have in its queue.
TIMEOUT_SECONDS = 60
# Of a server's log, where something goes wrong.
LOG_CHARACTERS = 3000
# In memory: on ext4 a new file costs 0.05 ms, but a millisecond in the minute after the
# thousands of the server before were deleted, as it passes over each of those.
SCRATCH = "/dev/shm"


class Server(NamedTuple):
    process: psutil.Popen
    port: int

    def processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Also of processes that ended; without the time spent waiting for a disk."""
        return sum(sum(each.cpu_times()[:4]) for each in self.processes())

    def memory_mb(self) -> float:
        """Proportional: what several share is divided among them."""
        return sum(each.memory_full_info().pss / 1e6 for each in self.processes())

    def request(self, picture: bytes) -> requests.PreparedRequest:
        files = {"file": ("7.jpg", picture, "image/jpeg")}
        url = f"http://{HOST}:{self.port}/predict"
        return requests.Request("POST", url, files=files).prepare()

    def first_class(self, picture: bytes) -> str:
        """The most probable class of one answer. Raises OSError."""
        with requests.Session() as session:
            answer = session.send(self.request(picture), timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer.json()["classification_result"][0]["class"]

    def load(
        self, picture: bytes, connections: int, seconds: int, expected: str
    ) -> dict[str, float]:
        """What load.lua prints after every connection has sent the picture again as
        soon as it had its answer, for so long.
        """
        request = self.request(picture)
        with NamedTemporaryFile() as body:
            body.write(request.body)
            body.flush()
            words = {"BODY": body.name, "EXPECTED": expected}
            words["CONTENT_TYPE"] = request.headers["Content-Type"]
            options = f"-t1 -c{connections} -d{seconds}s --timeout {TIMEOUT_SECONDS}s"
            command = ["wrk", *options.split(), "-s", SCRIPT, request.url]
            output = subprocess.check_output(command, env=os.environ | words, text=True)
        return json.loads(output.splitlines()[-1])


@contextmanager
def running(start: Start, picture: bytes) -> Iterator[Server]:
    """A server that has answered the picture. Raises OSError."""
    with TemporaryDirectory(dir=SCRATCH) as folder:
        port, log = free_port(), Path(folder, "log")
        command, directory, environment = start(Path(folder), port)
        environment = {**ENVIRONMENT, "TMPDIR": folder, **environment}
        with log.open("w") as file:
            output = {"stdout": file, "stderr": file}
            process = psutil.Popen(command, cwd=directory, env=environment, **output)
        try:
            server = Server(process, port)
            wait_until_ready(server, picture)
            yield server
        except BaseException:
            sys.stderr.write(log.read_text()[-LOG_CHARACTERS:])
            raise
        finally:
            # Whatever its workers leave behind would disturb the next one.
            family = server.processes() if process.is_running() else [process]
            process.terminate()
            for each in psutil.wait_procs(family, STOP_SECONDS)[1]:
                each.kill()


def wait_until_ready(server: Server, picture: bytes) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            server.first_class(picture)
            time.sleep(SETTLE_SECONDS)  # the other worker's start would be measured
            return
        time.sleep(POLL_SECONDS)  # asking takes CPU from what is starting
    raise TimeoutError(f"it does not answer within {START_SECONDS} s, or has ended")
