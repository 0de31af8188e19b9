"""Fuzz the decoding and recognition of pictures, guided by coverage (atheris).

python -m tests.fuzz [--seconds SECONDS] [--seed SEED]

Prints how many inputs were tried. Any exception but InvalidImage is a crash: it is
printed with the bytes, and the exit status is not 0.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["PIL", "recognition.decoding"]):
    from recognition import decoding

import app as service
from tests.hostile_pictures import chunk, good_pictures, polyglots

MAX_BYTES = 100_000
# Larger pictures only take longer.
MAX_PIXELS = 1_000_000


def read(data: bytes) -> None:
    if data.startswith(decoding.PNG_SIGNATURE):
        data = with_checksums(data)
    try:
        recognition = service.RECOGNISER.recogniser.recognise(data, MAX_PIXELS)
    except decoding.InvalidImage:
        return
    assert recognition.format in decoding.EXTENSIONS
    assert len(recognition.ranking()) == service.CLASS_LEN


def with_checksums(png: bytes) -> bytes:
    """Otherwise every change would be refused for the checksum that is wrong then."""
    start, whole = len(decoding.PNG_SIGNATURE), decoding.PNG_SIGNATURE
    while start + 12 <= len(png):
        length, kind = decoding.PNG_CHUNK.unpack_from(png, start)
        end = start + 8 + length
        whole += chunk(kind, png[start + 8 : end])
        start = end + 4
    return whole


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with TemporaryDirectory() as corpus:
        pictures = [*good_pictures(), *(data for _, data in polyglots())]
        for number, picture in enumerate(pictures):
            Path(corpus, str(number)).write_bytes(picture)
        limits = [f"-max_len={MAX_BYTES}", "-timeout=10", "-rss_limit_mb=4096"]
        limits += [f"-max_total_time={args.seconds}", f"-seed={args.seed}"]
        atheris.Setup([sys.argv[0], *limits, corpus], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
