"""BentoML services: one prepares pictures, the other classifies them in batches.

A batchable API takes a list, so that single uploads need a service in front of it.
"""

import os
from pathlib import Path

import bentoml
import numpy as np

from benchmarks.servers.work import MAX_BATCH_SIZE, Model, answer, prepare

# Batches form only from requests that are under way at the same time.
THREADS = 4
# A batch that is expected to take longer is refused with 503.
MAX_LATENCY_MS = 60_000


@bentoml.service
class Classifier:
    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(
        batchable=True, max_batch_size=MAX_BATCH_SIZE, max_latency_ms=MAX_LATENCY_MS
    )
    def classify(self, pixels: np.ndarray) -> np.ndarray:
        return self.model.classify(pixels)


@bentoml.service(workers=int(os.environ["WORKERS"]), threads=THREADS)
class DigitsService:
    classifier = bentoml.depends(Classifier)

    @bentoml.api(route="/predict")
    def predict(self, file: Path) -> dict:
        data = file.read_bytes()
        prepared = prepare(data)
        probabilities = self.classifier.classify(prepared[0].pixels[None])[0]
        return answer(data, prepared, probabilities)
