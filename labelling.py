"""Labels folders of pictures: flask --app app classify PATH... --output FILE.csv"""

import csv
import heapq
import os
import sys
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import click
from flask import current_app
from flask.cli import with_appcontext
from PIL import Image, ImageDraw

from recognition.decoding import (
    InvalidImage,
    check_bytes,
    decode,
    has_allowed_extension,
)
from settings import cores

if TYPE_CHECKING:  # its import takes seconds
    from recognition.batching import BatchingRecogniser

# A file name may hold any bytes, and they are written as they are.
ANY_BYTES: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}
# Pictures that a thread takes together, and how many such chunks are read ahead of the
# one that is written next, so that memory stays flat.
CHUNK, AHEAD = 16, 32
# A longer page is slow to open.
MAX_SHOWN = 5000
# Longest side of a picture in the report, in pixels: about a kilobyte.
THUMBNAIL_SIDE = 112
# In percent. The page, too, calls an answer below it "probably".
SURE = 90
# In place of a digit, where there is none.
FAILED = "failed"
HEADER = "path,class,prob,box,text,error\n"


class Row(NamedTuple):
    """The columns of the CSV, as text; all but path and error are empty on failure."""

    path: str
    label: str = ""
    percent: str = ""
    box: str = ""
    text: str = ""
    error: str = ""

    def certainty(self) -> float:
        return -1 if self.error else float(self.percent)


def check_folder(
    _context: click.Context, _option: click.Parameter, path: str | None
) -> str | None:
    # Now, not when hours of work are to be written there.
    if path and not Path(path).absolute().parent.is_dir():
        raise click.BadParameter(f"The folder of {path} does not exist.")
    return path


WRITABLE: dict[str, Any] = {
    "type": click.Path(dir_okay=False, writable=True),
    "callback": check_folder,
}


EXAMPLES = """\b
Examples:
  flask --app app classify seven.jpg
  flask --app app classify scans --output labels.csv
  flask --app app classify scans --output labels.csv --html report.html
"""


@click.command("classify", epilog=EXAMPLES)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, readable=False)
)
@click.option(
    "--output", **WRITABLE, help="The CSV file; an existing one is continued."
)
@click.option("--html", **WRITABLE, help=f"A page of the {MAX_SHOWN:,} least certain.")
@with_appcontext
def label_pictures(paths, output, html):
    """Label pictures: files, and folders with their subfolders (links to folders are
    not followed).

    Prints or writes a row for each, path,class,prob,box,text,error. Ends with status 1
    when a picture could not be read.
    """
    if output and html and os.path.realpath(output) == os.path.realpath(html):
        raise click.UsageError("--output and --html are the same file.")
    recogniser = current_app.extensions["recogniser"]
    summary, done = Summary(), set()
    for row in earlier_rows(output) if output and os.path.isfile(output) else ():
        summary.add(row)
        done.add(row.path)
    count = sum(path not in done for path in found(paths))
    new = (path for path in found(paths) if path not in done)
    pool, is_hidden = ThreadPoolExecutor(cores()), not sys.stderr.isatty()
    bar = click.progressbar(length=count, file=sys.stderr, hidden=is_hidden)
    with opened(output) as file, pool, bar:
        write = row_writer(file)
        for rows in in_order(pool, partial(label, recogniser), new):
            for row in rows:
                write(row)
                summary.add(row)
            file.flush()
            bar.update(len(rows))
        if html:
            write_report(html, summary, pool, recogniser.max_pixels)
    click.echo(f"{summary}.", err=True)
    sys.exit(1 if summary.failed else 0)


