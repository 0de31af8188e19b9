"""Where each microsecond of an answer goes: python -m benchmarks.stages

Times every stage by itself, again and again, in CPU time; what the stages
leave of the whole answer is Flask's, what that leaves of the served one is the worker's
and the kernel's. Prints a Markdown table. Needs Linux.
"""

import argparse
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
import preprocessing

import app as service
from benchmarks.client import BOUNDARY, multipart
from benchmarks.growth import figures_of
from benchmarks.growth import service as served
from benchmarks.running import scratch_folder
from benchmarks.throughput import SIZES, jpeg
from uploads import Uploads

TIMES, BATCHES = 20, 15
# Few enough not to wait, enough to keep the one worker busy.
CONNECTIONS = 4


def microseconds(call: Callable[[], object]) -> float:
    """The median over batches: what else the machine does disturbs some of them."""
    batches = []
    for _ in range(BATCHES):
        began = time.process_time()
        for _ in range(TIMES):
            call()
        batches.append((time.process_time() - began) / TIMES)
    return 1e6 * median(batches[1:])


def stages(data: bytes) -> dict[str, Callable[[], object]]:
    """The calls of `app.read` and `app.predict`, each with what it gets there."""
    picture, *_ = preprocessing.decode(data, service.MAX_PIXELS)
    grey = preprocessing.to_grey(picture)
    small = preprocessing.reduce(grey, preprocessing.SEARCH_SIDE).astype(np.float32)
    paper, light_ink = preprocessing.evened(small)
    if light_ink:
        grey, small = 255 - grey, 255 - small
    even = small / paper
    likelier, _ = preprocessing.closings(even)
    ink = preprocessing.ink_on(likelier, even)
    prepared, probabilities = service.read(data)
    answer = {"classification_result": service.ranked(probabilities)}
    answer |= {"image_url": "http://127.0.0.1:5000/static/uploads/name.jpg"}
    answer |= {"box": prepared.box and prepared.box._asdict()}
    return {
        "decode": lambda: preprocessing.decode(data, service.MAX_PIXELS),
        "grey": lambda: preprocessing.to_grey(picture),
        "shrink": lambda: preprocessing.reduce(grey, preprocessing.SEARCH_SIDE),
        "even out the paper": lambda: preprocessing.evened(small),
        "tell ink from shade": lambda: preprocessing.ink_on(
            preprocessing.closings(even)[0], even
        ),
        "find the digit and frame it": lambda: preprocessing.closeup(grey, paper, ink),
        "model": lambda: service.classify(prepared.pixels),
        "rank": lambda: service.ranked(probabilities),
        "save": lambda: service.UPLOADS.save(data, "jpg"),
        "JSON": lambda: service.app.json.dumps(answer),
    }


def whole_answer(data: bytes) -> Callable[[], object]:
    """One request through Flask, as gunicorn hands it over."""
    _, _, body = multipart(data, service.PORT).partition(b"\r\n\r\n")
    fixed = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/predict",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(service.PORT),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": f"127.0.0.1:{service.PORT}",
        "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }

    def call() -> None:
        answer = service.app({**fixed, "wsgi.input": BytesIO(body)}, begin)
        b"".join(answer)
        answer.close()

    return call


def begin(status: str, _headers: list, _error: object = None) -> None:
    if status != "200 OK":
        raise RuntimeError(f"The service answers {status}.")


def column(data: bytes, seconds: float) -> dict[str, float]:
    """Microseconds of CPU time for each stage of one picture's answer."""
    times = {name: microseconds(call) for name, call in stages(data).items()}
    answer = microseconds(whole_answer(data))
    with served(workers=1) as server:
        whole = 1000 * figures_of(server, data, CONNECTIONS, seconds).cpu_ms
    times["Flask: form, routing, headers"] = answer - sum(times.values())
    times["worker and kernel: sockets, HTTP"] = whole - answer
    return {**times, "all": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="as 90x140")
    parser.add_argument("--seconds", type=float, default=3, help="under load")
    options = parser.parse_args()
    with scratch_folder() as folder:
        service.UPLOADS = Uploads(Path(folder), 2**31, 1)
        columns = [column(jpeg(size), options.seconds) for size in options.sizes]
    print(f"| CPU, µs | {' | '.join(options.sizes)} |")
    print(f"|---|{'---|' * len(columns)}")
    for name in columns[0]:
        cells = [f"{c[name]:,.0f} ({c[name] / c['all']:.0%})" for c in columns]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
