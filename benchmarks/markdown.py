"""Markdown tables and the command that made them, as all benchmarks print them."""

import shlex
import sys
from collections.abc import Iterable
from math import isnan


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    return "\n".join(line(cells) for cells in [head, ["---"] * len(head), *rows])


def line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def three_digits(number: float) -> str:
    if isnan(number):
        return "-"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def command(module: str) -> str:
    return f"`python -m {module} {shlex.join(sys.argv[1:])}`"
