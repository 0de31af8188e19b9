"""nginx with deploy/nginx.conf in front of the service, both started for real."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from pictures import seven
from programs import program
from server import ROOT

from benchmarks.launches import free_port
from tests.local_nginx import SERVICE, Proxy, running_nginx

pytestmark = pytest.mark.slow

TOO_MUCH = bytes(30_000_000)
FORGED = {
    "Forwarded": "host=forged.example",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": "forged.example",
    "X-Forwarded-Prefix": "/forged",
    "X-Forwarded-Proto": "forged",
    "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Ssl": "on",
}
# What belongs to one connection or one server.
OWN_HEADERS = {"Accept-Ranges", "Connection", "Date", "ETag", "Keep-Alive", "Server"}


@contextmanager
def nginx(
    folder: Path, service_port: int, patience: str = "15s", root: Path = ROOT
) -> Iterator[Proxy]:
    program("nginx")
    program("openssl")
    replaced = {
        SERVICE: f"server 127.0.0.1:{service_port};",
        "root /srv/digit-recognition;": f"root {root};",
        "proxy_read_timeout 15s;": f"proxy_read_timeout {patience};",
    }
    with running_nginx(folder, replaced) as proxy:
        yield proxy


@pytest.fixture
def service(server_behind_proxy):
    return server_behind_proxy


@pytest.fixture(scope="module")
def proxy(server_behind_proxy, tmp_path_factory):
    folder, service = tmp_path_factory.mktemp("nginx"), server_behind_proxy
    with nginx(folder, service.port, root=service.folder) as proxy:
        yield proxy


@pytest.fixture
def deserted(tmp_path):
    with nginx(tmp_path, free_port()) as proxy:
        yield proxy


class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(bytes(self.headers))

    def log_message(self, *args):
        pass


@pytest.fixture
def echo(tmp_path):
    """Answers with the headers that reached it."""
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server,
        ThreadPoolExecutor() as threads,
        nginx(tmp_path, server.server_port) as proxy,
    ):
        threads.submit(server.serve_forever)
        yield proxy
        server.shutdown()


def post(proxy, picture: bytes, name: str = "7.png", **options) -> requests.Response:
    return proxy.ask("POST", "/predict", files={"file": (name, picture)}, **options)


def assert_readable_refusal(answer: requests.Response, status: int) -> None:
    assert answer.status_code == status
    assert list(answer.json())[:2] == ["error", "code"]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"


@pytest.mark.parametrize("headers", [{}, FORGED], ids=["honest", "forged"])
def test_url_of_an_upload_has_the_clients_host_and_scheme(proxy, headers):
    url = post(proxy, seven(), headers=headers).json()["image_url"]
    assert url.startswith(proxy.url + "/static/uploads/")


def test_no_forged_header_reaches_the_service(echo):
    received = echo.ask("GET", headers=FORGED).text.splitlines()
    sent_on = [line for line in received if line.startswith(tuple(FORGED))]
    assert sorted(sent_on) == [
        "X-Forwarded-For: 127.0.0.1",
        f"X-Forwarded-Host: {urlsplit(echo.url).netloc}",
        "X-Forwarded-Proto: https",
    ]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_upload_comes_from_nginx_as_it_comes_from_the_service(
    proxy, service, image_format
):
    name, picture = f"7.{image_format.lower()}", seven(image_format)
    url = post(proxy, picture, name).json()["image_url"]
    path = urlsplit(url).path
    given = proxy.ask("GET", path)
    expected = requests.get(service.url + path, timeout=60)
    assert (given.headers["Server"], expected.headers["Server"]) == (
        "nginx",
        "gunicorn",
    )
    assert given.content == expected.content == picture
    assert shared(given) == shared(expected)


def shared(answer: requests.Response) -> dict[str, str]:
    return {
        name: value for name, value in answer.headers.items() if name not in OWN_HEADERS
    }


@pytest.mark.parametrize("name", [f".{'0' * 32}.png", "notes.txt", f"{'0' * 32}.svg"])
def test_nothing_but_finished_uploads_is_served(proxy, service, name):
    (service.uploads / name).touch()
    assert_readable_refusal(proxy.ask("GET", f"/static/uploads/{name}"), 404)


def test_the_folder_of_the_uploads_is_not_listed(proxy):
    assert_readable_refusal(proxy.ask("GET", "/static/uploads/"), 404)


def test_an_upload_answers_a_preflight(proxy):
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    answer = proxy.ask("OPTIONS", f"/static/uploads/{'0' * 32}.png", headers=headers)
    assert answer.status_code == 200
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]


def test_too_many_bytes_are_refused_as_the_service_refuses_them(proxy, service):
    files = {"file": ("7.png", TOO_MUCH)}
    expected = requests.post(service.url + "/predict", files=files, timeout=60)
    given = post(proxy, TOO_MUCH)
    assert_readable_refusal(given, 413)
    assert given.json() == expected.json()


def test_a_file_of_the_largest_size_reaches_the_service(proxy):
    answer = post(proxy, bytes(20_000_000))
    assert answer.status_code == 400
    assert "picture" in answer.json()["error"]


def test_too_long_a_header_is_refused(proxy):
    answer = proxy.ask("GET", headers={"X-Long": "x" * 40_000})
    assert_readable_refusal(answer, 400)


def test_too_many_requests_are_refused(deserted):
    with requests.Session() as session:
        options = {"verify": deserted.certificate, "timeout": 60}
        answers = (session.get(deserted.url, **options) for _ in range(2000))
        refused = next(answer for answer in answers if answer.status_code == 429)
    assert_readable_refusal(refused, 429)
    assert refused.headers["Retry-After"] == "1"


def test_client_learns_that_the_service_is_down(deserted):
    assert_readable_refusal(deserted.ask("GET"), 502)


def test_client_learns_that_the_service_hangs(tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        nginx(tmp_path, silent.getsockname()[1], "1s") as proxy,
    ):
        assert_readable_refusal(proxy.ask("GET"), 504)


def test_plain_http_leads_to_https_with_its_method(proxy):
    answer = requests.post(
        proxy.plain_url + "/predict?save=false", allow_redirects=False, timeout=60
    )
    assert answer.status_code == 308
    assert answer.headers["Location"] == "https://127.0.0.1/predict?save=false"


def begun(proxy, sent: bytes) -> socket.socket:
    address = urlsplit(proxy.url)
    plain = socket.create_connection((address.hostname, address.port), timeout=60)
    context = ssl.create_default_context(cafile=proxy.certificate)
    client = context.wrap_socket(plain, server_hostname=address.hostname)
    client.sendall(sent)
    return client


def is_disconnected(client: socket.socket) -> bool:
    with client, suppress(ConnectionResetError):  # which is one way to end it
        return client.recv(1) == b""
    return True


HALF_A_HEADER = b"GET / HTTP/1.1\r\nHost: a\r\n"
HALF_A_BODY = (
    b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
)


def test_slow_clients_delay_no_other_and_are_disconnected(proxy):
    slow = [begun(proxy, HALF_A_HEADER), *(begun(proxy, HALF_A_BODY) for _ in range(8))]
    # nginx closes them after 10 s; in the service each would take a thread.
    assert requests.get(proxy.url, verify=proxy.certificate, timeout=9).ok
    disconnected = [is_disconnected(client) for client in slow]
    assert all(disconnected)
