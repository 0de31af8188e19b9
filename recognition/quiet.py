"""Keeps what TensorFlow and LiteRT print at their start out of the log."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Of later messages only the fatal ones are shown; any other level shows all of them,
# such as that the processor is too old.
IS_QUIET = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3"


@contextmanager
def native_messages_hidden() -> Iterator[None]:
    """Their C++ writes to file descriptor 2 before any level can be set."""
    if not IS_QUIET:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
