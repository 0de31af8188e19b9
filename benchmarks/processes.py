"""CPU time and memory of a process and all below it, from Linux's /proc."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# A process may end while it is looked at.
GONE = (FileNotFoundError, ProcessLookupError)


def tree_cpu_seconds(root: int) -> float:
    """CPU time so far, also of those that ended."""
    ticks = (sum(map(int, stats[11:15])) for _, stats in tree(root))
    return sum(ticks) / TICKS_A_SECOND


def tree_memory_mb(root: int) -> float:
    """Proportional: what several share is divided among them."""
    megabytes = 0.0
    for process, _ in tree(root):
        with suppress(*GONE):
            megabytes += memory_mb(process)
    return megabytes


def memory_mb(process: int) -> float:
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return int(re.search(r"\nPss: *(\d+) kB", text)[1]) / 1000


def tree(root: int) -> Iterator[tuple[int, list[str]]]:
    """The processes with their fields of /proc/*/stat from the third one on."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(*GONE):
            # The name in parentheses, which may hold spaces, is the second field.
            fields = path.read_text().rpartition(")")[2].split()
            stats[int(path.parent.name)] = fields
    parents = {process: int(fields[1]) for process, fields in stats.items()}
    return ((p, stats[p]) for p in stats if is_below(p, root, parents))


def is_below(process: int | None, root: int, parents: dict[int, int]) -> bool:
    while process is not None and process != root:
        process = parents.get(process)
    return process == root
