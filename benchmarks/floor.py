"""The service's work without HTTP, in a bare loop on the core that is its argument.

Reads lines of JSON, [path of a picture, seconds], and answers each with a line of JSON:
the seconds of each answer, the CPU seconds of all. It takes app.py from the folder that
it is started in, as the service does, and saves the pictures there.
"""

import json
import os
import sys
import time
from pathlib import Path

BURN_IN_SECONDS = 1


def answer(app, data: bytes) -> str:
    """Bytes → JSON, as app.predict does it between taking the file and sending."""
    picture, probabilities = app.read(data)
    result = app.ranked(probabilities)
    name = app.UPLOADS.save(data, app.EXTENSIONS[picture.format][0])
    image_url = f"http://127.0.0.1:5000/static/uploads/{name}"
    box = picture.box and picture.box._asdict()
    return app.app.json.dumps(
        {"classification_result": result, "image_url": image_url, "box": box}
    )


def repeat(app, data: bytes, seconds: float) -> list[float]:
    durations, end = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        answer(app, data)
        durations.append(time.perf_counter() - began)
    return durations


def main() -> None:
    # As the service does with its workers.
    os.sched_setaffinity(0, {int(sys.argv[1])})
    sys.path.insert(0, os.getcwd())
    import app

    for line in sys.stdin:
        path, seconds = json.loads(line)
        data = Path(path).read_bytes()
        repeat(app, data, BURN_IN_SECONDS)
        began = time.process_time()
        durations = repeat(app, data, seconds)
        print(json.dumps([durations, time.process_time() - began]), flush=True)


if __name__ == "__main__":
    main()
