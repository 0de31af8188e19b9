"""Starts the documented command for the tests."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

ROOT = Path(__file__).parent.parent
GUNICORN = [sys.executable, "-m", "gunicorn", "app:app"]


class Server:
    def __init__(self, process: subprocess.Popen, url: str) -> None:
        self.process = process
        self.url = url

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server ended"
            with suppress(requests.ConnectionError):
                if requests.get(self.url + "/ready", timeout=60).ok:
                    return
            time.sleep(0.1)  # a refused connection comes back at once
        raise TimeoutError("the server does not get ready")


@contextmanager
def running_server(folder: Path = ROOT, **environment: str):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **environment, "PORT": str(port)}
    with subprocess.Popen(GUNICORN, cwd=folder, env=environment) as process:
        server = Server(process, f"http://127.0.0.1:{port}")
        try:
            server.wait_until_ready()
            yield server
        finally:
            process.terminate()
