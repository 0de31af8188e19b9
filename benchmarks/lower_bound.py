"""The service's work without HTTP, alone on a core: python lower_bound.py PICTURE ...

Run in a folder with the service, whose app.py it imports. Prints as JSON the seconds of
each answer, a list for each picture.
"""

import json
import os
import sys
import time
from io import BytesIO
from pathlib import Path

BURN_IN_SECONDS, SECONDS = 1, 3


def answer(app, data: bytes) -> str:
    """Bytes → JSON, as app.predict does it between taking the file and sending."""
    recognition = app.RECOGNISER.recogniser.recognise(data, app.settings.MAX_PIXELS)
    extension = app.decoding.EXTENSIONS[recognition.format][0]
    name = app.UPLOADS.save(BytesIO(data), extension)
    result = [
        {"class": app.CLASS[digit], "prob": percent}
        for digit, percent in recognition.ranking()
    ]
    box = recognition.box and recognition.box._asdict()
    return app.app.json.dumps(
        {"classification_result": result, "image_url": name, "box": box}
    )


def durations(app, data: bytes, seconds: float) -> list[float]:
    """In CPU time, as the core has others' work to do as well."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.process_time()
        answer(app, data)
        times.append(time.process_time() - began)
    return times


if __name__ == "__main__":
    # As the service does with its workers.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sys.path.insert(0, os.getcwd())
    import app

    pictures = [Path(path).read_bytes() for path in sys.argv[1:]]
    for data in pictures:
        durations(app, data, BURN_IN_SECONDS)
    print(json.dumps([durations(app, data, SECONDS) for data in pictures]))
