"""Starts nginx with deploy/nginx.conf for the tests, on free ports."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import requests
from programs import program
from server import ROOT, free_port

CONFIG = ROOT / "deploy" / "nginx.conf"
TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]


class Proxy(NamedTuple):
    plain_url: str
    url: str
    certificate: str

    def ask(self, method: str, path: str = "/", **options) -> requests.Response:
        return requests.request(
            method, self.url + path, verify=self.certificate, timeout=60, **options
        )


@contextmanager
def running_nginx(
    folder: Path, service_port: int, replaced: dict[str, str] | None = None
) -> Iterator[Proxy]:
    plain, tls = free_port(), free_port()
    make_certificate(folder)
    here = {
        "user www-data;": "user root;",
        "/run/nginx.pid": f"{folder}/nginx.pid",
        "/var/log/nginx": f"{folder}",
        "http {": "http {\n" + temporary_folders(folder),
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        # Not every machine has IPv6.
        "listen [::]:80;": "",
        "listen [::]:443 ssl;": "",
        "/etc/ssl/digit-recognition": f"{folder}",
        "127.0.0.1:5000": f"127.0.0.1:{service_port}",
        "root /srv/digit-recognition;": f"root {ROOT};",
    }
    config = folder / "nginx.conf"
    config.write_text(with_replaced(CONFIG.read_text(), here | (replaced or {})))
    command = [program("nginx"), "-c", config, "-g", "daemon off;"]
    with subprocess.Popen(command) as process:
        try:
            wait_until_listening(process, f"http://127.0.0.1:{plain}")
            yield Proxy(
                f"http://127.0.0.1:{plain}",
                f"https://127.0.0.1:{tls}",
                str(folder / "fullchain.pem"),
            )
        finally:
            process.terminate()


def with_replaced(text: str, replaced: dict[str, str]) -> str:
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def temporary_folders(folder: Path) -> str:
    return "".join(f"{name}_temp_path {folder}/{name};\n" for name in TEMPORARY)


def make_certificate(folder: Path) -> None:
    command = [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
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
        time.sleep(0.05)  # a refused connection comes back at once
    raise TimeoutError("nginx does not listen")
