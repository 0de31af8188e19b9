"""This service, as POST /predict reads a picture."""

from pathlib import Path

from app import classify
from benchmarks.peers.protocol import answer_each, versions_of
from preprocessing import prepare


def read(path: str) -> int:
    return int(classify(prepare(Path(path).read_bytes()).pixels).argmax())


if __name__ == "__main__":
    packages = ("tensorflow", "keras", "opencv-python-headless", "pillow", "numpy")
    answer_each(read, versions_of(*packages))
