"""Receives uploads, stores them under unguessable names, and deletes them in time."""

import logging
import os
import re
import secrets
import select
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.header import decode_header, make_header
from functools import partial
from pathlib import Path
from posixpath import normpath
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np
from flask import Flask, abort, request
from multipart import MultipartError, MultipartSegment, PushMultipartParser
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.http import parse_options_header
from werkzeug.wsgi import ClosingIterator, get_input_stream

if sys.platform != "win32":
    import fcntl

# Bytes. A larger file waits in a temporary one, which has no name, while it arrives.
SPOOLED_BYTES = 500_000
MAX_FORM_PARTS, MAX_PART_HEADERS = 1000, 100
# How much is kept of the name and value of a field, and how many names a hint lists.
FIELD_LENGTH, NAMED_PARTS = 40, 10
HOW_TO_SEND = (
    "Send the picture as multipart/form-data, in a part named file that has a file "
    "name: curl -F file=@seven.png URL"
)
# How much of a refused body is received: many clients read no answer before its end.
DISCARDED_BYTES, DISCARDED_AT_ONCE = 100_000_000, 2**18

# Only what was stored here is served and deleted. A dot before the name marks what is
# still being written.
UPLOAD_NAME = re.compile(r"[0-9a-f]{32}\.(?:jpg|jpeg|png)")
CLEANUP_SECONDS = 600
# A cleanup leaves an eighth of the limit free and comes after a 64th is written, so
# that eight workers together stay below the limit.
HEADROOM_SHARE, CLEANUP_SHARE = 8, 64
# A clock that was set by more than the first is trusted again after the second.
CLOCK_STEP_SECONDS, CLOCK_SETTLE_SECONDS = 3600, 86_400

log = logging.getLogger(__name__)


class StorageFull(HTTPException):
    """The disk is full, or nothing may be written to it; the cause says which."""

    code, reason = 507, "storage_full"
    description = "There is no room to save the picture."
    hint: str | None = "With save=false the picture is read and not stored."


