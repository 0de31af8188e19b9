"""requirements.lock is what `make lock` makes of requirements.txt."""

import re

import pytest
from server import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
LOCKED = re.findall(r"^([\w.-]+==\S+)(?: ;.*)? \\\n    --hash=sha256:", LOCK, re.M)


def pins(file: str) -> list[str]:
    return re.findall(r"^[\w.-]+==\S+$", (ROOT / file).read_text(), re.M)


@pytest.mark.parametrize("pin", pins("requirements.txt"))
def test_requirement_is_locked(pin):
    assert pin in LOCKED


def test_everything_locked_has_hashes():
    assert len(LOCKED) == len(re.findall(r"^[^\s#]", LOCK, re.M))


def test_tests_do_not_change_what_is_locked():
    versions = dict(pin.split("==") for pin in LOCKED)
    wanted = dict(pin.split("==") for pin in pins("requirements-dev.txt"))
    shared = versions.keys() & wanted.keys()
    assert {name: wanted[name] for name in shared} == {
        name: versions[name] for name in shared
    }
