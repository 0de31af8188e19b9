"""The service's work without HTTP, alone on a core: python lower_bound.py PICTURE ...

Run in a folder with the service, whose app.py it imports. Prints the CPU seconds of an
answer to each picture as JSON.
"""

import json
import os
import sys
import time
from io import BytesIO
from pathlib import Path

BURN_IN_ANSWERS, SECONDS = 100, 3


def answer(app, data: bytes) -> str:
    """Bytes → JSON, as app.predict does it between taking the file and sending."""
    recognition = app.RECOGNISER.recogniser.recognise(data, app.settings.MAX_PIXELS)
    name = app.UPLOADS.save(BytesIO(data), "jpg")
    return app.app.json.dumps(app.answers.prediction(recognition, name))


def seconds_each(app, data: bytes) -> float:
    """In CPU time, as the core has others' work to do as well."""
    for _ in range(BURN_IN_ANSWERS):
        answer(app, data)
    count, began, end = 0, time.process_time(), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        answer(app, data)
        count += 1
    return (time.process_time() - began) / count


if __name__ == "__main__":
    # As the service does with its workers.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sys.path.insert(0, os.getcwd())
    import app

    pictures = [Path(path).read_bytes() for path in sys.argv[1:]]
    print(json.dumps([seconds_each(app, data) for data in pictures]))
