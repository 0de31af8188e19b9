"""Tables in Markdown."""

from collections.abc import Iterable


def heading(cells: list[str]) -> str:
    return f"{row(cells)}\n|{'---|' * len(cells)}"


def row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
