"""Every documented way to start the service serves it."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from pictures import seven
from programs import program
from server import GUNICORN, ROOT, running_server

from benchmarks.launches import copy_service, free_port

pytestmark = pytest.mark.slow

FLASK = [sys.executable, "-m", "flask", "--app", "app", "run", "--port", "{port}"]
OWN_CONFIG = """
import runpy
globals().update(runpy.run_path({config!r}))
workers = 1
def when_ready(server):
    open("ready", "w").close()
"""
WRAPPED = """
from app import app
def application(environ, start_response):
    return app(environ, start_response)
"""


def assert_serves(url: str, **options) -> None:
    files = {"file": ("7.png", seven())}
    answer = requests.post(f"{url}/predict", files=files, timeout=60, **options)
    assert answer.json()["classification_result"][0]["class"] == "7"
    upload = requests.get(answer.json()["image_url"], timeout=60, **options)
    assert upload.content == seven()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([*GUNICORN, "--worker-class=sync"], id="sync"),
        pytest.param(
            [*GUNICORN, "--worker-class=gthread", "--threads=2"], id="gthread"
        ),
        pytest.param([*GUNICORN, "--worker-class=gevent"], id="gevent"),
        pytest.param(FLASK, id="flask run"),
        pytest.param([sys.executable, "app.py"], id="python app.py"),
    ],
)
def test_every_server_serves(command):
    with running_server(command=command, WEB_CONCURRENCY="1") as server:
        assert_serves(server.url)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["make", "run"], id="make run"),
        pytest.param(GUNICORN, id="gunicorn"),
        pytest.param([*GUNICORN, "--config=/dev/null"], id="gunicorn, another config"),
        pytest.param(FLASK, id="flask run"),
        pytest.param([sys.executable, "app.py"], id="python app.py"),
    ],
)
def test_no_server_starts_with_a_file_that_is_no_model(command, tmp_path):
    copy_service(tmp_path)
    (tmp_path / "model.keras").write_text("not a model")
    for name in ("Makefile", "requirements.lock", "requirements-dev.txt"):
        shutil.copy2(ROOT / name, tmp_path)  # no older than what is installed
    (tmp_path / ".venv").symlink_to(sys.prefix)
    command = [word.replace("{port}", str(free_port())) for word in command]
    environment = {**os.environ, "PORT": str(free_port())}
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0
    said = ended.stdout + ended.stderr
    assert "model.keras is not a Keras 3 file" in said
    assert "Traceback" not in said
    if "--config=/dev/null" not in command:
        assert "Listening" not in said
        assert "Running on" not in said


def test_middleware_around_the_app_serves(tmp_path):
    copy_service(tmp_path)
    (tmp_path / "wrapped.py").write_text(WRAPPED)
    command = [*GUNICORN[:-1], "wrapped:application"]
    with running_server(tmp_path, command, WEB_CONCURRENCY="1") as server:
        assert_serves(server.url)


@pytest.fixture(scope="module")
def statsd():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(60)
        yield statsd


@pytest.fixture(scope="module")
def elsewhere(statsd, tmp_path_factory):
    """With many of gunicorn's options, in another folder than that of the service."""
    service, other = (tmp_path_factory.mktemp(name) for name in ("service", "other"))
    copy_service(service)
    options = [
        f"--chdir={service}",
        f"--config={service}/gunicorn.conf.py",
        "--bind=127.0.0.1:{port}",
        f"--bind=unix:{service}/socket",
        f"--statsd-host=127.0.0.1:{statsd.getsockname()[1]}",
    ]
    command = [*GUNICORN, *options]
    with running_server(other, command, WEB_CONCURRENCY="1") as server:
        yield server, service


def test_the_service_is_served_from_another_folder(elsewhere):
    server, _ = elsewhere
    assert_serves(server.url)
    assert list(server.folder.iterdir()) == []


def test_statsd_is_told_of_requests(elsewhere, statsd):
    requests.get(elsewhere[0].url, timeout=60)
    while b"gunicorn.requests" not in statsd.recv(1000):
        pass


def test_a_unix_socket_is_served(elsewhere):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(elsewhere[1] / "socket"))
        client.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
        assert client.makefile("rb").read().endswith(b'{"ready":true}\n')


def test_own_config_file_keeps_our_hooks(tmp_path):
    copy_service(tmp_path)
    config = OWN_CONFIG.format(config=str(tmp_path / "gunicorn.conf.py"))
    (tmp_path / "own.py").write_text(config)
    with running_server(tmp_path, [*GUNICORN, "--config=own.py"]) as server:
        assert_serves(server.url)
        assert (tmp_path / "ready").exists()


def test_tls_is_served_as_gunicorn_documents_it(tmp_path):
    copy_service(tmp_path)
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    make += " -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    make += " -keyout key.pem -out certificate.pem"
    command = [program("openssl"), *make.split()]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    port, certificate = free_port(), str(tmp_path / "certificate.pem")
    options = ["--certfile=certificate.pem", "--keyfile=key.pem", f"--bind=:{port}"]
    with started(tmp_path, [*GUNICORN, "--workers=1", *options]):
        assert_serves(f"https://localhost:{port}", verify=certificate)


@contextmanager
def started(folder: Path, command: list[str]):
    """From when it listens: a request then waits for the worker."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        assert any("Listening at" in line for line in process.stderr)
        yield
    finally:
        process.terminate()
        process.communicate()
