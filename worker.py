"""A gunicorn worker that hears all clients in one thread and takes requests in order.

Reading a picture keeps a core busy, so a second thread would only take the interpreter
from the first. Whoever is slow to send or to read waits in the loop, holding up nobody.
Small pictures that wait at the same time are read stage by stage: see cohort.py.
"""

import json
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from datetime import datetime
from functools import partial
from io import BytesIO
from selectors import EVENT_READ, EVENT_WRITE
from typing import NamedTuple

from flask import request
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import InvalidChunkSize, LimitRequestHeaders
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader
from gunicorn.workers import base
from werkzeug.exceptions import ServiceUnavailable

import cohort
from settings import MAX_REQUEST_SECONDS, MAX_WAIT_SECONDS

# For the head of a request, which a proxy or a browser sends at once, and for the
# client's part of closing a connection.
SILENCE_SECONDS = 10
# Who is connected without a request when the worker ends may be sending one already.
LINGER_SECONDS = 2
CHECK_SECONDS = 1
RETRY_AFTER_SECONDS = 5
# How long and how often a worker leaves a new client to one that has fewer. To have an
# eighth more counts as no lead.
YIELD_SECONDS, MAX_YIELDS, LEAD_SHARE = 0.001, 5, 8
# Before an answer, so that who dribbles keeps nobody from it.
MAX_HEARINGS = 8
# How many with small bodies are answered together; whoever is first waits for all, as
# long as none takes long.
COHORT = 8
# Of its clients, those who may stay connected after an answer: the rest can come in.
STAYING_SHARE = 0.9
# How many clients a worker has that takes no more.
CLOSED = 2**31 - 1
# What is received at once, and what may wait to be sent while more is made of it.
STEP_BYTES = 2**18
# The head of a request, and what may stand between or after the chunks of its body.
HEAD_END, MAX_HEAD_BYTES, MAX_CHUNK_LINE_BYTES = b"\r\n\r\n", 2**16, 8192
# What gunicorn's parser takes at once of what has come in.
PIECE_BYTES = 8192
# Larger bodies are received while there is room for so many of the largest.
SMALL_BODY_BYTES, LARGEST_BODIES = 2**16, 8
# gunicorn takes microseconds for each, and the largest body has room for millions.
MAX_CHUNKS = 50_000
# When a request was complete, in the environment of the app.
CAME_AT = "worker.came_at"
# What a conversation waits for, when not to read or to write.
TURN, ROOM = 4, 8

# Yields what it waits for; is told whether that came in time.
Conversation = Generator[int, bool]


class Gone(Exception):
    """The client has hung up, or does not read what it is sent."""


