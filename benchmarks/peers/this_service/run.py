"""This service, as POST /predict reads a picture."""

from pathlib import Path

import app
from benchmarks.peers.protocol import answer_each, versions_of


def read(path: str) -> int:
    return int(app.read(Path(path).read_bytes())[1].argmax())


if __name__ == "__main__":
    packages = (
        "tensorflow",
        "ai-edge-litert",
        "keras",
        "opencv-python-headless",
        "pillow",
        "simplejpeg",
        "numpy",
    )
    answer_each(read, versions_of(*packages))
