"""A BentoML service; it writes each upload to a temporary file and passes the path.

Adaptive batching, off by default, needs a second service in front for single uploads;
passing the pixels on takes more CPU time than all the rest.
"""

import os
from pathlib import Path

import bentoml

from benchmarks.servers.work import Model, answer, prepare

# With one, its default, a fifth fewer requests at 16 connections.
THREADS = 4


@bentoml.service(workers=int(os.environ["WORKERS"]), threads=THREADS)
class DigitsService:
    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(route="/predict")
    def predict(self, file: Path) -> dict:
        data = file.read_bytes()
        prepared = prepare(data)
        probabilities = self.model.classify(prepared[0].pixels[None])[0]
        return answer(data, prepared, probabilities)
