"""A BentoML service; it writes each upload to a temporary file and passes the path."""

import os
from pathlib import Path

import bentoml

from benchmarks.servers.work import Work


# With one thread, its default, a fifth fewer requests at 16 connections.
@bentoml.service(workers=int(os.environ["WORKERS"]), threads=4)
class DigitsService(Work):
    @bentoml.api(route="/predict")
    def predict(self, file: Path) -> dict:
        return self.answer(file.read_bytes())