class Received(Unreader):
    """What has come in, for gunicorn's parser, which must not wait for more."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data, self.place = data, 0

    def chunk(self, size_hint=None):
        # As from a socket: of all it would copy the rest again for each chunk.
        begin, self.place = self.place, self.place + max(size_hint or 0, PIECE_BYTES)
        return self.data[begin : self.place]

    def rest(self) -> bytes:
        """What was not asked for."""
        return self.take_buffered() + self.data[self.place :]


class Body(NamedTuple):
    data: bytes
    # Else it is too long, or was cut off and is left out.
    is_whole: bool = True
    # There was no room for it in time.
    is_refused: bool = False
    # The beginning of the next request.
    rest: bytes = b""


class Client:
    """A connection, what came in over it, and what is to go out."""

    def __init__(self, connection: socket.socket, address, server) -> None:
        self.socket, self.address, self.server = connection, address, server
        self.received, self.unsent = b"", bytearray()
        self.is_idle = True
        self.deadline = time.monotonic() + SILENCE_SECONDS
        # What it waits for, and what of that the poller is to tell.
        self.waits_for = self.polled_for = 0
        # Bytes of room that its body needs or has.
        self.needs = self.has = 0

    def sendall(self, data: bytes) -> None:
        """gunicorn takes this for the socket."""
        self.unsent += data

    def receive(self, most: int) -> bytes | None:
        """What has come in, if anything; None if the client has hung up."""
        try:
            return self.socket.recv(most) or None
        except BlockingIOError:
            return b""
        except OSError:
            return None

    def flush(self) -> bool:
        """Send what goes without waiting. Whether that is all."""
        try:
            while self.unsent:
                del self.unsent[: self.socket.send(self.unsent)]
        except BlockingIOError:
            return False
        except OSError as error:
            raise Gone from error
        return True


class Worker(base.Worker):
    # How many clients every worker has, in memory that they share, and the place there.
    clients: memoryview
    place: int

    @classmethod
    def check_config(cls, cfg, log):
        if cfg.is_ssl:
            raise RuntimeError("TLS is for a proxy in front, as in deploy/nginx.conf.")

    def init_process(self):
        self.poller = selectors.DefaultSelector()
        self.connected: dict[Client, Conversation] = {}
        # Who is to be answered, and whose body there is no room for yet.
        self.turns: deque[Client] = deque()
        self.unfinished: deque[cohort.Member] = deque()
        self.without_room: deque[Client] = deque()
        self.is_listening, self.yielded, self.next_check = False, 0, 0.0
        # Whether there may be no files left for new clients.
        self.is_full = False
        super().init_process()

    def load_wsgi(self):
        super().load_wsgi()
        self.most_bytes = self.wsgi.config["MAX_CONTENT_LENGTH"]
        self.room = LARGEST_BODIES * self.most_bytes
        self.wsgi.before_request(self.refuse_who_waited_long)

    def refuse_who_waited_long(self):
        waited = time.monotonic() - request.environ[CAME_AT]
        # All else costs next to nothing, and who is busy is still ready.
        if waited > MAX_WAIT_SECONDS and request.endpoint == "predict":
            message = "The service is too busy; try again in some seconds."
            raise ServiceUnavailable(message, retry_after=RETRY_AFTER_SECONDS)

    # The loop: who is heard, and when

    def run(self):
        self.poller.register(self.PIPE[0], EVENT_READ)
        while self.alive:
            has_place = len(self.connected) < self.cfg.worker_connections
            self.listen(has_place and not self.is_full)
            self.go_on()
        self.accept_all_and_close()
        now = time.monotonic()
        for client in self.connected:
            if client.is_idle:
                client.deadline = min(client.deadline, now + LINGER_SECONDS)
        while self.connected and time.monotonic() < now + self.cfg.graceful_timeout:
            self.go_on()

    def go_on(self) -> None:
        """Hear everybody, then answer whoever was first, or several together."""
        for _ in range(MAX_HEARINGS):
            if not (self.hear_all() and self.is_busy()):
                break
        if (now := time.monotonic()) >= self.next_check:
            self.next_check = now + CHECK_SECONDS
            self.check(now)
        if self.unfinished:
            self.unfinished.popleft().finish()
        else:
            calls = [partial(self.advance, client) for client in self.next_in_turn()]
            self.unfinished.extend(cohort.run(calls))

    def is_busy(self) -> bool:
        return bool(self.turns or self.unfinished)

    def next_in_turn(self) -> list[Client]:
        """Whoever is first, and with a small body also the next who have such."""
        clients = []
        while self.turns and len(clients) < COHORT:
            if clients and (clients[-1].has or self.turns[0].has):
                break
            clients.append(self.turns.popleft())
        return clients

    def hear_all(self) -> bool:
        """Whether somebody may have more to say that has come in already."""
        self.give_room()
        has_more = False
        for key, _ in self.poller.select(0 if self.is_busy() else CHECK_SECONDS):
            if isinstance(key.data, Client):
                self.hear(key.data)
                has_more |= key.data.waits_for != TURN
            elif key.data:
                has_more |= self.accept(key.fileobj)
            else:
                os.read(key.fd, 4096)  # a signal came
        return has_more

    def check(self, now: float) -> None:
        self.notify()
        self.is_full = False
        if self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            self.alive = False
        for client in list(self.connected):
            if now > client.deadline and client.waits_for != TURN:
                self.advance(client, is_in_time=False)

    def listen(self, is_listening: bool) -> None:
        if is_listening == self.is_listening:
            return
        self.is_listening = is_listening
        for listener in self.sockets:
            if is_listening:
                listener.setblocking(False)
                self.poller.register(listener, EVENT_READ, listener)
            else:
                self.poller.unregister(listener)
        self.count_clients()

    def count_clients(self) -> None:
        count = len(self.connected) if self.is_listening else CLOSED
        self.clients[self.place] = count

    def accept(self, listener: socket.socket) -> bool:
        """Whether it did, and did not leave the client to another worker."""
        # All workers hear of a new client, and whoever is busy late.
        fewest = min(self.clients)
        # Of hundreds at once the last would wait long if each were left to another.
        is_ahead = len(self.connected) > fewest + fewest // LEAD_SHARE
        if is_ahead and self.yielded < MAX_YIELDS:
            self.yielded += 1
            if not self.is_busy():
                time.sleep(YIELD_SECONDS)  # else it would hear of it again at once
            return False
        self.yielded = 0
        try:
            self.greet(*listener.accept(), listener.getsockname())
        except (BlockingIOError, ConnectionAbortedError):
            pass  # another worker was faster, or the client is gone
        except OSError as error:
            self.log.error("No client can be accepted: %s", error)
            self.is_full = True
        return True

    def accept_all_and_close(self) -> None:
        """Whoever has come is answered; whoever comes later learns at once of it."""
        self.listen(False)
        for listener in self.sockets:
            with suppress(OSError):
                while True:
                    self.greet(*listener.accept(), listener.getsockname())
            listener.close()

    def greet(self, connection: socket.socket, address, server) -> None:
        connection.setblocking(False)
        client = Client(connection, address, server)
        self.connected[client] = self.conversation(client)
        self.count_clients()
        self.advance(client, is_in_time=None)  # as a generator has to begin

    def hear(self, client: Client) -> None:
        if client.waits_for == client.polled_for:
            self.advance(client)
        else:
            # It sends before it is asked to, or has hung up.
            self.poller.unregister(client.socket)
            client.polled_for = 0

    def advance(self, client: Client, is_in_time: bool | None = True) -> None:
        """Go on with a conversation up to where it has to wait again."""
        try:
            client.waits_for = self.connected[client].send(is_in_time)
        except (StopIteration, Gone):
            self.part_from(client)
        except Exception:
            self.log.exception("A conversation failed.")
            self.part_from(client)
        else:
            self.let_wait(client)

    def let_wait(self, client: Client) -> None:
        if client.waits_for == TURN:
            self.turns.append(client)
        elif client.waits_for == ROOM:
            self.without_room.append(client)
        elif not client.polled_for:
            self.poller.register(client.socket, client.waits_for, client)
            client.polled_for = client.waits_for
        elif client.polled_for != client.waits_for:
            self.poller.modify(client.socket, client.waits_for, client)
            client.polled_for = client.waits_for

    def part_from(self, client: Client) -> None:
        del self.connected[client]
        if client.polled_for:
            self.poller.unregister(client.socket)
        client.socket.close()
        self.take_room_back(client)
        self.count_clients()

    def give_room(self) -> None:
        while self.without_room:
            client = self.without_room[0]
            # Meanwhile it may have been told to come again, or be gone.
            is_waiting = client.waits_for == ROOM and client in self.connected
            if is_waiting and client.needs > self.room:
                break
            self.without_room.popleft()
            if is_waiting:
                self.room -= client.needs
                client.has = client.needs
                self.advance(client)

    def take_room_back(self, client: Client) -> None:
        self.room += client.has
        client.has = 0

    # The conversation with a client

    def conversation(self, client: Client) -> Conversation:
        """From request to request until one of both hangs up."""
        goes_on, number = True, 0
        while goes_on:
            number += 1
            try:
                asked = yield from self.head(client, number)
                if asked is None:
                    return
                goes_on = yield from self.answer(client, asked)
            except Gone:
                raise
            except Exception as error:
                self.handle_error(None, client, client.address, error)
                goes_on = False
            yield from self.sent(client)
            client.is_idle = not client.received
            seconds = self.cfg.keepalive if client.is_idle else SILENCE_SECONDS
            client.deadline = time.monotonic() + seconds
        # Would it be closed now, what the client still sends could cost it the answer.
        with suppress(OSError):
            client.socket.shutdown(socket.SHUT_WR)
        seconds = SILENCE_SECONDS if self.alive else LINGER_SECONDS
        end = time.monotonic() + MAX_REQUEST_SECONDS
        client.is_idle, client.deadline = True, time.monotonic() + seconds
        while (yield from self.more(client, STEP_BYTES)):
            client.deadline = min(end, time.monotonic() + seconds)

    def more(self, client: Client, most: int) -> Generator[int, bool, bytes]:
        """What the client sends next; nothing when it hung up, or its time is over."""
        while (yield EVENT_READ):
            data = client.receive(most)
            if data != b"":
                return data or b""
        return b""

    def sent(self, client: Client) -> Conversation:
        if client.flush():
            return
        client.deadline = time.monotonic() + MAX_REQUEST_SECONDS
        while not client.flush():
            if not (yield EVENT_WRITE):
                raise Gone

    def head(self, client: Client, number: int) -> Generator[int, bool, Request | None]:
        """The next request without its body; None if there is none."""
        while True:
            data = client.received
            if HEAD_END in data:
                received = Received(data)
                asked = Request(self.cfg, received, client.address, number)
                client.received = received.rest()
                return asked
            if len(data) > MAX_HEAD_BYTES:
                raise LimitRequestHeaders("limit request head size")
            data = yield from self.more(client, SMALL_BODY_BYTES)
            if not data:
                return None
            if client.is_idle:
                client.is_idle = False
                client.deadline = time.monotonic() + SILENCE_SECONDS
            client.received += data

    def answer(self, client: Client, asked: Request) -> Generator[int, bool, bool]:
        """Whether the conversation goes on."""
        began = time.monotonic()
        client.deadline = began + MAX_REQUEST_SECONDS
        body = yield from self.body(client, asked)
        client.received = body.rest
        came_at = began if body.is_refused else time.monotonic()
        yield TURN
        started = datetime.now()
        response, environ = wsgi.create(
            asked, client, client.address, client.server, self.cfg
        )
        environ["wsgi.input"], environ[CAME_AT] = BytesIO(body.data), came_at
        is_whole = body.is_whole
        del body  # the answer may take long to be sent
        self.nr += 1
        self.alive = self.alive and self.nr < self.max_requests
        if not (is_whole and self.may_stay()):
            response.force_close()
        try:
            cohort.stage_ends()
            parts = self.wsgi(environ, response.start_response)
            cohort.stage_ends()
            environ["wsgi.input"].close()
            self.take_room_back(client)
            yield from self.say(client, response, parts)
        except Gone:
            raise
        except Exception as error:
            if response.headers_sent:
                self.log.exception("An answer broke off.")
                raise Gone from error
            raise
        finally:
            self.log.access(response, asked, environ, datetime.now() - started)
        return not response.should_close()

    def say(self, client: Client, response: wsgi.Response, parts) -> Conversation:
        try:
            for part in parts:
                response.write(part)
                if len(client.unsent) > STEP_BYTES:
                    yield from self.sent(client)
            response.close()
            client.flush()
        finally:
            if hasattr(parts, "close"):
                parts.close()

    def may_stay(self) -> bool:
        """Whether a client may stay connected after its answer."""
        most = STAYING_SHARE * self.cfg.worker_connections
        return self.alive and self.cfg.keepalive and len(self.connected) <= most

    def body(self, client: Client, asked: Request) -> Generator[int, bool, Body]:
        # gunicorn would say "continue" also to what is too long.
        is_asking, asked._expected_100_continue = asked._expected_100_continue, False
        is_chunked = isinstance(asked.body.reader, ChunkedReader)
        length = self.most_bytes if is_chunked else asked.body.reader.length
        if length > self.most_bytes:
            return Body(b"", is_whole=False)
        if length > SMALL_BODY_BYTES:
            client.needs = length
            client.deadline = time.monotonic() + MAX_WAIT_SECONDS
            if not (yield ROOM):
                return Body(b"", is_whole=False, is_refused=True)
            client.deadline = time.monotonic() + MAX_REQUEST_SECONDS
        if is_asking:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            client.flush()
        if is_chunked:
            return (yield from self.chunked_body(client, asked))
        return (yield from self.plain_body(client, length))

    def plain_body(self, client: Client, length: int) -> Generator[int, bool, Body]:
        if len(client.received) >= length:
            return Body(client.received[:length], rest=client.received[length:])
        parts, left = [client.received], length - len(client.received)
        while left and (part := (yield from self.more(client, min(left, STEP_BYTES)))):
            parts.append(part)
            left -= len(part)
        return Body(b"", is_whole=False) if left else Body(b"".join(parts))

    def chunked_body(
        self, client: Client, asked: Request
    ) -> Generator[int, bool, Body]:
        received, chunks = bytearray(client.received), Chunks()
        while not chunks.are_complete(received):
            part = yield from self.more(client, STEP_BYTES)
            received += part
            if not part:
                return Body(b"", is_whole=False)
            if len(received) > self.most_bytes:
                # Without a length, the app tells by the data that they are too many.
                return Body(bytes(received), is_whole=False)
        asked.unreader.data, asked.unreader.place = bytes(received), 0
        return Body(asked.body.read(), rest=asked.unreader.rest())


class Chunks:
    """Goes from chunk to chunk to where a body ends; gunicorn checks and joins them."""

    def __init__(self) -> None:
        self.next, self.count = 0, 0

    def are_complete(self, received: bytearray) -> bool:
        """Whether gunicorn can read all of them, or tell what is wrong with them."""
        while (line_end := received.find(b"\r\n", self.next)) >= 0:
            self.count += 1
            if self.count > MAX_CHUNKS:
                raise InvalidChunkSize(f"more than {MAX_CHUNKS} chunks")
            try:
                size = int(received[self.next : line_end].partition(b";")[0], 16)
            except ValueError:
                return True
            if size < 0:
                return True
            if size == 0:
                trailers = received[line_end : line_end + MAX_CHUNK_LINE_BYTES]
                is_too_long = len(trailers) == MAX_CHUNK_LINE_BYTES
                return is_too_long or HEAD_END in trailers
            self.next = line_end + 2 + size + 2
        return len(received) - self.next > MAX_CHUNK_LINE_BYTES


def write_error(client, status, reason, _message):
    body = json.dumps({"error": f"{reason}."})
    head = [
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        "Content-Type: application/json",
        "Access-Control-Allow-Origin: *",
        f"Content-Length: {len(body)}",
    ]
    client.sendall(("\r\n".join(head) + "\r\n\r\n" + body).encode())


# What gunicorn refuses before the app sees it would be HTML.
util.write_error = write_error
