"""Clients that post pictures to the service without a break, and what came of it."""

import http.client
import json
import random
import threading
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import requests

from tests.pictures import as_bytes, drawn_seven

TYPE = {"Content-Type": "multipart/form-data; boundary=x"}
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="7.png"\r\n\r\n'


class Answer(NamedTuple):
    began: float
    seconds: float
    # Of HTTP, "refused" without a connection, or "dropped" in the middle.
    status: int | str
    image_url: str | None
    picture: bytes


def pictures(count: int = 20) -> list[bytes]:
    """Each is another one, so that none can be taken for another."""
    return [as_bytes(drawn_seven(width=90 + n, height=140 + n)) for n in range(count)]


class Clients:
    """A with statement's body is the time for which they post."""

    def __init__(self, url: str, count: int = 16, sent: list[bytes] | None = None):
        self.address = urlsplit(url)
        self.sent = sent or pictures()
        self.answers: list[Answer] = []
        self.retried = 0
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.post_on) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def post_on(self) -> None:
        connection = http.client.HTTPConnection(self.address.netloc, timeout=60)
        while not self.stopped.is_set():
            answer = self.post(connection, random.choice(self.sent))
            self.answers.append(answer)
            if answer.status == "refused":
                self.stopped.wait(0.05)
        connection.close()

    def post(self, connection, picture: bytes) -> Answer:
        began = time.monotonic()
        status, image_url = self.answer(connection, picture)
        if status == "dropped":
            # A server may close a connection that it has not read from, and a client
            # that has no byte of an answer retries on a new one, as nginx does.
            self.retried += 1
            status, image_url = self.answer(connection, picture)
        return Answer(began, time.monotonic() - began, status, image_url, picture)

    def answer(self, connection, picture: bytes) -> tuple[int | str, str | None]:
        try:
            body = HEAD + picture + b"\r\n--x--\r\n"
            connection.request("POST", "/predict", body, TYPE)
            answer = connection.getresponse()
            parsed = json.loads(answer.read())
        except ConnectionRefusedError:
            connection.close()
            return "refused", None
        except (OSError, http.client.HTTPException):
            connection.close()
            return "dropped", None
        return answer.status, parsed.get("image_url")

    def failed(self) -> int:
        return sum(answer.status != 200 for answer in self.answers)

    def count(self, status: int | str) -> int:
        return sum(answer.status == status for answer in self.answers)


def lost(answers: list[Answer], folder: Path | None = None) -> int:
    """How many promised uploads cannot be fetched as sent, or are not in the folder."""
    with requests.Session() as session:

        def is_there(answer: Answer) -> bool:
            if folder:
                path = folder / answer.image_url.rpartition("/")[2]
                return path.exists() and path.read_bytes() == answer.picture
            return session.get(answer.image_url, timeout=60).content == answer.picture

        promised = [answer for answer in answers if answer.image_url]
        return sum(not is_there(answer) for answer in promised)
