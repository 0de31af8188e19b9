"""Dynamic batching and admission control: how a service reads many pictures.

Small pictures that wait at the same time are read together, stage by stage: each stage
finds its code and data in the processor's caches, and threads do not compete for the
GIL. A large picture is read in the thread that brought it, a few at a time.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import SEEK_END
from typing import IO, Any

from recognition.decoding import OpenedImage, check_bytes
from recognition.inference import Recogniser, Recognition, run

# The first picture of a batch waits for all of them: eight take some 8 ms.
MAX_BATCH_SIZE = 8
# A picture of more bytes, or more pixels in memory, is read in a thread of its own:
# its decoding takes longer than batching saves.
SMALL_BYTES, SMALL_PIXELS = 65_536, 1_000_000
# Decoding holds the GIL for a part of its time: more would only compete for it.
LARGE_AT_ONCE = 4
# Pictures that wait or are read: phone photos of six seconds. The server needs more
# threads than this, so that other requests need not wait.
MAX_WAITING = 512
# After so long a wait the client may have left, which is checked.
PATIENCE_SECONDS = 1
# How many of the largest files wait or are read: all are held in memory.
LARGEST_WAITING = 8


# Where a thread waits for the answer to its picture.
Answer = queue.SimpleQueue[Recognition | Exception]


class Busy(Exception):
    """Too many pictures are waiting, or this one has waited too long."""


class Abandoned(Busy):
    """The answer is no longer wanted."""


class Budget:
    """At most `total` units in use, granted in order of arrival."""

    def __init__(self, total: int) -> None:
        self.total = self._free = total
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, threading.Event]] = deque()

    @contextmanager
    def spend(self, units: int, timeout: float) -> Iterator[None]:
        """Hold so many units, or all if it is more. Raises Busy after `timeout` s."""
        units, granted = ticket = min(units, self.total), threading.Event()
        with self._lock:
            self._waiting.append(ticket)
            self._grant()
        granted.wait(timeout)
        with self._lock:
            if not granted.is_set():
                self._waiting.remove(ticket)
                self._grant()
                raise Busy
        try:
            yield
        finally:
            with self._lock:
                self._free += units
                self._grant()

    def _grant(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            units, granted = self._waiting.popleft()
            self._free -= units
            granted.set()


class BatchingRecogniser:
    """Reads pictures for threads that call `recognise` at the same time."""

    def __init__(
        self,
        recogniser: Recogniser,
        max_bytes: int,
        max_pixels: int,
        max_wait_seconds: float,
    ) -> None:
        self.recogniser = recogniser
        self.max_bytes = max_bytes
        self.max_pixels = max_pixels
        self.max_wait_seconds = max_wait_seconds
        self._file_bytes = Budget(LARGEST_WAITING * max_bytes)
        self._decoded_pixels = Budget(max_pixels)
        self._queue: queue.SimpleQueue[tuple[OpenedImage, Answer]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._thread_lock = threading.Lock()

    def recognise(
        self, file: IO[bytes], is_wanted: Callable[[], bool] = lambda: True
    ) -> Recognition:
        """Read a JPEG or PNG.

        Raises InvalidImage; Busy; and Abandoned, if `is_wanted` says so after a wait.
        """
        size = file.seek(0, SEEK_END)
        check_bytes(size, self.max_bytes)
        # Each counts as a 512th at least, which bounds their number too.
        counted = max(size, self._file_bytes.total // MAX_WAITING)
        with self._file_bytes.spend(counted, timeout=0):
            file.seek(0)
            opened = self.recogniser.open(file.read(), self.max_pixels)
            if size <= SMALL_BYTES and opened.decoded_pixels <= SMALL_PIXELS:
                return self._read_in_batch(opened)
            return self._read_alone(opened, is_wanted)

    def _read_alone(
        self, opened: OpenedImage, is_wanted: Callable[[], bool]
    ) -> Recognition:
        # Each counts as a quarter at least: no more than LARGE_AT_ONCE are decoded.
        pixels = max(opened.decoded_pixels, self.max_pixels // LARGE_AT_ONCE)
        began = time.monotonic()
        with self._decoded_pixels.spend(pixels, self.max_wait_seconds):
            if time.monotonic() - began > PATIENCE_SECONDS and not is_wanted():
                raise Abandoned
            recognition: Recognition = run(self.recogniser.stages, opened)
            return recognition

    def _read_in_batch(self, opened: OpenedImage) -> Recognition:
        answer: Answer = queue.SimpleQueue()
        self._queue.put((opened, answer))
        self._start_thread()
        recognition = answer.get()
        if isinstance(recognition, Exception):
            raise recognition
        return recognition

    def _start_thread(self) -> None:
        # Not before the first picture: gunicorn's master must not have threads.
        with self._thread_lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            values, answers = zip(*self._next_batch(), strict=True)
            for stage in self.recogniser.stages:
                values = [attempt(stage, value) for value in values]
            for answer, recognition in zip(answers, values, strict=True):
                answer.put(recognition)

    def _next_batch(self) -> list[tuple[OpenedImage, Answer]]:
        batch = [self._queue.get()]
        with suppress(queue.Empty):
            while len(batch) < MAX_BATCH_SIZE:
                batch.append(self._queue.get_nowait())
        return batch


def attempt(stage: Callable[[Any], Any], value: Any) -> Any:
    """The stage's result, or the error of this or an earlier stage."""
    if isinstance(value, Exception):
        return value
    try:
        return stage(value)
    except Exception as error:  # raised again by the thread that waits for the answer
        return error
