"""A malformed setting stops the start and is named."""

import os
import subprocess
import sys

import pytest
from server import GUNICORN, ROOT


def run(command, **environment):
    environment = {**os.environ, **environment}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_UPLOAD_BYTES", "20MB"),
        ("MAX_UPLOAD_BYTES", "0"),
        ("MAX_PIXELS", "6.4e7"),
        ("MAX_PIXELS", ""),
        ("UPLOADS_MAX_BYTES", "1"),
        ("UPLOADS_MAX_AGE_DAYS", "-1"),
        ("MAX_REQUEST_SECONDS", "1m"),
        ("MAX_WAIT_SECONDS", "0"),
        ("TRUSTED_PROXIES", "yes"),
        ("PORT", "70000"),
        ("WEB_CONCURRENCY", "0"),
    ],
)
def test_gunicorn_refuses_to_start(name, value):
    start = run(GUNICORN, **{name: value})
    assert start.returncode != 0
    assert f"{name} must be a whole number" in start.stderr
    assert "Booting worker" not in start.stderr


def test_app_refuses_to_start():
    start = run([sys.executable, "app.py"], MAX_PIXELS="many")
    assert start.returncode != 0
    assert start.stderr.endswith("not 'many'.\n")
