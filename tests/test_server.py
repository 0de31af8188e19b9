"""The documented command, started for real: `gunicorn app:app`."""

import http.client
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from pictures import RESOURCES, seven
from server import GUNICORN, ROOT, Server

pytestmark = pytest.mark.slow

SCHEMA = json.loads((ROOT / "static" / "openapi.json").read_text())
BUSY = SCHEMA["components"]["responses"]["Busy"]
TOO_MUCH = bytes(30_000_000)
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def form(data: bytes) -> bytes:
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="7.png"'
    return start + b"\r\n\r\n" + data + b"\r\n--x--\r\n"


@pytest.fixture
def connection(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    yield connection
    connection.close()


def test_upload_can_be_fetched_from_either_worker(server):
    picture = seven("JPEG")
    answer = requests.post(
        server.url + "/predict", files={"file": ("7.jpg", picture)}, timeout=60
    )
    image_url = answer.json()["image_url"]
    assert image_url.startswith(server.url + "/static/uploads/")
    assert all(requests.get(image_url, timeout=60).content == picture for _ in range(4))


def forwarded_url(server) -> str:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "digits.example"}
    files = {"file": ("7.png", seven())}
    url = server.url + "/predict"
    answer = requests.post(url, files=files, headers=headers, timeout=60)
    return answer.json()["image_url"]


def test_url_has_the_host_that_the_client_asked_the_proxy_for(server_behind_proxy):
    url = forwarded_url(server_behind_proxy)
    assert url.startswith("https://digits.example/static/uploads/")


def test_host_that_no_proxy_vouches_for_is_ignored(server):
    assert forwarded_url(server).startswith(server.url + "/")


def as_one(data: bytes) -> bytes:
    return data


def in_chunks(data: bytes):
    yield from (data[i : i + 100_000] for i in range(0, len(data), 100_000))


@pytest.mark.parametrize("sent", [as_one, in_chunks])
@pytest.mark.parametrize("path", ["/predict", "/nothing"])
def test_refusal_reaches_a_client_that_sends_to_the_end(connection, sent, path):
    connection.request("GET", "/")
    connection.getresponse().read()
    connection.request("POST", path, sent(form(TOO_MUCH)), FORM)
    answer = connection.getresponse()
    assert answer.status == (413 if path == "/predict" else 404)
    assert answer.read().startswith(b'{"error":')


def test_connection_outlives_a_refusal(connection):
    connection.request("POST", "/predict", form(TOO_MUCH), FORM)
    connection.getresponse().read()
    connection.request("GET", "/")
    assert connection.getresponse().status == 200


def test_upload_of_unknown_length_is_read(connection):
    body = in_chunks(form(seven()))
    connection.request("POST", "/predict?save=false", body, FORM)
    assert connection.getresponse().status == 200


def test_malformed_chunk_is_refused(connection):
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", FORM["Content-Type"])
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders(b"ZZ\r\n")
    assert connection.getresponse().status == 400


def begin(server: Server, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    client.sendall(data)
    return client


CHUNKED = f"""POST /predict?save=false HTTP/1.1
Host: a
Transfer-Encoding: chunked
Content-Type: {FORM["Content-Type"]}

""".replace("\n", "\r\n").encode()


def chunked(data: bytes, size: int) -> bytes:
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def test_a_body_in_chunks_that_is_cut_off_is_no_picture(server):
    # What stands between the chunks would be read as part of it.
    with begin(server, CHUNKED + chunked(form(seven("JPEG")), 1000)) as client:
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").readline().split()[1] == b"400"


def test_requests_sent_together_are_answered_one_after_the_other(server):
    upload = CHUNKED + chunked(form(seven()), 1000) + b"0\r\nA: b\r\n\r\n"
    with begin(server, upload + b"GET / HTTP/1.0\r\n\r\n") as client:
        first, second = client.makefile("rb").read().split(b" 200 OK")[1:]
    assert b"classification_result" in first
    assert b"Digit Recognition API" in second


def upload(picture: bytes) -> bytes:
    body = form(picture)
    head = "POST /predict HTTP/1.0\r\nHost: a\r\n"
    head += f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def test_of_many_at_once_each_gets_the_answer_to_its_own_picture(server):
    paths = sorted((RESOURCES / "mnist_sample").glob("[0-9]/*"))[::3]
    digits = [int(path.parent.name) for path in paths]
    pictures = [path.read_bytes() for path in paths]
    broken = upload(seven()[:-20])
    clients = [begin(server, part) for p in pictures for part in (upload(p), broken)]
    answers = [
        client.makefile("rb").read().partition(b"\r\n\r\n") for client in clients
    ]
    for client in clients:
        client.close()
    assert all(b" 400 " in head for head, _, _ in answers[1::2])
    bodies = [json.loads(body) for _, _, body in answers[::2]]
    assert [int(body["classification_result"][0]["class"]) for body in bodies] == digits
    names = [body["image_url"].rpartition("/")[2] for body in bodies]
    assert [(server.uploads / name).read_bytes() for name in names] == pictures


def test_a_client_that_names_no_host_gets_no_made_up_address(server):
    # HTTP/1.0 needs no Host; the picture's address would be http://0.0.0.0.
    request = upload(seven()).replace(b"Host: a\r\n", b"")
    with begin(server, request) as client:
        assert client.makefile("rb").readline().split()[1] == b"400"


@pytest.fixture(scope="module")
def impatient_server(start_server):
    return start_server(
        WEB_CONCURRENCY="1", MAX_REQUEST_SECONDS="3", MAX_WAIT_SECONDS="1"
    )


def upload_head(length: int) -> bytes:
    head = [
        "POST /predict?save=false HTTP/1.1",
        "Host: a",
        f"Content-Length: {length}",
        f"Content-Type: {FORM['Content-Type']}",
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


def predict(server: Server, picture: bytes) -> requests.Response:
    url, files = server.url + "/predict?save=false", {"file": ("7.png", picture)}
    return requests.post(url, files=files, timeout=60)


@contextmanager
def clients_that_sent(server: Server, data: bytes, count: int):
    with ExitStack() as stack:
        yield [stack.enter_context(begin(server, data)) for _ in range(count)]


GET = b"GET / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", id="HTTP 1.0"),
        pytest.param(GET + b"Connection: close\r\n\r\n", id="close"),
        pytest.param(GET + b"Content-Length: 9\r\n\r\n", id="no body"),
        pytest.param(upload_head(20_000_000) + b"--x", id="upload"),
        pytest.param(upload_head(20_000_000) + form(bytes(2**20)), id="large upload"),
    ],
)
def test_idle_clients_do_not_block_others(impatient_server, sent):
    with clients_that_sent(impatient_server, sent, 64):
        began = time.monotonic()
        assert predict(impatient_server, seven() + bytes(270_000)).ok
        # The idle ones are closed after three seconds.
        assert time.monotonic() - began < 3


