"""What baselines run in: each an environment of its own, with pinned versions."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = ROOT / "benchmarks" / "cache"
# As the service has them.
SHARED = [
    f"{package}=={version(package)}"
    for package in ("numpy", "opencv-python-headless", "pillow")
]
LITERT = "ai-edge-litert==2.3.0 python-multipart==0.0.34"
ONNX = "onnxruntime==1.32.0"
REQUIREMENTS = {
    "bentoml": f"bentoml==1.4.39 {LITERT}",
    "digit_recognizer": "digit-recognizer-py==0.1.0 torch==2.14.1 torchvision==0.29.1",
    "fastapi": f"fastapi==0.165.0 uvicorn[standard]==0.54.0 {LITERT}",
    "litserve": f"litserve==0.2.19 {LITERT}",
    # The package ships the models; these are its last with PP-OCRv4, and its newest.
    "rapidocr_v4": f"rapidocr==3.8.4 {ONNX}",
    "rapidocr_v6": f"rapidocr==3.10.0 {ONNX}",
}
# Alike for every baseline, whatever the shell has set.
ENVIRONMENT = {
    **os.environ,
    "CUDA_VISIBLE_DEVICES": "-1",
    "GUNICORN_CMD_ARGS": "",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def chosen(names: list[str], beginnings: list[str] | None) -> list[str]:
    """Those of the names that begin so, or all."""
    starts = tuple(beginning.lower() for beginning in beginnings or [""])
    found = [name for name in names if name.lower().startswith(starts)]
    return found or sys.exit(f"there are {'; '.join(names)}")


def python_of(name: str) -> str:
    """The Python that runs a baseline, its environment made anew with its pins.

    Raises CalledProcessError.
    """
    if name not in REQUIREMENTS:
        return sys.executable
    wanted = "\n".join(REQUIREMENTS[name].split() + SHARED)
    environment = CACHE / name
    python, stamp = environment / "bin" / "python", environment / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv = [sys.executable, "-m", "venv", "--clear", environment]
        pip = [python, "-m", "pip", "install", *wanted.split()]
        for command in (venv, pip):
            # Takes minutes: its progress is shown.
            subprocess.run(command, stdout=sys.stderr, check=True)
        # Written last: without it the environment is half made.
        stamp.write_text(wanted)
    return str(python)


def pins(names: list[str]) -> str:
    """The versions that the baselines have."""
    found = [each for name in names for each in REQUIREMENTS.get(name, "").split()]
    return ", ".join(dict.fromkeys(found + SHARED)).replace("==", " ")
