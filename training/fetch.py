"""Fetch the public sets of the model card and convert them to the files of data.py.

`make data DATA=DIR` runs `python -m training.fetch DIR`. Files that are there and right
stay; the others are written only if their content has the SHA-256 of sources.csv.
Exit status 0: all are there.
"""

import argparse
import csv
import gzip
import re
import sys
import zlib
from hashlib import sha256
from http.client import HTTPException
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
from PIL import Image, ImageOps

SOURCES = Path(__file__).with_name("sources.csv")
TIMEOUT = 60  # seconds without a byte
# What the readers raise when a file is cut off or is another than expected.
MALFORMED = (BadZipFile, zlib.error, EOFError, OSError, LookupError, ValueError)
# One pixel wide and two high: left out.
SPECK = "SMALL_i_83.png"
PHOTO_SIDE = 640  # pixels
# A JPEG is decoded at a half, a quarter or an eighth of its size, not below this.
PHOTO_DECODED_SIDE = 1300  # pixels
PHOTO_QUALITY = 90  # of 100
# Number of each digit's first photo in tests/resources/photos_mit, from 0 to 9.
FIRST_PHOTO = (100, 97, 95, 96, 96, 96, 96, 87, 87, 88)


class Source(NamedTuple):
    """A row of sources.csv; `sha256` is that of content_digest."""

    file: str
    url: str
    sha256: str


class Missing(Exception):
    """A file that could not be made; its text says why."""


def content_digest(name: str, file: bytes) -> str:
    """SHA-256 of the content, which compressing it again leaves as it is.

    Of a .gz it is the decompressed bytes; of a .zip or .npz the list that sha256sum
    would print of its members, in their order, which training depends on.
    """
    if name.endswith(".gz"):
        file = gzip.decompress(file)
    elif name.endswith((".zip", ".npz")):
        with ZipFile(BytesIO(file)) as archive:
            file = "".join(
                f"{sha256(archive.read(member)).hexdigest()}  {member}\n"
                for member in archive.namelist()
            ).encode()
    return sha256(file).hexdigest()


def repository(archive: bytes, folder: str) -> tuple[bytes, dict[str, bytes]]:
    """The licence in a GitHub archive; names and bytes of a folder's files, sorted."""
    with ZipFile(BytesIO(archive)) as opened:
        names = sorted(name for name in opened.namelist() if not name.endswith("/"))
        top = names[0].split("/")[0]
        prefix = f"{top}/{folder}/"
        return opened.read(f"{top}/LICENSE"), {
            name.removeprefix(prefix): opened.read(name)
            for name in names
            if name.startswith(prefix)
        }


