"""Clients of a running service: some post without a break, one polls, some are slow."""

import http.client
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import requests
from PIL import Image, ImageOps

from tests.pictures import RESOURCES, as_bytes, drawn_seven

PHOTO = RESOURCES / "photos_mit" / "7" / "7_087.jpg"
TYPE = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="7.png"\r\n\r\n'
REFUSED_PAUSE_SECONDS, POLL_SECONDS = 0.05, 0.02
# Pixels of so many values take almost 4 bits each: 25 megapixels are 12 MB.
NOISE_VALUES, NOISE_SIDE = 9, 5000


class Answer(NamedTuple):
    began: float
    ended: float
    # Of HTTP; or "refused" without a connection, "reset" before a byte of an answer,
    # "cut off" within one, "wrong" with another digit, "silent" after a minute.
    status: int | str
    image_url: str | None = None
    picture: bytes = b""

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def name(self) -> str:
        return (self.image_url or "").rpartition("/")[2]


def drawings(count: int = 20) -> list[bytes]:
    """All differ, so that none can be taken for another."""
    return [as_bytes(drawn_seven(width=90 + n, height=140 + n)) for n in range(count)]


def photo(width: int, height: int) -> bytes:
    return as_bytes(ImageOps.fit(Image.open(PHOTO), (width, height)), "JPEG")


def noise() -> bytes:
    shape = NOISE_SIDE, NOISE_SIDE
    pixels = np.random.default_rng(0).integers(0, NOISE_VALUES, shape, np.uint8)
    return as_bytes(Image.fromarray(pixels * (255 // NOISE_VALUES)))


def connect(url: str, certificate: str | None = None) -> http.client.HTTPConnection:
    address = urlsplit(url).netloc
    if certificate is None:
        return http.client.HTTPConnection(address, timeout=60)
    context = ssl.create_default_context(cafile=certificate)
    return http.client.HTTPSConnection(address, timeout=60, context=context)


class Reply(NamedTuple):
    status: int | str  # as in Answer
    body: bytes = b""
    retry_after: int | None = None


def ask(connection: http.client.HTTPConnection, *request) -> Reply:
    failure = "reset"
    try:
        connection.request(*request)
        answer = connection.getresponse()
        failure = "cut off"
        body = answer.read()
    except ConnectionRefusedError:
        failure = "refused"
    except TimeoutError:
        failure = "silent"
    except (OSError, http.client.HTTPException):
        pass  # before or after the first byte of the answer
    else:
        if answer.status != 503:
            return Reply(answer.status, body)
        if "Retry-After" in answer.headers:
            return Reply(503, body, int(answer.headers["Retry-After"]))
        failure = "503 without Retry-After"
    connection.close()
    return Reply(failure)


class Clients:
    """Each posts again as soon as it has its answer, until the with statement ends."""

    def __init__(
        self,
        url: str,
        count: int = 16,
        pictures: list[bytes] | None = None,
        path: str = "/predict",
        certificate: str | None = None,
        digit: str | None = "7",
        waits: bool = True,
    ) -> None:
        self.url, self.path, self.certificate = url, path, certificate
        # The digit in the pictures, if it is known; whether Retry-After is obeyed.
        self.digit, self.waits = digit, waits
        self.bodies = [
            (picture, PART + picture + b"\r\n--x--\r\n")
            for picture in pictures or drawings()
        ]
        self.answers: list[Answer] = []
        self.retried = 0
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _run(self) -> None:
        connection = connect(self.url, self.certificate)
        while not self.stopped.is_set():
            answer, pause = self._post(connection)
            self.answers.append(answer)
            self.stopped.wait(pause)
        connection.close()

    def _post(self, connection: http.client.HTTPConnection) -> tuple[Answer, float]:
        """The answer, and for how many seconds to wait after it."""
        picture, body = random.choice(self.bodies)
        request = "POST", self.path, body, {"Content-Type": TYPE}
        began = time.monotonic()
        reply = ask(connection, *request)
        if reply.status == "reset":
            # A server may close a connection that it has not read from; nginx, too,
            # tries once more on a new one.
            self.retried += 1
            reply = ask(connection, *request)
        status, image_url = reply.status, None
        if status == 200:
            content = json.loads(reply.body)
            image_url = content["image_url"]
            digit = content["classification_result"][0]["class"]
            status = 200 if self.digit in (None, digit) else "wrong"
        pause = REFUSED_PAUSE_SECONDS if status == "refused" else 0
        if self.waits and reply.retry_after:
            pause = reply.retry_after
        return Answer(began, time.monotonic(), status, image_url, picture), pause

    def failed(self, accepted: tuple = (200,)) -> int:
        return sum(answer.status not in accepted for answer in self.answers)

    def count(self, status: int | str) -> int:
        return sum(answer.status == status for answer in self.answers)


def lost(answers: list[Answer], folder: Path | None = None) -> int:
    """How many answered uploads cannot be fetched as sent, or are not in the folder."""
    with requests.Session() as session:

        def is_stored(answer: Answer) -> bool:
            if folder:
                path = folder / answer.name
                return path.exists() and path.read_bytes() == answer.picture
            return session.get(answer.image_url, timeout=60).content == answer.picture

        return sum(not is_stored(each) for each in answers if each.image_url)


def poll(url: str, path: str, seconds: float) -> list[Answer]:
    """Asks on a kept connection, POLL_SECONDS after the last time or the answer."""
    connection, answers = connect(url), []
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        reply = ask(connection, "GET", path)
        answers.append(Answer(began, time.monotonic(), reply.status))
        # Polls at a steady rate, whatever an answer takes.
        time.sleep(max(0, began + POLL_SECONDS - time.monotonic()))
    connection.close()
    return answers


def percentile(answers: list[Answer], share: float) -> float:
    seconds = sorted(answer.seconds for answer in answers)
    return seconds[int(share * (len(seconds) - 1))]


def begun_upload(url: str, size: int, sent: bytes, certificate: str | None = None):
    """The socket of a client that has announced `size` bytes and sent the first."""
    connection = connect(url, certificate)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", TYPE)
    connection.putheader("Content-Length", str(size))
    connection.endheaders(sent)
    return connection.sock


def unfinished_head(url: str, certificate: str | None = None) -> socket.socket:
    connection = connect(url, certificate)
    connection.connect()
    connection.sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    return connection.sock


def wait_until(
    is_so: Callable[[], bool], seconds: float = 120, pause: float = 0.02
) -> float:
    """How many seconds it took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            raise TimeoutError("the service does not recover")
        time.sleep(pause)  # polling takes CPU from what recovers
    return time.monotonic() - began
