"""A load client: threads with a connection each, which check every answer.

wrk costs less CPU time, but it adds latencies that it did not measure to its
percentiles ("coordinated omission"), and drops the requests under way at its end.
"""

import re
import socket
import threading
import time
from typing import NamedTuple

HOST = "127.0.0.1"
BOUNDARY = "a-line-that-no-picture-holds"
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CLOSES = re.compile(rb"(?i)\r\nconnection: *close")
FIRST_CLASS = re.compile(rb'"class": ?"(\d)"')
# Longer than any server here takes for what 64 connections have in its queue.
TIMEOUT_SECONDS = 60
POLL_SECONDS = RETRY_SECONDS = 0.05


class NoAnswer(ConnectionError):
    """Why no answer came, in a line."""


class Answer(NamedTuple):
    seconds: float
    is_right: bool


class Load:
    """Each connection sends the request again as soon as it has its answer."""

    def __init__(self, port: int, request: bytes, count: int, expected: str) -> None:
        self.port, self.request, self.expected = port, request, expected.encode()
        self.answers, self.lock = [], threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.repeat) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def repeat(self) -> None:
        while not self.stopping.is_set():
            began = time.perf_counter()
            try:
                with connect(self.port) as connection:
                    response = b""
                    while not self.stopping.is_set() and not CLOSES.search(response):
                        began = time.perf_counter()
                        response = exchange(connection, self.request)
                        self.add(began, response)
            except OSError:
                self.add(began, b"")
                time.sleep(RETRY_SECONDS)  # a refused connection returns immediately

    def add(self, began: float, response: bytes) -> None:
        seconds = time.perf_counter() - began
        with self.lock:
            self.answers.append(Answer(seconds, self.is_right(response)))

    def is_right(self, response: bytes) -> bool:
        first = FIRST_CLASS.search(response)
        is_expected = first is not None and first[1] == self.expected
        return is_expected and response.startswith(b"HTTP/1.1 200 ")

    def run(self, seconds: float, least: int) -> list[Answer]:
        """The answers of the next seconds, or of more until there are `least`."""
        first, began = len(self.answers), time.perf_counter()
        time.sleep(seconds)  # the time for which the threads send
        while len(self.answers) < first + least:
            if time.perf_counter() - began > seconds + TIMEOUT_SECONDS:
                break
            time.sleep(POLL_SECONDS)  # polling takes CPU from the server
        return self.answers[first:]

    def drain(self) -> None:
        """Let the server finish the requests under way, and hang up."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), TIMEOUT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """The whole response, which must tell its length. Raises OSError."""
    connection.sendall(request)
    response = b""
    while part := connection.recv(65_536):
        response += part
        head, end, body = response.partition(b"\r\n\r\n")
        if end:
            length = LENGTH.search(head)
            if length is None:
                raise NoAnswer(f"its response has no length: {head!r}")
            if len(body) >= int(length[1]):
                return response
    raise NoAnswer("it closed the connection")


def first_class(port: int, request: bytes) -> str:
    """The likeliest class of one answer, which must be a 200."""
    with connect(port) as connection:
        response = exchange(connection, request)
    first = FIRST_CLASS.search(response)
    if first is None or not response.startswith(b"HTTP/1.1 200 "):
        raise NoAnswer(f"it answers {response[:300]!r}")
    return first[1].decode()


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