def zipped(licence: bytes, pictures: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, content in {"LICENSE": licence, **pictures}.items():
            archive.writestr(ZipInfo(name), content)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def bhmsds(archive: bytes) -> bytes:
    """`symbols/CLASS-NUMBER.png` → x (n, 28, 28), y into the names in classes."""
    _, symbols = repository(archive, "symbols")
    x = [np.asarray(Image.open(BytesIO(png)).convert("L")) for png in symbols.values()]
    names = [name.split("-")[0] for name in symbols]
    classes, y = np.unique(names, return_inverse=True)
    return npz(x=np.stack(x), y=y.astype(np.uint8), classes=classes)


def handwritten62(archive: bytes) -> bytes:
    """`PNG/CLASS_NUMBER.png` → `CLASS/…`, each picture once, digits without DIGIT_."""
    licence, pictures = repository(archive, "PNG")
    kept, seen = {}, {pictures.get(SPECK)}
    for name, picture in pictures.items():
        if picture not in seen:
            seen.add(picture)
            kept[f"{name.rsplit('_', 1)[0].removeprefix('DIGIT_')}/{name}"] = picture
    return zipped(licence, kept)


def hwd1000(archive: bytes) -> bytes:
    """`img/DIGIT-NUMBER.png` → `DIGIT/…`."""
    licence, pictures = repository(archive, "img")
    return zipped(
        licence, {f"{name[0]}/{name}": picture for name, picture in pictures.items()}
    )


def optdigits(text: bytes) -> bytes:
    """Each digit in 32 lines of 0 and 1 and a line with its label, after a header."""
    digits = re.findall(rb"((?:[01]{32}\s+){32})(\d)\s", text)
    bits = np.array([list(b"".join(bitmap.split())) for bitmap, _ in digits], np.uint8)
    x = 255 * (bits.reshape(-1, 32, 32) - ord("0"))
    return npz(x=x, y=np.array([label for _, label in digits]).astype(np.uint8))


def photos_mit(archive: bytes) -> bytes:
    """`handwritten_digits/DIGIT/NAME` → upright `DIGIT/DIGIT_NUMBER.jpg`."""
    licence, photos = repository(archive, "handwritten_digits")
    numbers = [count(first) for first in FIRST_PHOTO]
    return zipped(
        licence,
        {
            f"{name[0]}/{name[0]}_{next(numbers[int(name[0])]):03}.jpg": scaled(photo)
            for name, photo in photos.items()
        },
    )


def scaled(photo: bytes) -> bytes:
    """JPEG, whose bytes depend on libjpeg: as in the Pillow of requirements.lock."""
    image = Image.open(BytesIO(photo))
    image.draft("RGB", (PHOTO_DECODED_SIDE, PHOTO_DECODED_SIDE))
    image = ImageOps.exif_transpose(image).convert("RGB")
    image.thumbnail((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=PHOTO_QUALITY)
    return buffer.getvalue()


CONVERTERS = {
    "bhmsds.npz": bhmsds,
    "handwritten62.zip": handwritten62,
    "hwd1000.zip": hwd1000,
    "optdigits.npz": optdigits,
    "photos_mit.zip": photos_mit,
}


def is_right(source: Source, file: bytes) -> bool:
    try:
        return content_digest(source.file, file) == source.sha256
    except MALFORMED:
        return False


def converted(source: Source, original: bytes) -> bytes:
    """Sets without a converter are published in the form that training reads."""
    try:
        return CONVERTERS.get(source.file, bytes)(original)
    except MALFORMED:
        return b""


def download(url: str, by_hand: Path) -> bytes:
    try:
        with urlopen(url, timeout=TIMEOUT) as response:
            return response.read()
    except (OSError, HTTPException) as error:
        raise Missing(
            f"{url} cannot be fetched ({error}): save it as {by_hand} and run again"
        ) from error


def fetch(source: Source, directory: Path) -> str:
    """Make the set's file unless it is there and right; returns what was done.

    Raises Missing where its source gives nothing, or other content.
    """
    path = directory / source.file
    if path.exists() and is_right(source, path.read_bytes()):
        return "already there"
    by_hand = path.with_name(f"{path.name}.download")
    url = by_hand.absolute().as_uri() if by_hand.exists() else source.url
    file = converted(source, download(url, by_hand))
    if not is_right(source, file):
        raise Missing(f"{url} has another SHA-256 than in sources.csv: nothing is kept")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_bytes(file)
    unfinished.replace(path)
    return f"made from {url}"


def is_there(source: Source, directory: Path) -> bool:
    """Fetch the set if need be, with a line about it."""
    print(f"{source.file}: ", end="", flush=True)
    try:
        print(fetch(source, directory))
    except (Missing, OSError) as reason:
        print(reason)
        return False
    return True


def published() -> list[Source]:
    with SOURCES.open(newline="") as file:
        return [Source(**row) for row in csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the files belong")
    directory = parser.parse_args().directory
    sources = published()
    there = sum(is_there(source, directory) for source in sources)
    print(f"{there} of {len(sources)} files are in {directory}")
    sys.exit(there < len(sources))


if __name__ == "__main__":
    main()
