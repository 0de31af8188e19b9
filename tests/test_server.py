"""The documented command, started for real: `gunicorn app:app`."""

import http.client
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import requests
from pictures import RESOURCES, seven
from server import GUNICORN, ROOT

SCHEMA = json.loads((ROOT / "static" / "openapi.json").read_text())
BUSY = SCHEMA["components"]["responses"]["Busy"]
TOO_MUCH = bytes(30_000_000)
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def form(data: bytes) -> bytes:
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="7.png"'
    return start + b"\r\n\r\n" + data + b"\r\n--x--\r\n"


@pytest.fixture
def connection(server):
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    yield connection
    connection.close()


def test_upload_can_be_fetched_from_either_worker(server, delete_upload):
    picture = seven("JPEG")
    answer = requests.post(
        server.url + "/predict", files={"file": ("7.jpg", picture)}, timeout=60
    )
    image_url = answer.json()["image_url"]
    delete_upload(image_url)
    assert image_url.startswith(server.url + "/static/uploads/")
    assert all(requests.get(image_url, timeout=60).content == picture for _ in range(4))


def forwarded_url(server) -> str:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "digits.example"}
    files = {"file": ("7.png", seven())}
    url = server.url + "/predict"
    answer = requests.post(url, files=files, headers=headers, timeout=60)
    return answer.json()["image_url"]


def test_url_has_the_host_that_the_client_asked_the_proxy_for(
    start_server, delete_upload
):
    url = forwarded_url(start_server(WEB_CONCURRENCY="1", TRUSTED_PROXIES="1"))
    delete_upload(url)
    assert url.startswith("https://digits.example/static/uploads/")


def test_host_that_no_proxy_vouches_for_is_ignored(server, delete_upload):
    url = forwarded_url(server)
    delete_upload(url)
    assert url.startswith(server.url + "/")


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


def say(server, data: bytes) -> socket.socket:
    address = urlsplit(server.url)
    client = socket.create_connection((address.hostname, address.port), timeout=60)
    client.sendall(data)
    return client


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        pytest.param(b"GET /" + 5000 * b"a" + b" HTTP/1.1", 414, id="long address"),
        pytest.param(b"GET / HTTP/1.1\r\na: " + 9000 * b"a", 431, id="long header"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: -1", 400, id="length"),
        pytest.param(b"nonsense", 400, id="nonsense"),
    ],
)
def test_what_is_no_request_is_refused_as_all_else(server, request_head, status):
    with say(server, request_head + b"\r\n\r\n") as client:
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert list(json.loads(answer.read())) == ["error"]


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
    with say(server, CHUNKED + chunked(form(seven("JPEG")), 1000)) as client:
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").readline().split()[1] == b"400"


def test_requests_sent_together_are_answered_one_after_the_other(server):
    upload = CHUNKED + chunked(form(seven()), 1000) + b"0\r\nA: b\r\n\r\n"
    with say(server, upload + b"GET / HTTP/1.0\r\n\r\n") as client:
        first, second = client.makefile("rb").read().split(b" 200 OK")[1:]
    assert b"classification_result" in first
    assert b"Digit Recognition API" in second


def upload(picture: bytes) -> bytes:
    body = form(picture)
    head = "POST /predict HTTP/1.0\r\nHost: a\r\n"
    head += f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def test_of_many_at_once_each_gets_the_answer_to_its_own_picture(server, delete_upload):
    paths = sorted((RESOURCES / "mnist_sample").glob("[0-9]/*"))[::3]
    digits = [int(path.parent.name) for path in paths]
    pictures = [path.read_bytes() for path in paths]
    broken = upload(seven()[:-20])
    clients = [say(server, part) for p in pictures for part in (upload(p), broken)]
    answers = [
        client.makefile("rb").read().partition(b"\r\n\r\n") for client in clients
    ]
    for client in clients:
        client.close()
    assert all(b" 400 " in head for head, _, _ in answers[1::2])
    bodies = [json.loads(body) for _, _, body in answers[::2]]
    for body in bodies:
        delete_upload(body["image_url"])
    assert [int(body["classification_result"][0]["class"]) for body in bodies] == digits
    saved = [ROOT / urlsplit(body["image_url"]).path[1:] for body in bodies]
    assert [path.read_bytes() for path in saved] == pictures


@pytest.mark.parametrize(
    "said", [b"", b"GET / HTTP/1.0\r\n\r\n"], ids=["silent", "never hang up"]
)
def test_clients_that_only_stay_connected_block_nobody(server, said):
    # Each took a thread, or its worker, for seconds.
    others = [say(server, said) for _ in range(100)]
    assert requests.get(server.url, timeout=15).ok
    for other in others:
        other.close()


