"""Markdown tables, as all benchmarks print their figures."""

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
