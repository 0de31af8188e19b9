import os
import resource
from contextlib import ExitStack
from io import BytesIO

import pytest
from browser import CHROMIUM, DRIVER, chromium
from pictures import seven
from server import running_server, two_cores

import app as service
from uploads import Uploads

# Above what the test run itself may be writing into a log.
LARGEST_FILE = 4_000_000


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setattr(service.app, "static_folder", str(tmp_path))
    monkeypatch.setattr(service, "UPLOADS", Uploads(folder, 10**9, 30))
    return folder


@pytest.fixture
def client(uploads):
    return service.app.test_client()


@pytest.fixture
def post(client):
    def post(data=None, name="seven.png", **options):
        data = seven() if data is None else data
        return client.post("/predict", data={"file": (BytesIO(data), name)}, **options)

    return post


@pytest.fixture(scope="session")
def start_server():
    with ExitStack() as stack:
        yield lambda **environment: stack.enter_context(running_server(**environment))


@pytest.fixture(scope="session")
def server(start_server):
    """With a worker for each of two cores."""
    with two_cores():
        return start_server(WEB_CONCURRENCY="2")


@pytest.fixture(scope="session")
def server_behind_proxy(start_server):
    """With one worker, which trusts the headers of one proxy."""
    return start_server(WEB_CONCURRENCY="1", TRUSTED_PROXIES="1")


@pytest.fixture
def full_disk():
    """No file may grow beyond a limit, so that a write fails half way."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="session")
def browser():
    if not (CHROMIUM and DRIVER):
        assert "CI" not in os.environ, "chromium or chromedriver is missing"
        # Nothing else shows the page; CI installs one.
        pytest.skip("needs chromium and chromedriver")
    return chromium
