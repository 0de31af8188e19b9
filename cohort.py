"""Requests that are answered together, stage by stage (Larus & Parkes 2002).

One answer after the other, each stage would find the processor's caches filled by the
others with their code and data, and take up to twice as long.
"""

import time
from collections.abc import Callable, Iterable

from greenlet import getcurrent, greenlet

# Thumbnails take less than a millisecond for the longest stage; who takes this long has
# little from the others and costs them much.
LONG_SECONDS = 0.05


class Member(greenlet):
    """A call that can stop at the end of a stage."""

    def is_quick(self) -> bool:
        """Go on to the end of the stage. Whether that took little."""
        began = time.monotonic()
        self.switch()
        return time.monotonic() - began < LONG_SECONDS

    def finish(self) -> None:
        while not self.dead:
            self.switch()


def run(calls: Iterable[Callable[[], object]]) -> list[Member]:
    """Make all calls up to their first `stage_ends`, then to the second, and so on.

    Ends when a stage takes long: who is returned is to be finished one by one. What a
    call raises is raised, and all are given up.
    """
    members = [Member(call) for call in calls]
    while members and all(member.is_quick() for member in members):
        members = unfinished(members)
    return unfinished(members)


def unfinished(members: list[Member]) -> list[Member]:
    return [member for member in members if not member.dead]


def stage_ends() -> None:
    """Let the others of the cohort come as far; who is in none goes right on."""
    member = getcurrent()
    if isinstance(member, Member):
        member.parent.switch()
