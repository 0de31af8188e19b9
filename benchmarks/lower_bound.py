"""The service's work without HTTP, on one core."""

import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.environments import ROOT

BURN_IN_SECONDS, SECONDS = 1, 3


def seconds_each(data: bytes, scratch: str) -> float:
    """CPU time of an answer to a picture; the core has others' work to do as well."""
    import answers
    from recognition.inference import Recogniser  # loads TensorFlow
    from recognition.model import load_model

    # As the service does with its workers.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    recogniser = Recogniser(load_model(ROOT / "model.keras"))
    with TemporaryDirectory(dir=scratch) as folder:
        upload = Path(folder, "upload.jpg")
        for seconds in (BURN_IN_SECONDS, SECONDS):
            count, began = 0, time.process_time()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                recognition = recogniser.recognise(data, max_pixels=10**9)
                upload.write_bytes(data)
                json.dumps(answers.prediction(recognition, str(upload)))
                count += 1
    return (time.process_time() - began) / count
