"""What the commands print: few lines, none of TensorFlow's, one for each mistake."""

import os
import re
import socket
import subprocess
import sys

import pytest
from server import GUNICORN, ROOT, running_server


def run(command, **environment):
    environment = {**os.environ, **environment}
    environment.pop("MAKEFLAGS", None)  # of the make that may run the tests
    environment.pop("MAKELEVEL", None)
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


def test_help_of_classify_imports_no_tensorflow():
    command = [sys.executable, "-X", "importtime", "-m", "flask", "--app", "app"]
    shown = run([*command, "classify", "--help"])
    assert shown.stdout.startswith("Usage: flask classify")
    assert "flask.app" in shown.stderr
    assert "tensorflow" not in shown.stderr


def test_make_alone_lists_the_targets():
    (names,) = re.findall(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.M)
    listed = re.findall(r"^make ([\w-]+): ", run(["make"]).stdout, re.M)
    assert set(names.split()) - set(listed) <= {"data-named", "training-named"}


@pytest.mark.parametrize("options", [[], ["DATA=/nothing"]], ids=str)
@pytest.mark.parametrize("target", ["train", "evaluate"])
def test_missing_data_is_said_before_anything_is_installed(target, options):
    made = run(["make", target, *options])
    assert made.returncode
    assert made.stdout == ""
    (line,) = made.stderr.splitlines()
    assert "DIR must name the folder" in line


def test_a_malformed_number_of_workers_is_one_sentence():
    command = [sys.executable, "gunicorn.conf.py"]  # as `make run` does first
    line = "WEB_CONCURRENCY must be a whole number from 1 to 1000, not 'abc'.\n"
    assert run(command, WEB_CONCURRENCY="abc").stderr == line


def test_a_port_in_use_is_said_before_the_model_is_loaded():
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = str(other.getsockname()[1])
        start = run(GUNICORN, PORT=port)
    assert start.returncode
    _, line = start.stderr.splitlines()
    assert line.startswith(f"Port {port} cannot be used (Address already in use);")


@pytest.mark.slow
def test_five_lines_lead_to_the_address(tmp_path):
    with (tmp_path / "log").open("w+") as log:
        with running_server(stderr=log, WEB_CONCURRENCY="1") as server:
            pass
        log.seek(0)
        lines = log.read().splitlines()
    assert f"http://localhost:{server.port} " in lines[4]
    assert all(re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
