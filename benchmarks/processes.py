"""CPU time and memory of a process and all below it."""

from collections.abc import Callable, Iterator
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
    # All but the time spent waiting for a disk.
    return total(root, lambda process: sum(process.cpu_times()[:4]))


def tree_memory_mb(root: int) -> float:
    """Proportional: what several share is divided among them."""
    return total(root, lambda process: process.memory_full_info().pss / 1e6)


def total(root: int, figure: Callable[[psutil.Process], float]) -> float:
    summed = 0.0
    for _, process in tree(root):
        with suppress(psutil.NoSuchProcess):
            summed += figure(process)
    return summed
