"""How each server is started: this service as in the README, others as they advise."""

import hashlib
import shutil
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.environments import CACHE, ROOT, finish, python_of

HOST = "127.0.0.1"
SERVERS = ROOT / "benchmarks" / "servers"
OURS = "this service"
WORKERS = 2
# Four for each core, the most that gunicorn's documentation advises.
TUTORIAL_THREADS = 8
GUNICORN = [sys.executable, "-m", "gunicorn", "app:app"]
# Python modules with their arguments.
BASELINES = {
    "FastAPI": "uvicorn benchmarks.servers.fastapi.app:app --host={host} --port={port} "
    "--workers={workers} --loop=uvloop --http=httptools",
    "LitServe": "benchmarks.servers.litserve.app {port} {workers}",
    "BentoML": "bentoml serve benchmarks.servers.bentoml.service:DigitsService "
    "--host={host} --port={port}",
}


class Launch(NamedTuple):
    command: list[str]
    folder: Path
    environment: dict[str, str]


# A folder for the uploads and a port → how to start it.
Start = Callable[[Path, int], Launch]


def service_in(root: Path, folder: Path, port: int) -> Launch:
    copy_service(folder, root)
    environment = {"PORT": str(port), "WEB_CONCURRENCY": str(WORKERS)}
    return Launch(GUNICORN, folder, {**environment, "GUNICORN_CMD_ARGS": ""})


def copy_service(folder: Path, root: Path = ROOT) -> None:
    """Its uploads lie beside its code: a copy keeps them out of the repository."""
    for path in [*root.glob("*.py"), root / "model.keras"]:
        shutil.copy(path, folder)
    left_out = shutil.ignore_patterns("uploads", "__pycache__")
    (folder / "static" / "uploads").mkdir(parents=True, exist_ok=True)
    for name in ("static", "templates", "recognition"):
        if (root / name).is_dir():
            copied = folder / name
            shutil.copytree(root / name, copied, ignore=left_out, dirs_exist_ok=True)


def tutorial(folder: Path, port: int) -> Launch:
    """With an access log, as all others have one by default."""
    arguments = (
        f"--bind={HOST}:{port} --workers={WORKERS} --worker-class=gthread "
        f"--threads={TUTORIAL_THREADS} --timeout=120 --keep-alive=75 "
        "--access-logfile=-"
    )
    environment = {"STATIC_FOLDER": str(folder), "GUNICORN_CMD_ARGS": arguments}
    return Launch(GUNICORN, SERVERS / "tutorial", environment)


def baseline(name: str, preparation: str, folder: Path, port: int) -> Launch:
    """A Python module, run in an environment of its own from the root."""
    environment = {
        "MODEL": str(onnx_model()),
        "PREPARATION": preparation,
        "PUBLIC_URL": f"http://{HOST}:{port}/static/uploads",
        "UPLOADS": str(folder),
        "WORKERS": str(WORKERS),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(folder / "bentoml"),
    }
    python = python_of(SERVERS / name.lower())
    command = BASELINES[name].format(host=HOST, port=port, workers=WORKERS)
    return Launch([python, "-m", *command.split()], ROOT, environment)


def onnx_model() -> Path:
    """The weights of model.keras for ONNX Runtime, exported once for each model."""
    exporter = SERVERS / "onnx" / "export.py"
    made_of = (ROOT / "model.keras").read_bytes() + exporter.read_bytes()
    target = CACHE / f"model-{hashlib.sha256(made_of).hexdigest()[:16]}.onnx"
    if not target.exists():
        python, module = python_of(exporter.parent), "benchmarks.servers.onnx.export"
        finish([python, "-m", module, str(target)])
    return target


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


# By the name that --servers knows them by.
ALL: dict[str, Start] = {OURS: partial(service_in, ROOT), "tutorial": tutorial} | {
    f"{name}, {preparation} preparation": partial(baseline, name, preparation)
    for name in BASELINES
    for preparation in ("usual", "our")
}
