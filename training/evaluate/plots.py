"""The plots of an evaluation, as PNG."""

from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, ImageOps

from training.evaluate.answers import (
    MAX_PIXELS,
    RECOGNISER,
    Answer,
    labels_and_probabilities,
)
from training.evaluate.metrics import calibration_error, reliability, wilson

COLUMNS = 3
INK, FAINT, FOUND = "#1f4e79", "#bbbbbb", "#d1495b"
TICKS = [0, 0.5, 1]
DPI = 150


def save_plot(figure: Figure, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=DPI, bbox_inches="tight")


def reliability_plot(sets: dict[str, list[Answer]]) -> Figure:
    """How often each set's answers are right, against how sure they are."""
    columns = min(COLUMNS, len(sets))
    rows = -(-len(sets) // columns)
    size = (3 * columns, 3.2 * rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for panel in panels.flat[len(sets) :]:
        panel.set_axis_off()
    for panel, (name, given) in zip(panels.flat, sets.items(), strict=False):
        draw_reliability(panel, name, given)
    figure.supxlabel("best probability")
    figure.supylabel("share of right answers")
    return figure


def draw_reliability(panel, name: str, given: list[Answer]) -> None:
    """A dot for each bin, its area by the number of answers, with 95 % intervals."""
    scores = labels_and_probabilities(given)
    bins = reliability(*scores)
    count, sure, right = (np.array(column) for column in zip(*bins, strict=True))
    low, high = wilson(right * count, count)
    panel.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1)
    panel.vlines(sure, low, high, color=FAINT, linewidth=1)
    area = 8 + 150 * count / len(given)
    panel.scatter(sure, right, area, color=INK, zorder=3, clip_on=False)
    title = f"{name}: {len(given):,} pictures\nECE {calibration_error(*scores):.1%}"
    panel.set_title(title, fontsize=9)
    panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    panel.set(xticks=TICKS, yticks=TICKS)


def corruption_plot(examples: dict[str, tuple[bytes, float]]) -> Figure:
    """One picture for each corruption, with the share of right answers."""
    columns = 5
    rows = -(-len(examples) // columns)
    figure = Figure(figsize=(1.5 * columns, 1.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for panel, (name, (data, share)) in zip(panels, examples.items(), strict=False):
        panel.imshow(Image.open(BytesIO(data)), cmap="gray", vmin=0, vmax=255)
        panel.set_title(f"{name.replace('_', ' ')}\n{share:.1%}", fontsize=9)
        panel.set(xticks=[], yticks=[])
    return figure


def examples_plot(given: list[Answer]) -> Figure:
    """A picture of each digit, where it was found, what the model saw and answered."""
    chosen = list({answer.sample.label: answer for answer in reversed(given)}.values())
    chosen.sort(key=lambda answer: answer.sample.label)
    figure = Figure(figsize=(1.2 * len(chosen), 3.4), layout="constrained")
    panels = figure.subplots(2, len(chosen), squeeze=False)
    for (above, below), answer in zip(panels.T, chosen, strict=True):
        _, pixels, box, *_ = RECOGNISER.recognise(answer.sample.content, MAX_PIXELS)
        picture = ImageOps.exif_transpose(Image.open(BytesIO(answer.sample.content)))
        above.imshow(picture, cmap="gray")
        if box:
            corner, size = (box.x, box.y), (box.width, box.height)
            above.add_patch(Rectangle(corner, *size, fill=False, color=FOUND))
        below.imshow(pixels)
        below.set_xlabel(f"{answer.read_as}\n{answer.best:.1%}", fontsize=9)
        for panel in (above, below):
            panel.set(xticks=[], yticks=[])
    return figure