class Summary:
    """How many rows there are of each label, and the least certain of them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.uncertain: Counter[str] = Counter()
        self._kept: list[Row] = []

    def add(self, row: Row) -> None:
        label = row.label or FAILED
        self.counts[label] += 1
        self.uncertain[label] += row.certainty() < SURE
        self._kept.append(row)
        if len(self._kept) > 2 * MAX_SHOWN:
            self._kept = self.least_certain()

    @property
    def failed(self) -> int:
        return self.counts[FAILED]

    def __str__(self) -> str:
        return f"{self.counts.total():,} pictures, {self.failed:,} failed"

    def least_certain(self) -> list[Row]:
        return heapq.nsmallest(MAX_SHOWN, self._kept, key=Row.certainty)


def found(paths: Iterable[str]) -> Iterator[str]:
    """Files as they are named, and what folders hold, sorted in each."""
    return chain.from_iterable(
        files_in(path) if os.path.isdir(path) else [path] for path in paths
    )


def files_in(top: str) -> Iterator[str]:
    refused: list[OSError] = []
    for folder, subfolders, names in os.walk(top, onerror=refused.append):
        subfolders.sort()
        for name in filter(has_allowed_extension, sorted(names)):
            yield os.path.join(folder, name)
    # Opening these fails, which becomes a row that says so.
    yield from (error.filename for error in refused)


def label(recogniser: "BatchingRecogniser", path: str) -> Row:
    """The answer of POST /predict, or its refusal."""
    try:
        if Path(path).is_fifo():
            # Opening it could wait for ever.
            return Row(path, error="The file cannot be read: It is a pipe.")
        with open(path, "rb") as file:
            if not has_allowed_extension(path):
                return Row(path, error="Not allowed file extension.")
            data = file.read(recogniser.max_bytes + 1)
        check_bytes(len(data), recogniser.max_bytes)
        # Without batching, so that several cores are busy.
        answer = recogniser.recogniser.recognise(data, recogniser.max_pixels)
    except OSError as error:
        return Row(path, error=f"The file cannot be read: {error.strerror}.")
    except InvalidImage as error:
        return Row(path, error=str(error))  # written to be shown, as over HTTP
    digit, percent = answer.ranking()[0]
    box = " ".join(map(str, answer.box or ()))
    return Row(path, str(digit), f"{percent:.2f}", box, answer.text)


def in_order(pool: Executor, function: Callable, items: Iterable) -> Iterator:
    """Like map, in chunks, of which it takes only a few ahead."""
    remaining, waiting = iter(items), deque[Future]()

    def call(chunk: list) -> list:
        return [function(item) for item in chunk]

    try:
        while chunk := list(islice(remaining, CHUNK)):
            waiting.append(pool.submit(call, chunk))
            while waiting and (len(waiting) > AHEAD or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@contextmanager
def opened(output: str | None) -> Iterator[IO[str]]:
    stdout = click.open_file("-", "w", **ANY_BYTES)
    with open(output, "a", newline="", **ANY_BYTES) if output else stdout as file:
        if not output or file.tell() == 0:
            file.write(HEADER)
        yield file
        file.flush()


def row_writer(file: IO[str]) -> Callable:
    """Ends lines with a newline alone, yet quotes a carriage return in a file name."""
    lines = SimpleNamespace(write=lambda line: file.write(line[:-2] + "\n"))
    return csv.writer(lines, lineterminator="\r\n").writerow


def earlier_rows(output: str) -> Iterator[Row]:
    """What an earlier run wrote; a last row that it did not finish is cut off."""
    with open(output, newline="", **ANY_BYTES) as file:
        header = file.readline(len(HEADER))
        is_ours = HEADER.startswith(header)
        end = len(header) if header == HEADER else 0
        for fields, size in complete_records(file) if is_ours else ():
            if len(fields) != len(Row._fields):
                is_ours &= not file.read(1)  # only the last may be incomplete
                break
            end += size
            yield Row(*fields)
    if not is_ours:
        raise click.BadParameter(f"{output} is not a list that this command wrote.")
    os.truncate(output, end)


def complete_records(file: IO[str]) -> Iterator[tuple[list[str], int]]:
    """Each with its size in bytes."""
    size, line = 0, ""

    def lines():
        nonlocal size, line
        for line in file:
            size += len(line.encode(**ANY_BYTES))
            yield line

    for fields in csv.reader(lines()):
        if line.endswith("\n"):
            yield fields, size
        size = 0


def write_report(path: str, summary: Summary, pool: Executor, max_pixels: int) -> None:
    rows = summary.least_certain()
    to_card = partial(card, os.path.dirname(os.path.abspath(path)), max_pixels)
    template = current_app.jinja_env.get_template("report.html")
    page = template.stream(
        summary=summary,
        labels=sorted(+summary.counts),
        shown=len(rows),
        sure=SURE,
        cards=chain.from_iterable(in_order(pool, to_card, rows)),
    )
    page.dump(path, **ANY_BYTES)


def card(folder: str, max_pixels: int, row: Row) -> tuple[Row, str, str]:
    """A row, the address of its picture from `folder`, and a small picture of it."""
    small = b"" if row.error else thumbnail(row, max_pixels)
    return row, address(row.path, folder), b64encode(small).decode()


def address(path: str, folder: str) -> str:
    """Relative, so that report and pictures can be moved together."""
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # on another drive of Windows
        return Path(path).absolute().as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def thumbnail(row: Row, max_pixels: int) -> bytes:
    """A small WebP with the digit framed; empty if the picture has been deleted."""
    try:
        picture = decode(Path(row.path).read_bytes(), max_pixels)
    except (OSError, InvalidImage):
        return b""
    scale = THUMBNAIL_SIDE / max(picture.size)
    size = [round(scale * side) or 1 for side in picture.size]
    small = Image.fromarray(picture.pixels).convert("RGB").resize(size)
    if row.box:
        x, y, width, height = (scale * int(side) for side in row.box.split())
        ImageDraw.Draw(small).rectangle((x, y, x + width, y + height), outline="#e00")
    file = BytesIO()
    small.save(file, "WEBP", quality=50)
    return file.getvalue()


# Needs no model: this module is imported before those that take seconds.
if {"classify", "--help"} <= set(sys.argv):
    label_pictures.main(["--help"], prog_name="flask classify")
