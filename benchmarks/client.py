"""A client that keeps connections busy from one thread, at little cost in CPU."""

import json
import re
import select
import socket
import time
from contextlib import suppress
from typing import NamedTuple

HOST = "127.0.0.1"
BOUNDARY = "a-line-that-no-picture-holds"
CLASSES = list("0123456789")
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
FIRST_CLASS = re.compile(rb'"class": ?"(\d)"')
# Longer than any server here takes for what 64 connections have in its queue.
PATIENCE_SECONDS = 60


class NoAnswer(Exception):
    """Why no answer came, in a line."""


class Answer(NamedTuple):
    seconds: float
    is_right: bool


class Connection:
    """One request at a time, sent and received as far as goes without waiting."""

    def __init__(self, port: int, request: bytes) -> None:
        self.request = request
        try:
            self.socket = socket.create_connection((HOST, port), PATIENCE_SECONDS)
        except OSError as error:
            raise NoAnswer(f"it cannot be connected to: {error}") from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def begin(self) -> None:
        self.began = time.perf_counter()
        self.unsent, self.received = memoryview(self.request), b""
        self.send()

    def send(self) -> None:
        with suppress(BlockingIOError):
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def receive(self) -> bool:
        """Whether the answer is complete. Raises OSError where the server hung up."""
        with suppress(BlockingIOError):
            received = self.socket.recv(65_536)
            if not received:
                raise ConnectionResetError("it hung up")
            self.received += received
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return False
        length = LENGTH.search(head)
        if not length:
            raise NoAnswer(f"its answer has no length: {head!r}")
        return len(body) >= int(length[1])

    def wants(self) -> int:
        return select.EPOLLIN | (select.EPOLLOUT if self.unsent else 0)


class Load:
    """Each connection sends the picture again as soon as it has its answer."""

    def __init__(self, port: int, request: bytes, count: int, expected: str) -> None:
        self.port, self.request, self.expected = port, request, expected.encode()
        self.poller, self.connections = select.epoll(), {}
        for _ in range(count):
            self.connect()

    def connect(self) -> None:
        connection = Connection(self.port, self.request)
        connection.begin()
        self.connections[connection.socket.fileno()] = connection
        self.poller.register(connection.socket, connection.wants())

    def run(self, seconds: float, least: int) -> list[Answer]:
        """The answers of the next seconds; what is under way then stays so.

        It takes longer where fewer than `least` came: the quick ones come first.
        """
        answers, began = [], time.perf_counter()
        while (gone := time.perf_counter() - began) < seconds + PATIENCE_SECONDS:
            if gone >= seconds and len(answers) >= least:
                break
            answers += self.answers(max(seconds - gone, 0.1))
        return answers

    def answers(self, seconds: float) -> list[Answer]:
        answers = []
        for number, _ in self.poller.poll(seconds):
            connection = self.connections[number]
            try:
                answers += self.advance(connection)
            except OSError:
                answers += [Answer(time.perf_counter() - connection.began, False)]
                self.close(number)
                self.connect()
        return answers

    def advance(self, connection: Connection) -> list[Answer]:
        was_sending = bool(connection.unsent)
        connection.send()
        done = []
        if connection.receive():
            seconds = time.perf_counter() - connection.began
            done = [Answer(seconds, self.is_right(connection.received))]
            connection.begin()
        if was_sending or connection.unsent:
            self.poller.modify(connection.socket, connection.wants())
        return done

    def is_right(self, received: bytes) -> bool:
        first = FIRST_CLASS.search(received)
        is_expected = first is not None and first[1] == self.expected
        return is_expected and received.startswith(b"HTTP/1.1 200 ")

    def drain(self) -> None:
        """Let the server finish what it has begun, and hang up."""
        for number, connection in list(self.connections.items()):
            with suppress(OSError):
                finish(connection)
            self.close(number)
        self.poller.close()

    def close(self, number: int) -> None:
        self.connections.pop(number).socket.close()


def finish(connection: Connection) -> None:
    poller, deadline = select.poll(), time.monotonic() + PATIENCE_SECONDS
    while not connection.receive():
        if time.monotonic() > deadline:
            raise NoAnswer(f"it gave no answer in {PATIENCE_SECONDS} s")
        connection.send()
        poller.register(connection.socket, connection.wants())
        poller.poll(1000)


def ask(port: int, request: bytes) -> bytes:
    """The body of the answer, which must be a 200."""
    connection = Connection(port, request)
    with connection.socket:
        connection.begin()
        finish(connection)
    head, _, body = connection.received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise NoAnswer(f"it answers {connection.received[:300]!r}")
    return body


def ranking(body: bytes) -> list[str]:
    """The classes of an answer, which must be the ten digits, the likeliest first."""
    try:
        ranked = json.loads(body)["classification_result"]
        probabilities = [entry["prob"] for entry in ranked]
        classes = [entry["class"] for entry in ranked]
    except (ValueError, KeyError) as error:
        raise NoAnswer(f"it answers {body[:300]!r}") from error
    is_ranked = probabilities == sorted(probabilities, reverse=True)
    if sorted(classes) != CLASSES or not is_ranked:
        raise NoAnswer(f"it does not rank the digits: {ranked}")
    return classes


def multipart(picture: bytes, port: int) -> bytes:
    part = (
        f"--{BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="7.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = part.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        "POST /predict HTTP/1.1\r\n"
        f"Host: {HOST}:{port}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
