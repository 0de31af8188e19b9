"""Tables in Markdown, and the command that made them."""

import shlex
import sys
from collections.abc import Iterable
from math import isnan


def table(head: list[str], rows: Iterable[Iterable[object]]) -> str:
    return "\n".join([heading(head), *map(row, rows)])


def heading(cells: list[str]) -> str:
    return f"{row(cells)}\n|{'---|' * len(cells)}"


def row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def three_digits(number: float) -> str:
    if isnan(number):
        return "-"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def command(module: str) -> str:
    return f"`python -m {module} {shlex.join(sys.argv[1:])}`"
