"""Starts the documented command for the tests, in a copy with uploads of its own."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from benchmarks.launches import copy_service, free_port

ROOT = Path(__file__).parent.parent
GUNICORN = [sys.executable, "-m", "gunicorn", "app:app"]


class Server:
    def __init__(
        self, process: subprocess.Popen, port: int, folder: Path, host: str
    ) -> None:
        self.process = process
        self.port = port
        self.url = f"http://{host}:{port}"
        self.folder = folder
        self.uploads = folder / "static" / "uploads"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server ended"
            with suppress(requests.ConnectionError):
                if requests.get(self.url + "/ready", timeout=60).ok:
                    return
            time.sleep(0.1)  # a refused connection comes back immediately
        raise TimeoutError("the server does not get ready")


@contextmanager
def two_cores():
    """What starts within runs on two cores, where the system tells on which."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:2])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def running_server(
    folder: Path | None = None,
    command=GUNICORN,
    host: str = "127.0.0.1",
    stdout: int | None = None,
    stderr: int | None = None,
    **environment: str,
):
    """In `folder`, or else in a copy of the service; `{port}` in a command is its."""
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            copy_service(folder)
        port = free_port()
        environment = {**os.environ, **environment, "PORT": str(port)}
        command = [word.replace("{port}", str(port)) for word in command]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=stdout, stderr=stderr
        )
        stack.enter_context(process)
        try:
            server = Server(process, port, folder, host)
            server.wait_until_ready()
            yield server
        finally:
            process.terminate()
