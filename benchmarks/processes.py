"""CPU time and memory of a process and all below it."""

from collections.abc import Iterator
from contextlib import suppress

import psutil


def tree(root: int) -> Iterator[tuple[int, psutil.Process]]:
    """The process and all below it, by number."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(root)
        for process in [parent, *parent.children(recursive=True)]:
            yield process.pid, process


def tree_cpu_seconds(root: int) -> float:
    """CPU time so far, also of those that ended."""
    seconds = 0.0
    for _, process in tree(root):
        with suppress(psutil.NoSuchProcess):
            # All but the time spent waiting for a disk.
            seconds += sum(process.cpu_times()[:4])
    return seconds


def tree_memory_mb(root: int) -> float:
    """Proportional: what several share is divided among them."""
    megabytes = 0.0
    for _, process in tree(root):
        with suppress(psutil.NoSuchProcess):
            megabytes += process.memory_full_info().pss / 1e6
    return megabytes
