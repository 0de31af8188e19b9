"""A BentoML service; it writes each upload to a temporary file and passes the path."""

import os
from pathlib import Path

import bentoml

from benchmarks.servers.work import Digits


@bentoml.service(workers=int(os.environ["WORKERS"]))
class DigitsService:
    def __init__(self) -> None:
        self.digits = Digits()

    @bentoml.api(route="/predict")
    def predict(self, file: Path) -> dict:
        return self.digits.answer(file.read_bytes())
