"""What every peer's run.py does: paths of pictures on stdin → lines of JSON on stdout.

The first line names the versions, each further one the digit read in a picture, null
where the peer gives none.
"""

import json
import re
import sys
from collections.abc import Callable
from importlib.metadata import version


def answer_each(read: Callable[[str], int | None], versions: str) -> None:
    print(json.dumps(versions), flush=True)
    for line in sys.stdin:
        print(json.dumps(read(line.rstrip("\n"))), flush=True)


def first_digit(text: str) -> int | None:
    found = re.search("[0-9]", text)
    return int(found[0]) if found else None


def versions_of(*packages: str) -> str:
    return ", ".join(f"{package} {version(package)}" for package in packages)
