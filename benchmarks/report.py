"""The figures of benchmarks.throughput as Markdown and as a plot."""

import os
import platform
import re
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.environments import ROOT

OURS, FLOOR = "this service", "floor"
COLUMNS = ("requests/s", "p50, ms", "p99, ms", "CPU a request, ms", "memory, MB")
# The columns of which less is better.
COSTS = slice(1, 5)
NONE = "-"


class Point(NamedTuple):
    server: str
    size: str
    connections: int


class Figures(NamedTuple):
    requests_a_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    # Proportional. The floor has neither this nor failures nor a client.
    memory_mb: float = float("nan")
    failed: float = 0
    client_cpu_ms: float = 0


class Results:
    def __init__(self) -> None:
        self.rounds = defaultdict(list)
        self.starts = defaultdict(list)
        self.left_out = {}

    def add(self, point: Point, figures: Figures) -> None:
        self.rounds[point].append(figures)

    def medians(self) -> dict[Point, Figures]:
        """But of the failures the sum: not one may hide."""
        return {
            point: Figures(*map(median, zip(*rounds, strict=True)))._replace(
                failed=sum(figures.failed for figures in rounds)
            )
            for point, rounds in self.rounds.items()
        }


def report(results: Results, load_before: float) -> str:
    medians = results.medians()
    points = {(size, count): None for _, size, count in medians if count}
    parts = [starts(results)]
    parts += [section(medians, size, count) for size, count in points]
    parts += [f"{name} left out: {why}" for name, why in results.left_out.items()]
    client = max((f.client_cpu_ms / f.cpu_ms for f in medians.values()), default=0)
    parts += [f"The client took at most {client:.1%} of the CPU time of a server."]
    parts += [f"{machine()}, load before the start {load_before:.1f}.", versions()]
    return "\n\n".join(parts)


def starts(results: Results) -> str:
    lines = ["| | start to first answer, s |", "|---|---|"]
    lines += [f"| {name} | {median(s):.1f} |" for name, s in results.starts.items()]
    return "\n".join(lines)


def section(medians: dict[Point, Figures], size: str, count: int) -> str:
    figures = {p.server: f for p, f in medians.items() if p[1:] == (size, count)}
    floor = medians.get(Point(FLOOR, size, 0))
    lines = [f"| {size}, connections: {count} | {' | '.join(COLUMNS)} | failed |"]
    lines += [f"|{'---|' * (len(COLUMNS) + 2)}"]
    lines += [row(n, [*map(three_digits, f[:5])], f.failed) for n, f in figures.items()]
    if floor:
        lines += [row("floor: the bare loop", [*map(three_digits, floor[:4]), NONE])]
    if ours := figures.pop(OURS, None):
        if floor:
            lines += [above_floor(ours, floor)]
        lines += [
            row(f"times better than {name}", gain(ours, f))
            for name, f in figures.items()
        ]
    return "\n".join(lines)


def row(name: str, cells: list[str], failed: float | None = None) -> str:
    last = NONE if failed is None else f"{failed:.0f}"
    return f"| {name} | {' | '.join([*cells, last])} |"


def three_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def gain(ours: Figures, other: Figures) -> list[str]:
    """How many times better ours is."""
    costs = zip(other[COSTS], ours[COSTS], strict=True)
    ratios = [theirs / own for theirs, own in costs]
    more = ours.requests_a_second / other.requests_a_second
    return [three_digits(ratio) for ratio in (more, *ratios)]


def above_floor(ours: Figures, floor: Figures) -> str:
    share = ours.requests_a_second / floor.requests_a_second
    ratio, excess = ours.cpu_ms / floor.cpu_ms, ours.cpu_ms - floor.cpu_ms
    cpu = f"{three_digits(ratio)} ({excess:+.2f} ms)"
    return row("this service ÷ floor", [three_digits(share), NONE, NONE, cpu, NONE])


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.+)", cpuinfo)
    name = model[1] if model else platform.machine()
    count = len(os.sched_getaffinity(0))
    return f"{count} CPUs, {name}, Python {platform.python_version()}"


def versions() -> str:
    """The pins of this service and of the peers."""
    servers = sorted((ROOT / "benchmarks" / "servers").glob("*/requirements.txt"))
    text = "\n".join(path.read_text() for path in [ROOT / "requirements.txt", *servers])
    pins = dict.fromkeys(re.findall(r"(?m)^(.+)==(.+)$", text))
    return ", ".join(f"{package} {version}" for package, version in pins) + "."


def plot(results: Results, path: Path) -> None:
    medians = results.medians()
    sizes = list(dict.fromkeys(point.size for point in medians))
    figure, axes = plt.subplots(
        2, len(sizes), figsize=(4.5 * len(sizes), 8), squeeze=False, sharex=True
    )
    for column, size in enumerate(sizes):
        points = {p: f for p, f in medians.items() if p.size == size}
        draw(axes[0][column], points, "requests_a_second")
        draw(axes[1][column], points, "cpu_ms")
        axes[0][column].set_title(size)
        axes[1][column].set_xlabel("connections")
    axes[0][0].set_ylabel("requests/s")
    axes[1][0].set_ylabel("CPU a request, ms")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=120)


def draw(axes, points: dict[Point, Figures], what: str) -> None:
    """A line for each server over the connections, dotted: the usual preparation."""
    scale(axes, sorted({point.connections for point in points} - {0}))
    names = list(dict.fromkeys(point.server for point in points))
    colours = {}
    for name in names:
        mine = [
            (p.connections, getattr(points[p], what)) for p in points if p[0] == name
        ]
        if name == FLOOR:
            axes.axhline(mine[0][1], color="grey", linestyle="--", label=name)
            continue
        framework = name.partition(",")[0]
        colour = colours.setdefault(framework, f"C{len(colours)}")
        style = ":" if name.endswith("usual preparation") else "-"
        axes.plot(*zip(*mine, strict=True), style, color=colour, marker="o", label=name)


def scale(axes, counts: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, counts)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
