"""Receives uploads, stores them under unguessable names, and deletes them in time."""

import contextlib
import logging
import os
import re
import secrets
import select
import shutil
import socket
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from email.header import decode_header, make_header
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, NamedTuple

import numpy as np
from flask import Request
from multipart import MultipartError, MultipartSegment, PushMultipartParser
from werkzeug.exceptions import BadRequest
from werkzeug.http import parse_options_header
from werkzeug.wsgi import ClosingIterator, get_input_stream

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Only what was stored here is ever deleted; a dot marks what is still being written.
OWN_NAME = re.compile(r"\.?[0-9a-f]{32}\.(?:jpg|jpeg|png)")
CLEANUP_SECONDS = 600
# Writing takes milliseconds: a temporary file of this age is of a killed worker.
STALE_SECONDS = 3600
# A cleanup leaves an eighth of the limit free and comes after a 64th is written, so
# that eight workers together stay below the limit.
HEADROOM_SHARE = 8
CLEANUP_SHARE = 64
# A clock that was set by more than this is trusted again after a day.
CLOCK_STEP_SECONDS, CLOCK_SETTLE_SECONDS = 3600, 86_400

# A larger file is kept in a temporary one, which has no name, while it arrives.
SPOOLED_BYTES = 500_000
MAX_FORM_PARTS, MAX_PART_HEADERS = 1000, 100
# A body that nobody reads is received up to so many times the limit, as many clients
# read the answer only after they have sent everything.
DISCARDED_SHARE = 4
DISCARDED_BYTES_AT_ONCE = 2**18
DEADLINE_CHECK_SECONDS = 1

log = logging.getLogger(__name__)


class StorageFull(Exception):
    """The disk is full, or nothing may be written to it; the cause says which."""


@contextlib.contextmanager
def uploaded_file(request: Request) -> Iterator[tuple[str, BinaryIO]]:
    """Name and content of the part `file` of a form; an empty name if there is none.

    Raises HTTP exceptions for a body that is too long or cut off.
    """
    with SpooledTemporaryFile(SPOOLED_BYTES) as file:
        try:
            filename = receive(request, file)
        except MultipartError:
            filename = ""
        yield filename, file


def receive(request: Request, file: BinaryIO) -> str:
    """Werkzeug's parser does the same in several times the CPU time."""
    filename, is_wanted = "", False
    parser = PushMultipartParser(
        request.mimetype_params.get("boundary", ""),
        max_header_count=MAX_PART_HEADERS,
        max_segment_count=MAX_FORM_PARTS,
        header_charset="latin1",  # any bytes: only the end of a name matters
    )
    for event in parser.parse_blocking(request.stream.read):
        if isinstance(event, MultipartSegment):
            is_wanted = event.name == "file" and not filename
            filename = filename_of(event) if is_wanted else filename
        elif event and is_wanted and filename:
            file.write(event)
    return filename


def filename_of(part: MultipartSegment) -> str:
    """Also as it is written for letters outside ASCII (RFC 2231, RFC 2047)."""
    filename = part.filename or ""
    if "filename*" in part["Content-Disposition"].lower():
        _, options = parse_options_header(part["Content-Disposition"])
        filename = options.get("filename", filename)
    with contextlib.suppress(ValueError, LookupError):
        return str(make_header(decode_header(filename)))
    return filename


class SlowClients:
    """WSGI middleware that keeps clients from blocking gunicorn's threads and its loop.

    A body must arrive in `seconds`. The rest of one that was refused is received up to
    a limit, as many clients read the answer only after they have sent everything.
    """

    def __init__(self, app: Callable, seconds: float, max_bytes: int) -> None:
        self.app, self.seconds = app, seconds
        self.max_discarded_bytes = DISCARDED_SHARE * max_bytes
        self._deadlines: dict[socket.socket, float] = {}
        self._thread_lock = threading.Lock()
        self._has_thread = False

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        connection = environ.get("gunicorn.socket")
        if has_body(environ):
            environ["wsgi.input"] = Body(get_input_stream(environ))
            environ["wsgi.input_terminated"] = True
            with self._deadline(connection):
                answer = self.app(environ, start_response)
                self._discard(environ["wsgi.input"])
        else:
            answer = self.app(environ, start_response)
        if connection is not None and is_last_request(environ):
            # Else the loop waits up to two seconds for the client to close it.
            answer = ClosingIterator(answer, partial(stop_receiving, connection))
        return answer

    def _discard(self, stream: BinaryIO) -> None:
        with contextlib.suppress(BadRequest):
            for _ in range(0, self.max_discarded_bytes, DISCARDED_BYTES_AT_ONCE):
                if not stream.read(DISCARDED_BYTES_AT_ONCE):
                    return

    @contextlib.contextmanager
    def _deadline(self, connection: socket.socket | None) -> Iterator[None]:
        if connection is None:
            yield  # another server has limits of its own
            return
        self._start_thread()
        self._deadlines[connection] = time.monotonic() + self.seconds
        try:
            yield
        finally:
            del self._deadlines[connection]

    def _start_thread(self) -> None:
        with self._thread_lock:
            if not self._has_thread:
                self._has_thread = True
                threading.Thread(target=self._end_late_ones, daemon=True).start()

    def _end_late_ones(self) -> None:
        while True:
            time.sleep(DEADLINE_CHECK_SECONDS)
            now = time.monotonic()
            for connection, deadline in self._deadlines.copy().items():
                if now > deadline:
                    stop_receiving(connection)


class Body:
    """A stream that ends with the body of the request."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except Exception as error:  # every server has errors of its own for this
            raise BadRequest("The body is malformed, cut off or too slow.") from error


def stop_receiving(connection: socket.socket) -> None:
    """What reads from it gets what has arrived, then the end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


