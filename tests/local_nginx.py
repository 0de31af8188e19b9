"""nginx with nginx.conf on free ports of this machine, in a folder of its own."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import requests

from benchmarks.launches import free_port
from tests.server import ROOT

CONFIG = ROOT / "deploy" / "nginx.conf"
TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
SERVICE = "server 127.0.0.1:5000;"
# Where Debian has nginx, outside the PATH of most users.
PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"


class Proxy(NamedTuple):
    process: subprocess.Popen
    plain_url: str
    url: str
    certificate: str

    def ask(self, method: str, path: str = "/", **options) -> requests.Response:
        return requests.request(
            method, self.url + path, verify=self.certificate, timeout=60, **options
        )


@contextmanager
def running_nginx(folder: Path, replaced: dict[str, str]) -> Iterator[Proxy]:
    plain, tls = free_port(), free_port()
    make_certificate(folder)
    config = folder / "nginx.conf"
    here = local(folder, plain, tls)
    config.write_text(with_replaced(CONFIG.read_text(), replaced | here))
    plain_url, url = f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}"
    with subprocess.Popen([PROGRAM, "-c", config, "-g", "daemon off;"]) as process:
        try:
            wait_until_listening(process, plain_url)
            yield Proxy(process, plain_url, url, str(folder / "fullchain.pem"))
        finally:
            process.terminate()


def local(folder: Path, plain: int, tls: int) -> dict[str, str]:
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in TEMPORARY)
    return {
        "user www-data;": "user root;",
        "/run/nginx.pid": f"{folder}/nginx.pid",
        "/var/log/nginx": f"{folder}",
        "http {": "http {\n" + temporary,
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        # Not every machine has IPv6.
        "listen [::]:80;": "",
        "listen [::]:443 ssl;": "",
        "/etc/ssl/digit-recognition": f"{folder}",
    }


def with_replaced(text: str, replaced: dict[str, str]) -> str:
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def make_certificate(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"]
    subprocess.run(command, check=True, capture_output=True)


def wait_until_listening(process: subprocess.Popen, url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "nginx ended"
        with suppress(requests.ConnectionError):
            requests.get(url, allow_redirects=False, timeout=60)
            return
        time.sleep(0.05)  # a refused connection comes back immediately
    raise TimeoutError("nginx does not listen")
