"""What baselines run in: an environment of their own where they have requirements."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parent.parent
CACHE = ROOT / "benchmarks" / "cache"
# Alike for every baseline, whatever the shell has set.
ENVIRONMENT = {
    **os.environ,
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class LeftOut(Exception):
    """Why a baseline takes no part, in a line."""


def chosen(
    names: list[str], beginnings: list[str] | None, parser: argparse.ArgumentParser
) -> list[str]:
    """Those of the names that begin so, or all."""
    if beginnings is None:
        return names
    starts = tuple(beginning.lower() for beginning in beginnings)
    found = [name for name in names if name.lower().startswith(starts)]
    return found or parser.error(f"there are {'; '.join(names)}")


def python_of(folder: Path) -> str:
    """The Python that runs a baseline, its environment made anew with its pins."""
    requirements = folder / "requirements.txt"
    if not requirements.exists():
        return sys.executable
    environment = CACHE / folder.name
    python, stamp = environment / "bin" / "python", environment / "installed.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        finish([sys.executable, "-m", "venv", "--clear", str(environment)])
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
        finish([*pip, "-r", str(requirements)])
        # Written last: without it the environment is half made.
        stamp.write_text(requirements.read_text())
    return str(python)


def pins(folder: Path) -> str:
    """The versions of this service's packages and of the baselines' below a folder."""
    files = [ROOT / "requirements.txt", *sorted(folder.glob("*/requirements.txt"))]
    text = "\n".join(path.read_text() for path in files)
    found = dict.fromkeys(re.findall(r"(?m)^(.+)==(.+)$", text))
    return ", ".join(f"{package} {version}" for package, version in found)


def finish(command: list[str]) -> None:
    with TemporaryFile("w+") as log:
        # What it does can take minutes: its progress is shown.
        done = subprocess.run(
            command, cwd=ROOT, env=ENVIRONMENT, stdout=sys.stderr, stderr=log
        )
        if done.returncode:
            raise LeftOut(last_line(log))


def last_line(log) -> str:
    log.seek(0)
    return log.read().strip().rpartition("\n")[2] or "it ended without a message"