class Refusal(BadRequest):
    """`reason` names it for programs, `hint` says what was found or would be right."""

    def __init__(self, message: str, reason: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.reason, self.hint = reason, hint


# Receiving


@dataclass
class Upload:
    """`filename` is empty if no file came; `fields`: the start of every other part."""

    file: IO[bytes]
    filename: str = ""
    fields: dict[str, list[str]] = field(default_factory=dict)
    is_complete: bool = True

    def flag(self, name: str, default: bool) -> bool:
        """A parameter of the query, or else a field of the form. Raises Refusal."""
        texts = request.args.getlist(name) or self.fields.get(name, [])
        values = {each.lower() for each in texts}
        if len(values) > 1 or values - {"true", "false"}:
            # Guessing could store a picture that was meant to stay private.
            message = f"The parameter {name} is either true or false."
            raise Refusal(message, "invalid_parameter")
        return values == {"true"} if values else default

    def how_to_send(self) -> str:
        """What is wrong with a request that brought no file, and what is right."""
        parts = [name for name in self.fields if name][:NAMED_PARTS]
        if request.mimetype != "multipart/form-data":
            content = request.mimetype[:FIELD_LENGTH] or "not declared"
            found = f"The body's Content-Type is {content}."
        elif not request.mimetype_params.get("boundary"):
            found = "The Content-Type has no boundary: let your HTTP library set it."
        elif not self.is_complete:
            found = "The form is malformed or cut off."
        elif "file" in parts:
            found = "The part file came without a file name."
        elif parts:
            found = f"The parts that came are named {', '.join(parts)}."
        elif self.fields:
            found = "The part that came has no name."
        else:
            found = "The form has no parts."
        return f"{found} {HOW_TO_SEND}"


@contextmanager
def uploaded_file() -> Iterator[Upload]:
    """The part `file` of a form, and its fields.

    Raises HTTP exceptions for two files, a body that is too long or cut off, and a full
    disk.
    """
    with SpooledTemporaryFile(SPOOLED_BYTES) as file:
        upload = Upload(file)
        try:
            receive(upload)
            file.seek(0)  # writes what is buffered: the disk may be full
        except MultipartError:
            upload.filename, upload.is_complete = "", False
        except OSError as error:
            full = StorageFull("There is no room to receive the picture.")
            full.hint = None
            raise full from error
        yield upload


def receive(upload: Upload) -> None:
    """Write the parts of a form to an upload.

    Werkzeug's own parser takes ten times the CPU time.
    """
    name = filename = ""
    parser = PushMultipartParser(
        request.mimetype_params.get("boundary", ""),
        max_header_count=MAX_PART_HEADERS,
        max_segment_count=MAX_FORM_PARTS,
        header_charset="latin1",  # any bytes: only the end of a name matters
    )
    for event in parser.parse_blocking(request.stream.read):
        if isinstance(event, MultipartSegment):
            name = as_text(event.name.encode("latin1", "replace"))
            filename = filename_of(event) if name == "file" else ""
            if filename and upload.filename:
                hint = "The form has two parts named file: send a request for each."
                raise Refusal("A request takes one picture.", "several_files", hint)
            upload.filename = upload.filename or filename
            if not filename:
                upload.fields.setdefault(name, []).append("")
        elif event and filename:
            upload.file.write(event)
        elif event and len(upload.fields[name][-1]) < FIELD_LENGTH:
            upload.fields[name][-1] += as_text(event)


def as_text(data: bytes) -> str:
    """The start of it, in which anything may be."""
    return bytes(data[:FIELD_LENGTH]).decode(errors="replace")


def filename_of(part: MultipartSegment) -> str:
    """Also if it is encoded for letters outside ASCII (RFC 2231, RFC 2047)."""
    filename = part.filename or ""
    if "filename*" in part["Content-Disposition"].lower():
        _, options = parse_options_header(part["Content-Disposition"])
        filename = options.get("filename", filename)
    with suppress(UnicodeError):  # browsers send UTF-8
        filename = filename.encode("latin1").decode()
    with suppress(ValueError, LookupError, MessageError):
        return str(make_header(decode_header(filename)))
    return filename


class SlowClients:
    """WSGI middleware that keeps clients from blocking gunicorn's threads and its loop.

    While a client sends a body it may be silent for `seconds`. The rest of a body that
    was refused is received and discarded.
    """

    def __init__(self, app: Callable, seconds: float) -> None:
        self.app, self.seconds = app, seconds

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        connection = environ.get("gunicorn.socket")
        if connection is None:
            return self.app(environ, start_response)  # another server
        connection.settimeout(self.seconds)
        body = environ["wsgi.input"] = Body(get_input_stream(environ), connection)
        environ["wsgi.input_terminated"] = True
        answer = self.app(environ, start_response)
        body.discard()
        if is_last_request(environ):
            # Else gunicorn's main loop waits up to 2 s for the client to close it.
            return ClosingIterator(answer, partial(stop_receiving, connection))
        return answer


class Body:
    """The body of a request as a stream."""

    def __init__(self, stream: IO[bytes], connection: socket.socket) -> None:
        self._stream, self._connection = stream, connection

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except Exception as error:  # every server has errors of its own for this
            stop_receiving(self._connection)
            message = "The body is malformed, cut off or too slow."
            raise Refusal(message, "incomplete_body") from error

    def discard(self) -> None:
        with suppress(BadRequest):
            for _ in range(0, DISCARDED_BYTES, DISCARDED_AT_ONCE):
                if not self.read(DISCARDED_AT_ONCE):
                    return


def stop_receiving(connection: socket.socket) -> None:
    """Then gunicorn closes it without waiting for more."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


def is_last_request(environ: dict) -> bool:
    words = environ.get("HTTP_CONNECTION", "").lower().replace(",", " ").split()
    is_old = environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    return "close" in words or (is_old and "keep-alive" not in words)


def is_connected() -> bool:
    """Whether the client still waits for the answer, as far as can be told."""
    connection = request.environ.get("gunicorn.socket")
    if connection is None or not hasattr(select, "POLLRDHUP"):
        return True
    poller = select.poll()
    poller.register(connection, select.POLLRDHUP)
    return not poller.poll(0)


# Storing


class Service(Flask):
    """A Flask app that serves of the folder static/uploads nothing but uploads."""

    def send_static_file(self, filename):
        # /static/./uploads/NAME is served as well.
        path = Path(normpath(filename))
        if path.parts[:1] == ("uploads",) and not UPLOAD_NAME.fullmatch(path.name):
            abort(404)
        return super().send_static_file(filename)


class Uploads:
    """Several threads and processes may share the folder."""

    def __init__(self, folder: Path, max_bytes: int, max_age_days: float) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.max_age_seconds = max_age_days * 86_400
        self._bytes_since_cleanup = 0
        self._cleanup_due = threading.Event()
        self._has_cleanup_thread = False
        self._clock_offset = time.time() - time.monotonic()
        self._clock_was_set = -float("inf")

    def save(self, file: IO[bytes], extension: str) -> str:
        """Store a file, and return its new name.

        Raises StorageFull, and then leaves nothing behind.
        """
        name = f"{secrets.token_hex(16)}.{extension}"
        try:
            try:
                self._write(file, name)
            except FileNotFoundError:  # the folder was deleted while the service runs
                self.folder.mkdir(parents=True, exist_ok=True)
                self._write(file, name)
        except OSError as error:
            self.request_cleanup()
            raise StorageFull from error
        self._bytes_since_cleanup += file.tell()
        if self._bytes_since_cleanup > self.max_bytes // CLEANUP_SHARE:
            self.request_cleanup()
        return name

    def _write(self, file: IO[bytes], name: str) -> None:
        file.seek(0)
        part = self.folder / f".{name}"
        try:
            with part.open("wb") as target:
                shutil.copyfileobj(file, target)
            part.replace(self.folder / name)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise

    def request_cleanup(self) -> None:
        """Clean up soon, in the background, and every CLEANUP_SECONDS from then on."""
        self._bytes_since_cleanup = 0
        self._cleanup_due.set()
        if not self._has_cleanup_thread:
            self._has_cleanup_thread = True
            threading.Thread(target=self._cleanup_loop, daemon=True).start()

    def _cleanup_loop(self) -> None:
        while True:
            self._cleanup_due.wait(CLEANUP_SECONDS)
            self._cleanup_due.clear()
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self.clean_up()
            except OSError:
                log.exception("%s could not be cleaned up.", self.folder)

    def clean_up(self) -> None:
        """Delete what is expired, and the oldest until there is headroom again.

        Does nothing while another thread or process does it.
        """
        with exclusive(self.folder) as is_alone:
            if not is_alone:
                return
            modified, size = self._ages_and_sizes()
            last = -float("inf")
            if self._is_clock_steady():
                last = time.time() - self.max_age_seconds
            excess = size.sum() - self.max_bytes * (1 - 1 / HEADROOM_SHARE)
            if excess > 0:
                last = max(last, modified[np.searchsorted(size.cumsum(), excess)])
            if modified.min(initial=np.inf) <= last:
                self._delete_until(last)

    def _ages_and_sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """When each file was written, the oldest first, and its bytes."""
        # There may be millions: all that is held of one are these two numbers.
        numbers = ((each.st_mtime, each.st_size) for _, each in own_files(self.folder))
        files = np.fromiter(numbers, [("modified", float), ("size", int)])
        files = files[np.argsort(files["modified"])]
        return files["modified"], files["size"]

    def _delete_until(self, last: float) -> None:
        for entry, status in own_files(self.folder):
            if status.st_mtime <= last:
                try:
                    os.unlink(entry.path)
                except OSError:
                    log.exception("%s could not be deleted.", entry.path)

    def _is_clock_steady(self) -> bool:
        """Not for a day after it was set: what seems expired may be new."""
        now = time.monotonic()
        offset = time.time() - now
        if abs(offset - self._clock_offset) > CLOCK_STEP_SECONDS:
            self._clock_offset, self._clock_was_set = offset, now
        return now - self._clock_was_set > CLOCK_SETTLE_SECONDS


@contextmanager
def exclusive(folder: Path) -> Iterator[bool]:
    """Whether no other thread or process is in here with the same folder."""
    if sys.platform == "win32":
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


def own_files(folder: Path) -> Iterator[tuple[os.DirEntry, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if UPLOAD_NAME.fullmatch(entry.name.removeprefix(".")):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    yield entry, entry.stat(follow_symlinks=False)
