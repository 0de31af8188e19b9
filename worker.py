"""gunicorn's threaded worker, made fair, and to bear slow clients and overload."""

import json
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from selectors import EVENT_READ

from flask import request
from gunicorn import util
from gunicorn.workers import gthread
from werkzeug.exceptions import ServiceUnavailable

from settings import MAX_REQUEST_SECONDS, MAX_WAIT_SECONDS

# For the head of a request, which a proxy or a browser sends at once, and for the
# client's part of closing a connection.
SILENCE_SECONDS = 10
CHECK_SECONDS = 1
RETRY_AFTER_SECONDS = 5
# How long and how often a worker leaves a new client to one that has fewer.
YIELD_SECONDS, MAX_YIELDS = 0.001, 5
# How many clients a worker has that takes no more.
CLOSED = 2**31 - 1
# gunicorn asks for more at once only of a body, and never for more than is left of it.
HEAD_BYTES = 8192


class Turns:
    """At most so many threads work at a time, in the order in which they came.

    More would take the interpreter from each other again and again, so that some
    answers took three times as long as others.
    """

    def __init__(self, count: int) -> None:
        self.free, self.waiting, self.lock = count, deque(), threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            if self.free:
                self.free -= 1
                return
            mine = threading.Lock()
            mine.acquire()
            self.waiting.append(mine)
        mine.acquire()

    def __exit__(self, *_exception: object) -> None:
        with self.lock:
            if self.waiting:
                self.waiting.popleft().release()
            else:
                self.free += 1

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let others go on while this thread has to wait."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


class ClientSocket(socket.socket):
    """Whoever waits for this client, sending or receiving, lends its turn to others."""

    def __init__(self, plain: socket.socket, turns: Turns) -> None:
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        self.turns = turns

    def recv(self, size, flags=0):
        if not self.gettimeout():  # else Python would wait in spite of the flag
            try:
                return super().recv(size, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                if not self.getblocking():
                    raise
            # All of the rest at once, or there would be a turn to wait for in between.
            flags |= socket.MSG_WAITALL if size > HEAD_BYTES else 0
        with self.turns.lent():
            return super().recv(size, flags)

    def send(self, data, flags=0):
        try:
            return super().send(data, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            if not self.getblocking():
                raise
        with self.turns.lent():
            return super().send(data, flags)

    def sendall(self, data, flags=0):
        sent = 0
        with suppress(BlockingIOError):
            sent = super().send(data, flags | socket.MSG_DONTWAIT)
        if sent < len(data):
            with self.turns.lent():
                super().sendall(memoryview(data)[sent:], flags)

    def sendfile(self, file, offset=0, count=None):
        with self.turns.lent():
            return super().sendfile(file, offset, count)


class Worker(gthread.ThreadWorker):
    # As many as there are cores for this worker.
    turns: Turns
    # How many clients every worker has, in memory that they share, and the place there.
    clients: memoryview
    place: int

    def init_process(self):
        # Connection → until when a thread waits for what its client sends.
        self.deadlines = {}
        self.served = threading.local()
        self.yielded = 0
        threading.Thread(target=self.hang_up_on_the_slow, daemon=True).start()
        super().init_process()

    def load_wsgi(self):
        super().load_wsgi()
        self.wsgi.before_request(self.refuse_who_waited_long)

    def refuse_who_waited_long(self):
        waited = time.monotonic() - self.served.queued_at
        # All else costs next to nothing, and who is busy is still ready.
        if waited > MAX_WAIT_SECONDS and request.endpoint == "predict":
            message = "The service is too busy; try again in some seconds."
            raise ServiceUnavailable(message, retry_after=RETRY_AFTER_SECONDS)

    def set_accept_enabled(self, enabled):
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            # Whoever is connected already is answered, and whoever comes later learns
            # at once that nobody is here, instead of at the end.
            while self.sockets:
                listener = self.sockets.pop()
                while select.select([listener], [], [], 0)[0]:
                    self.accept(listener)
                listener.close()

    def wait_for_and_dispatch_events(self, timeout):
        self.clients[self.place] = self.nr_conns if self._accepting else CLOSED
        super().wait_for_and_dispatch_events(timeout)

    def accept(self, listener):
        # All workers hear of a new client, and whoever is busy late.
        if self.nr_conns > min(self.clients) and self.yielded < MAX_YIELDS:
            self.yielded += 1
            time.sleep(YIELD_SECONDS)  # else it would hear of it again at once
            return
        self.yielded = 0
        super().accept(listener)
        self.clients[self.place] = self.nr_conns

    def enqueue_req(self, conn):
        if not (conn.initialized or conn.data_ready):
            conn.sock = ClientSocket(conn.sock, self.turns)
            # A thread would wait five seconds for whoever connects and is silent.
            self.wait(conn, self.on_pending_socket_readable)
            return
        conn.queued_at = time.monotonic()
        super().enqueue_req(conn)

    def wait(self, conn, when_readable):
        """Let no thread, but the poller wait for the client."""
        seconds = SILENCE_SECONDS if self.alive else gthread.STOP_KEEPALIVE_LINGER
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + seconds
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(when_readable, conn))

    def handle(self, conn):
        with self.turns:
            self.served.queued_at = conn.queued_at
            self.deadlines[conn] = time.monotonic() + SILENCE_SECONDS
            try:
                return super().handle(conn)
            finally:
                del self.deadlines[conn]

    def handle_request(self, req, conn):
        self.deadlines[conn] = time.monotonic() + MAX_REQUEST_SECONDS
        return super().handle_request(req, conn)

    def hang_up_on_the_slow(self):
        while True:
            time.sleep(CHECK_SECONDS)  # how late a deadline may be noticed
            now = time.monotonic()
            for conn, deadline in list(self.deadlines.items()):
                with suppress(OSError):
                    if now > deadline + MAX_REQUEST_SECONDS:
                        # It does not read its answer either.
                        conn.sock.shutdown(socket.SHUT_RDWR)
                    elif now > deadline:
                        conn.sock.shutdown(socket.SHUT_RD)

    def finish_request(self, conn, fs):
        if fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self.close_in_turn(conn)

    def close_in_turn(self, conn):
        # gunicorn would wait up to two seconds for the client to close its end, and
        # serve nobody meanwhile.
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.forget(conn)
        else:
            self.wait(conn, self.read_to_the_end)

    def read_to_the_end(self, conn, client):
        with suppress(OSError):
            if client.recv(65_536):
                return
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        self.forget(conn)

    def forget(self, conn):
        self.nr_conns -= 1
        conn.close()

    def _cap_keepalive(self, deadline):
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)


def write_error(sock, status, reason, _message):
    body = json.dumps({"error": f"{reason}."})
    head = [
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        "Content-Type: application/json",
        "Access-Control-Allow-Origin: *",
        f"Content-Length: {len(body)}",
    ]
    util.write_nonblock(sock, ("\r\n".join(head) + "\r\n\r\n" + body).encode())


# What gunicorn refuses before the app sees it would be HTML.
util.write_error = write_error
