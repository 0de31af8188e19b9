"""Programs that some tests need and not every machine has."""

import os
import shutil

import pytest

SBIN = os.pathsep + "/usr/sbin"


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ["PATH"] + SBIN)
    if not found and "CI" in os.environ:
        pytest.fail(f"{name} is missing")
    if not found:
        pytest.skip(f"needs {name}")  # optional here; CI fails
    return found
