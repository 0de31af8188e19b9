"""Sends a picture to a server: one request, or a load from wrk."""

import json
import os
import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import requests

from benchmarks.launches import HOST

SCRIPT = Path(__file__).with_name("load.lua")
# Longer than any server here takes for what 64 connections have in its queue.
TIMEOUT_SECONDS = 60


class Load(NamedTuple):
    seconds: float
    answers: int
    failed: int
    p50_ms: float
    p99_ms: float


class NoAnswer(ConnectionError):
    """Why no answer came, in a line."""


def predict_request(port: int, picture: bytes) -> requests.PreparedRequest:
    files = {"file": ("7.jpg", picture, "image/jpeg")}
    return requests.Request(
        "POST", f"http://{HOST}:{port}/predict", files=files
    ).prepare()


def first_class(port: int, picture: bytes) -> str:
    """The most probable class of one answer. Raises OSError, as NoAnswer."""
    with requests.Session() as session:
        request = predict_request(port, picture)
        answer = session.send(request, timeout=TIMEOUT_SECONDS)
    if answer.status_code != 200:
        raise NoAnswer(f"it answers {answer.status_code}: {answer.text[:300]!r}")
    return answer.json()["classification_result"][0]["class"]


def load(
    port: int, picture: bytes, connections: int, seconds: int, expected: str
) -> Load:
    """Each connection sends the picture again as soon as it has its answer."""
    request = predict_request(port, picture)
    with NamedTemporaryFile() as body:
        body.write(request.body)
        body.flush()
        environment = {
            **os.environ,
            "BODY": body.name,
            "CONTENT_TYPE": request.headers["Content-Type"],
            "EXPECTED": expected,
        }
        options = f"-t1 -c{connections} -d{seconds}s --timeout {TIMEOUT_SECONDS}s"
        command = ["wrk", *options.split(), "-s", str(SCRIPT), request.url]
        output = subprocess.check_output(command, env=environment, text=True)
    return Load(**json.loads(output.strip().rpartition("\n")[2]))