def upload_head(length: int) -> bytes:
    head = [
        "POST /predict?save=false HTTP/1.1",
        "Host: a",
        f"Content-Length: {length}",
        f"Content-Type: {FORM['Content-Type']}",
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


@pytest.fixture(scope="module")
def impatient_server(start_server):
    return start_server(
        WEB_CONCURRENCY="1", MAX_REQUEST_SECONDS="3", MAX_WAIT_SECONDS="1"
    )


def test_an_address_is_not_made_up_for_who_does_not_say_where_he_asks(server):
    # HTTP/1.0 needs no Host; the picture's address would be http://0.0.0.0.
    body = form(seven())
    head = f"POST /predict HTTP/1.0\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {FORM['Content-Type']}\r\n\r\n"
    with say(server, head.encode() + body) as client:
        assert client.makefile("rb").readline().split()[1] == b"400"


@contextmanager
def stalled_uploads(server, count: int):
    begun = [say(server, upload_head(5000) + b"--x") for _ in range(count)]
    yield begun
    for client in begun:
        client.close()


def test_uploads_that_stall_hold_up_nobody(impatient_server):
    url = impatient_server.url + "/predict?save=false"
    files = {"file": ("7.png", seven())}
    with stalled_uploads(impatient_server, 100):
        # As they end after three seconds, whoever waited for them would get a 503.
        assert requests.post(url, files=files, timeout=60).ok


def test_large_uploads_wait_for_room_beside_others(impatient_server):
    files = {"file": ("7.png", seven() + bytes(100_000))}
    url = impatient_server.url + "/predict?save=false"
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(say(impatient_server, upload_head(21_000_000)))
        assert requests.post(url, files=files, timeout=60).status_code == 503
    assert requests.post(url, files=files, timeout=60).ok


def test_who_does_not_read_an_answer_holds_up_nobody(impatient_server, delete_upload):
    url = impatient_server.url + "/predict"
    # More than fits into the kernel's buffers.
    files = {"file": ("7.png", seven() + bytes(15_000_000))}
    image_url = requests.post(url, files=files, timeout=60).json()["image_url"]
    delete_upload(image_url)
    request = f"GET {urlsplit(image_url).path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(say(impatient_server, request))
        files = {"file": ("7.png", seven())}
        assert requests.post(url + "?save=false", files=files, timeout=60).ok


def test_a_body_that_never_comes_holds_up_nobody(impatient_server):
    # The answer needs no body, and gunicorn waits five seconds to be rid of it.
    request = b"GET /ready HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    url = impatient_server.url + "/predict?save=false"
    with ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(say(impatient_server, request))
        assert requests.post(url, files={"file": ("7.png", seven())}, timeout=60).ok


def wait_for_the_others_of(worker: int, server) -> None:
    os.kill(worker, signal.SIGSTOP)
    assert requests.get(server.url + "/ready", timeout=60).ok
    os.kill(worker, signal.SIGCONT)


def open_sockets(process: int) -> int:
    links = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
    return sum(link.startswith("socket:") for link in links)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only on Linux")
def test_clients_are_shared_out_evenly(start_server):
    # One worker took nearly all of them, as long as the other was busy.
    server = start_server(WEB_CONCURRENCY="2")
    workers = workers_of(server)
    for worker in workers:
        wait_for_the_others_of(worker, server)
    sessions = [requests.Session() for _ in range(12)]
    for session in sessions:
        assert session.get(server.url + "/ready", timeout=15).ok
    first, second = (open_sockets(worker) for worker in workers)
    # The connections above may be still open.
    assert abs(first - second) <= 2


def test_an_upload_that_stalls_is_refused_in_the_end(impatient_server):
    with stalled_uploads(impatient_server, 8) as begun:
        for client in begun:
            assert client.makefile("rb").readline().split()[1] == b"400"


@pytest.fixture
def together(impatient_server):
    """The answers to pictures that come at once and take longer than a second."""
    files = {"file": ("7.png", seven(width=8000, height=8000))}
    url = impatient_server.url + "/predict?save=false"
    with ThreadPoolExecutor(24) as pool:
        yield [pool.submit(requests.post, url, files=files) for _ in range(24)]


def test_who_waited_too_long_may_come_again(together):
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
def two_cores():
    if not hasattr(os, "sched_setaffinity"):
        # Elsewhere the service pins no worker either.
        pytest.skip("only Linux tells on which cores a process runs")
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        # There is nothing to share out; CI has two.
        pytest.skip("needs two cores")
    os.sched_setaffinity(0, sorted(cores)[:2])
    yield set(sorted(cores)[:2])
    os.sched_setaffinity(0, cores)


def workers_of(server) -> list[int]:
    process = server.process.pid
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in children]


def workers_cores(server) -> list[set[int]]:
    return [os.sched_getaffinity(worker) for worker in workers_of(server)]


def test_every_core_has_a_worker_of_its_own(two_cores, start_server):
    first, second = workers_cores(start_server(WEB_CONCURRENCY="2"))
    assert (len(first), len(second)) == (1, 1)
    assert first | second == two_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only on Linux")
def test_a_worker_starts_where_no_process_may_choose_its_core(monkeypatch):
    def forbidden(_process, _cores):
        raise PermissionError

    hooks = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    hooks["post_fork"](SimpleNamespace(num_workers=10**6), SimpleNamespace(core=0))


def test_fewer_workers_than_cores_may_use_all(two_cores, start_server):
    assert workers_cores(start_server(WEB_CONCURRENCY="1")) == [two_cores]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only on Linux")
def test_what_is_imported_before_the_fork_starts_no_thread():
    # After it that thread would be missing, and whoever waits for it would hang.
    count = "import os, runtime; print(len(os.listdir('/proc/self/task')))"
    command = [sys.executable, "-c", count]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert int(ended.stdout) == 1


@pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="only on Linux")
def test_head_and_body_of_an_answer_come_together(server):
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as client:
        for _ in range(100):
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(10_000).endswith(b"}\n")


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
    with say(server, upload_head(len(body)) + body[:100]) as client:
        # Whoever is answered later has come in later.
        assert requests.get(server.url + "/ready", timeout=60).ok
        wait_until_stopping(server)
        client.sendall(body[100:])
        assert client.makefile("rb").readline().startswith(b"HTTP/1.1 200")
    assert server.process.wait(60) == 0


def wait_until_stopping(server) -> None:
    os.kill(server.process.pid, signal.SIGTERM)
    while True:
        try:
            requests.get(server.url, timeout=1)
        except requests.RequestException:
            return
