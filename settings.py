"""Settings read from the environment; a malformed one stops the start with its name."""

import os
import re


def whole_number(name: str, default: int, least: int = 1, most: int = 10**15) -> int:
    text = os.environ.get(name, str(default))
    if not re.fullmatch("[0-9]{1,16}", text) or not least <= int(text) <= most:
        raise SystemExit(
            f"{name} must be a whole number from {least} to {most}, not {text!r}."
        )
    return int(text)


PORT = whole_number("PORT", 5000, most=65535)
# Every upload is held in memory until it is answered: see worker.py for how many.
MAX_UPLOAD_BYTES = whole_number("MAX_UPLOAD_BYTES", 20_000_000, most=1_000_000_000)
MAX_PIXELS = whole_number("MAX_PIXELS", 64_000_000)
# With room for less, a picture could be gone before its link is opened.
UPLOADS_MAX_BYTES = whole_number("UPLOADS_MAX_BYTES", 2**31, least=2 * MAX_UPLOAD_BYTES)
UPLOADS_MAX_AGE_DAYS = whole_number("UPLOADS_MAX_AGE_DAYS", 30, most=36_500)
# Behind a proxy that keeps an upload until it is complete, one takes milliseconds.
MAX_REQUEST_SECONDS = whole_number("MAX_REQUEST_SECONDS", 60, most=86_400)
# 64 phone photos at once wait a second on two cores.
MAX_WAIT_SECONDS = whole_number("MAX_WAIT_SECONDS", 10, most=86_400)
# Proxies in front, each of which sets X-Forwarded-For, -Proto, -Host and -Prefix:
# whatever it does not set, a client may.
TRUSTED_PROXIES = whole_number("TRUSTED_PROXIES", 0, least=0, most=10)
