"""Requests that are answered together, stage by stage (Larus & Parkes 2002).

One answer after the other, each stage would find the processor's caches filled by the
others with their code and data, and take up to twice as long.
"""

from collections.abc import Callable, Iterable

from greenlet import getcurrent, greenlet


class Member(greenlet):
    """A call that is under way."""


def run(calls: Iterable[Callable[[], object]]) -> None:
    """Make all calls up to their first `stage_ends`, then to the second, and so on.

    What one of them raises ends them all.
    """
    members = [Member(call) for call in calls]
    while members:
        for member in members:
            member.switch()
        members = [member for member in members if not member.dead]


def stage_ends() -> None:
    """Let the others of the cohort come as far; who is in none goes right on."""
    member = getcurrent()
    if isinstance(member, Member):
        member.parent.switch()
