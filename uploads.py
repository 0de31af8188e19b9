"""Save pictures under unguessable names in a folder that stays within its bounds."""

import contextlib
import logging
import os
import re
import secrets
import threading
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Only what was saved here is ever deleted; a dot marks what is still being written.
OWN_NAME = re.compile(r"\.?[0-9a-f]{32}\.(?:jpg|jpeg|png)")
SWEEP_SECONDS = 600
# Writing takes milliseconds: a temporary file of this age belongs to a killed worker.
STALE_SECONDS = 3600
# Sweeps leave an eighth of the limit free and come after a 64th is written,
# so that eight workers together stay below the limit.
HEADROOM_SHARE = 8
SWEEP_SHARE = 64

log = logging.getLogger(__name__)


class NoRoom(Exception):
    """The disk is full, or nothing may be written to it; the cause says which."""


class Stored(NamedTuple):
    modified: float
    size: int
    path: str
    is_unfinished: bool


class Uploads:
    """Several threads and processes may share the folder."""

    def __init__(self, folder: Path, max_bytes: int, max_age_days: float) -> None:
        self.folder = folder
        self._is_left_alone = False
        self.max_bytes = max_bytes
        self.max_age_seconds = max_age_days * 86_400
        self._bytes_since_sweep = 0
        self.sweep_due = threading.Event()
        self._began = time.time() - time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, data: bytes, extension: str) -> str:
        """Return the new file's name. Raises NoRoom, and then leaves nothing behind."""
        name = f"{secrets.token_hex(16)}.{extension}"
        try:
            self._write_or_make_room(name, data)
        except OSError as error:
            raise NoRoom from error
        self._bytes_since_sweep += len(data)
        if self._bytes_since_sweep > self.max_bytes // SWEEP_SHARE:
            self.sweep_due.set()
        return name

    def _write_or_make_room(self, name: str, data: bytes) -> None:
        try:
            self._write(name, data)
        except OSError:
            with contextlib.suppress(OSError):
                self.sweep()
            self._write(name, data)

    def _write(self, name: str, data: bytes) -> None:
        # To join paths would take as long as to write a small file.
        part = f"{self.folder}/.{name}"
        try:
            self._create(part, data)
            os.replace(part, f"{self.folder}/{name}")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise

    def _create(self, part: str, data: bytes) -> None:
        try:
            write_file(part, data)
        except FileNotFoundError:
            # The folder was deleted while the service runs.
            self.folder.mkdir(parents=True, exist_ok=True)
            write_file(part, data)

    def keep_bounded(self) -> None:
        """Runs in a thread of its own: no request has to wait for a sweep."""
        while True:
            self.sweep_due.wait(SWEEP_SECONDS)
            self.sweep_due.clear()
            if self._is_left_alone:
                return
            try:
                self.sweep()
            except OSError:
                log.exception("%s could not be swept.", self.folder)

    def leave_alone(self) -> None:
        """Never sweep: the folder belongs to a service whose bounds may be others."""
        self._is_left_alone = True

    def sweep(self) -> None:
        """Delete what is expired, then the oldest until there is headroom again."""
        self._bytes_since_sweep = 0
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
        now, modified, sizes = self._now(), array("d"), array("q")
        for file in own_files(self.folder):
            limit = STALE_SECONDS if file.is_unfinished else self.max_age_seconds
            if now - file.modified > limit:
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

    def _now(self) -> float:
        # A clock that is set forward ages nothing: the steady one goes on as before.
        # After one that is set back, what is new would seem old on the steady one.
        return min(time.time(), self._began + time.monotonic())


def write_file(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def is_upload(name: str) -> bool:
    return bool(OWN_NAME.fullmatch(name)) and not name.startswith(".")


def own_files(folder: Path) -> Iterator[Stored]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not OWN_NAME.fullmatch(entry.name):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # another worker's sweep was faster
            is_unfinished = entry.name.startswith(".")
            yield Stored(status.st_mtime, status.st_size, entry.path, is_unfinished)


def delete(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # another worker's sweep was faster
    except OSError:
        log.exception("%s could not be deleted.", path)
