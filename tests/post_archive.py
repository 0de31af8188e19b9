"""Post every file of a ZIP to a running service and report how it bore it.

python tests/post_archive.py FILE.zip http://127.0.0.1:5000 --uploads static/uploads
"""

import argparse
import sys
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import requests

ALLOWED = (".jpg", ".jpeg", ".png")
SLOW_SECONDS = 2.0


class Answer(NamedTuple):
    name: str
    status: int
    seconds: float
    is_json: bool
    left_behind: int


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("archive", type=Path)
    parser.add_argument("url")
    parser.add_argument("--uploads", type=Path, help="the service's folder of uploads")
    return parser.parse_args()


def stored(folder: Path | None) -> int:
    return len(list(folder.iterdir())) if folder else 0


def post(url: str, name: str, data: bytes, folder: Path | None) -> Answer:
    upload = PurePosixPath(name).name
    if not upload.lower().endswith(ALLOWED):
        upload += ".png"
    before = stored(folder)
    reply = requests.post(f"{url}/predict", files={"file": (upload, data)}, timeout=60)
    is_json = reply.headers["Content-Type"] == "application/json"
    left_behind = 0 if reply.ok else stored(folder) - before
    seconds = reply.elapsed.total_seconds()
    return Answer(name, reply.status_code, seconds, is_json, left_behind)


def is_bad(answer: Answer) -> bool:
    slow = answer.seconds > SLOW_SECONDS
    return answer.status >= 500 or slow or answer.left_behind > 0 or not answer.is_json


def main() -> None:
    args = arguments()
    with zipfile.ZipFile(args.archive) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        answers = [
            post(args.url, name, archive.read(name), args.uploads) for name in names
        ]
    slowest = max(answers, key=lambda answer: answer.seconds)
    bad = [answer for answer in answers if is_bad(answer)]
    print(*sorted(Counter(answer.status for answer in answers).items()))
    print(f"slowest: {slowest.seconds:.3f} s, {slowest.name}")
    print(f"bad: {len(bad)} of {len(answers)}", *bad, sep="\n  ")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