def is_last_request(environ: dict) -> bool:
    connection = environ.get("HTTP_CONNECTION", "").lower()
    is_old = environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    return "close" in connection or (is_old and "keep-alive" not in connection)


def has_body(environ: dict) -> bool:
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    return is_chunked or environ.get("CONTENT_LENGTH", "0") not in ("", "0")


def is_connected(environ: dict) -> bool:
    """Whether the client still waits for the answer, as far as can be told."""
    connection = environ.get("gunicorn.socket")
    if connection is None or not hasattr(select, "POLLRDHUP"):
        return True
    poller = select.poll()
    poller.register(connection, select.POLLRDHUP)
    return not poller.poll(0)


class Stored(NamedTuple):
    modified: float
    size: int
    path: str
    is_unfinished: bool


class Uploads:
    """Several threads and processes may share the folder."""

    def __init__(self, folder: Path, max_bytes: int, max_age_days: float) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.max_age_seconds = max_age_days * 86_400
        self._bytes_since_cleanup = 0
        self._cleanup_due = threading.Event()
        self._cleanup_thread: threading.Thread | None = None
        self._clock_offset = time.time() - time.monotonic()
        self._clock_was_set: float | None = None

    def save(self, file: BinaryIO, extension: str) -> str:
        """Store a file, and return its new name.

        Raises StorageFull, and then leaves nothing behind.
        """
        name = f"{secrets.token_hex(16)}.{extension}"
        try:
            self._bytes_since_cleanup += self._write(name, file)
        except OSError as error:
            self.request_cleanup()
            raise StorageFull from error
        if self._bytes_since_cleanup > self.max_bytes // CLEANUP_SHARE:
            self.request_cleanup()
        return name

    def _write(self, name: str, file: BinaryIO) -> int:
        """How many bytes it has."""
        part = f"{self.folder}/.{name}"
        try:
            size = self._create(part, file)
            os.replace(part, f"{self.folder}/{name}")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise
        return size

    def _create(self, part: str, file: BinaryIO) -> int:
        try:
            return copy(file, part)
        except FileNotFoundError:
            # The folder was deleted while the service runs.
            self.folder.mkdir(parents=True, exist_ok=True)
            return copy(file, part)

    def request_cleanup(self) -> None:
        """Clean up soon, in the background, and every CLEANUP_SECONDS from then on."""
        self._bytes_since_cleanup = 0
        self._cleanup_due.set()
        if self._cleanup_thread is None:
            loop = threading.Thread(target=self._cleanup_loop, daemon=True)
            self._cleanup_thread = loop
            loop.start()

    def _cleanup_loop(self) -> None:
        while True:
            self._cleanup_due.wait(CLEANUP_SECONDS)
            self._cleanup_due.clear()
            try:
                self.clean_up()
            except OSError:
                log.exception("%s could not be cleaned up.", self.folder)

    def clean_up(self) -> None:
        """Delete what is expired, then the oldest until there is headroom again.

        Does nothing while another thread or process does it.
        """
        with exclusive(self.folder) as is_alone:
            if is_alone:
                self._delete_expired_and_oldest()

    def _delete_expired_and_oldest(self) -> None:
        modified, sizes = self._without_expired()
        excess = int(sizes.sum()) - self.max_bytes + self.max_bytes // HEADROOM_SHARE
        if excess <= 0:
            return
        oldest = np.argsort(modified)
        last = np.searchsorted(np.cumsum(sizes[oldest]), excess)
        self._delete_until(modified[oldest[last]], excess)

    def _without_expired(self) -> tuple[np.ndarray, np.ndarray]:
        """When the files that stay were written, and their sizes."""
        # There may be millions: all that is held of one are these two numbers.
        now, modified, sizes = time.time(), array("d"), array("q")
        is_clock_steady = self._is_clock_steady()
        for file in own_files(self.folder):
            limit = STALE_SECONDS if file.is_unfinished else self.max_age_seconds
            if is_clock_steady and now - file.modified > limit:
                delete(file.path)
            elif not file.is_unfinished:
                modified.append(file.modified)
                sizes.append(file.size)
        return np.array(modified), np.array(sizes)

    def _delete_until(self, moment: float, excess: int) -> None:
        """Delete files of that moment or before, of `excess` bytes or a little more."""
        for file in own_files(self.folder):
            if excess <= 0:
                return
            if file.modified <= moment and not file.is_unfinished:
                delete(file.path)
                excess -= file.size

    def _is_clock_steady(self) -> bool:
        """Whether ages can be trusted: what a clock just set forward calls old may be
        new.
        """
        now = time.monotonic()
        offset = time.time() - now
        if abs(offset - self._clock_offset) > CLOCK_STEP_SECONDS:
            self._clock_offset, self._clock_was_set = offset, now
        was_set = self._clock_was_set
        return was_set is None or now - was_set > CLOCK_SETTLE_SECONDS


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[bool]:
    """Whether no other thread or process is in here with the same folder."""
    if fcntl is None:
        yield True
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)  # which also unlocks it


def copy(file: BinaryIO, path: str) -> int:
    """How many bytes were written."""
    file.seek(0)
    with open(path, "wb") as target:
        shutil.copyfileobj(file, target)
        return target.tell()


def is_upload(name: str) -> bool:
    return bool(OWN_NAME.fullmatch(name)) and not name.startswith(".")


def own_files(folder: Path) -> Iterator[Stored]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not OWN_NAME.fullmatch(entry.name):
                continue
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                status = entry.stat(follow_symlinks=False)
                is_unfinished = entry.name.startswith(".")
                yield Stored(status.st_mtime, status.st_size, entry.path, is_unfinished)


def delete(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # deleted meanwhile
    except OSError:
        log.exception("%s could not be deleted.", path)
