"""Settings read from the environment; a malformed one ends the start with its name."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path


def whole_number(name: str, default: int, least: int = 1, most: int = 10**15) -> int:
    text = os.environ.get(name, str(default))
    if not re.fullmatch("[0-9]{1,16}", text) or not least <= int(text) <= most:
        raise SystemExit(
            f"{name} must be a whole number from {least} to {most}, not {text!r}."
        )
    return int(text)


def cores(root: Path = Path("/")) -> int:
    """How many cores this process may keep busy, by its affinity and its container."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return min([count, *map(ceil, cpu_quotas(root))])


def cpu_quotas(root: Path) -> Iterator[float]:
    """In cores: those of the control groups (version 1 and 2) of this process."""
    groups = root / "proc/self/cgroup"
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount, files = "", ["cpu.max"]
        if controllers:
            mount, files = "cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        group = root / "sys/fs/cgroup" / mount / name.lstrip("/")
        for folder in (group, *group.parents):
            with suppress(OSError, ValueError):  # "max" or -1: without a limit
                texts = [(folder / each).read_text() for each in files]
                quota, period = map(int, " ".join(texts).split())
                if quota > 0:
                    yield quota / period


PORT = whole_number("PORT", 5000, most=65535)
MAX_UPLOAD_BYTES = whole_number("MAX_UPLOAD_BYTES", 20_000_000, most=1_000_000_000)
MAX_PIXELS = whole_number("MAX_PIXELS", 64_000_000)
# With room for less, a picture could be deleted before its link is opened.
UPLOADS_MAX_BYTES = whole_number("UPLOADS_MAX_BYTES", 2**31, least=2 * MAX_UPLOAD_BYTES)
UPLOADS_MAX_AGE_DAYS = whole_number("UPLOADS_MAX_AGE_DAYS", 30, most=36_500)
# The longest pause in a body, or in the sending of an answer.
MAX_REQUEST_SECONDS = whole_number("MAX_REQUEST_SECONDS", 60, most=86_400)
# 64 phone photos together wait a second on two cores; ten are an overload.
MAX_WAIT_SECONDS = whole_number("MAX_WAIT_SECONDS", 10, most=86_400)
# Proxies in front, each of which sets X-Forwarded-For, -Proto, -Host and -Prefix:
# whatever it does not set, a client may.
TRUSTED_PROXIES = whole_number("TRUSTED_PROXIES", 0, least=0, most=10)
