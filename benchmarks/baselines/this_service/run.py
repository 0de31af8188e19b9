"""This service, as POST /predict reads a picture."""

from pathlib import Path

import app


def read(path: str) -> int:
    data = Path(path).read_bytes()
    recognition = app.RECOGNISER.recogniser.recognise(data, app.settings.MAX_PIXELS)
    return int(recognition.probabilities.argmax())