def test_an_upload_that_stalls_is_refused_in_the_end(impatient_server):
    stalled = upload_head(5000) + b"--x"
    with clients_that_sent(impatient_server, stalled, 64) as clients:
        for client in clients:
            assert client.makefile("rb").readline().split()[1] == b"400"


def test_a_client_that_does_not_read_its_answer_does_not_block_others(server):
    # More than fits into the kernel's buffers.
    files = {"file": ("7.png", seven() + bytes(15_000_000))}
    answer = requests.post(server.url + "/predict", files=files, timeout=60)
    path = answer.json()["image_url"].removeprefix(server.url)
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with clients_that_sent(server, request, 32):
        assert predict(server, seven()).ok


@pytest.fixture
def together(impatient_server):
    """The answers to pictures that come together and take longer than a second."""
    picture = seven(width=8000, height=8000)
    with ThreadPoolExecutor(24) as pool:
        yield [pool.submit(predict, impatient_server, picture) for _ in range(24)]


def test_a_picture_that_waited_too_long_may_be_sent_again(together):
    answers = [answer.result() for answer in together]
    assert {answer.status_code for answer in answers} == {200, 503}
    answer = next(answer for answer in answers if not answer.ok)
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"
    assert answer.json() == BUSY["content"]["application/json"]["example"]


def test_a_busy_service_is_ready(impatient_server, together):
    wait(together, return_when=FIRST_COMPLETED)
    assert requests.get(impatient_server.url + "/ready", timeout=60).ok


@pytest.fixture
def cores():
    if not hasattr(os, "sched_getaffinity"):
        # Elsewhere the service pins no worker either.
        pytest.skip("only Linux tells on which cores a process runs")
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        # There is nothing to share out; CI has two.
        pytest.skip("needs two cores")
    return cores


def workers_of(server: Server) -> list[int]:
    process = server.process.pid
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in children]


def test_every_core_has_a_worker_of_its_own(cores, server):
    first, second = (os.sched_getaffinity(worker) for worker in workers_of(server))
    assert (len(first), len(second)) == (1, 1)
    assert first | second == set(sorted(cores)[:2])


def test_fewer_workers_than_cores_may_use_all(cores, server_behind_proxy):
    (worker,) = workers_of(server_behind_proxy)
    assert os.sched_getaffinity(worker) == cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only on Linux")
def test_a_worker_starts_where_no_process_may_choose_its_core(monkeypatch):
    def forbidden(_process, _cores):
        raise PermissionError

    hooks = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    hooks["post_fork"](SimpleNamespace(num_workers=10**6), SimpleNamespace(core=0))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only on Linux")
@pytest.mark.parametrize("start", ["import recognition.inference", "import app"])
def test_an_import_starts_no_thread_of_ours(start):
    # In gunicorn's master there must be none: it would be missing after the fork.
    threads = "[thread.name for thread in threading.enumerate()]"
    tasks = "len(os.listdir('/proc/self/task'))"
    script = f"{start}, os, threading; print({threads}, {tasks})"
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    threads, _, tasks = ended.stdout.decode().strip().rpartition(" ")
    assert threads == "['MainThread']"
    assert start == "import app" or tasks == "1"


def test_preload_is_refused_before_the_model_is_loaded():
    start = subprocess.run(
        [*GUNICORN, "--preload"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert start.returncode != 0
    assert "--preload is not supported" in start.stderr
    assert "oneDNN" not in start.stderr


def test_request_in_flight_is_answered_before_the_end(start_server):
    server = start_server(WEB_CONCURRENCY="1")
    body = form(seven())
    with begin(server, upload_head(len(body)) + body[:100]) as client:
        # What is answered later has arrived later.
        assert requests.get(server.url + "/ready", timeout=60).ok
        wait_until_stopping(server)
        client.sendall(body[100:])
        assert client.makefile("rb").readline().startswith(b"HTTP/1.1 200")
    assert server.process.wait(60) == 0


def wait_until_stopping(server: Server) -> None:
    os.kill(server.process.pid, signal.SIGTERM)
    while True:
        try:
            requests.get(server.url, timeout=1)
        except requests.RequestException:
            return
