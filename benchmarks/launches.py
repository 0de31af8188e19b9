"""How each server is started: this service as in the README, others as they advise."""

import shutil
import socket
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from benchmarks.environments import CACHE, ROOT, python_of

HOST = "127.0.0.1"
OURS, TUTORIAL, WORKERS = "this service", "tutorial", 2
# Python modules with their arguments, run from the root.
BASELINES = {
    # Threads: four for each core, the most that gunicorn's documentation advises. With
    # an access log, as all others have one by default.
    TUTORIAL: "gunicorn benchmarks.servers.tutorial:app --config=/dev/null "
    "--bind={host}:{port} --workers={workers} --worker-class=gthread --threads=8 "
    "--timeout=120 --keep-alive=75 --access-logfile=-",
    "FastAPI": "uvicorn benchmarks.servers.with_fastapi:app --host={host} "
    "--port={port} --workers={workers} --loop=uvloop --http=httptools",
    "LitServe": "benchmarks.servers.with_litserve {port} {workers}",
    "BentoML": "bentoml serve benchmarks.servers.with_bentoml:DigitsService "
    "--host={host} --port={port}",
}


# The command, the folder to run it in, and its environment.
Launch = tuple[list[str], Path, dict[str, str]]
# A folder for the uploads and a port → how to start it.
Start = Callable[[Path, int], Launch]


def service_in(root: Path, folder: Path, port: int) -> Launch:
    copy_service(folder, root)
    environment = {"PORT": str(port), "WEB_CONCURRENCY": str(WORKERS)}
    return [sys.executable, "-m", "gunicorn", "app:app"], folder, environment


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


def baseline(name: str, preparation: str, folder: Path, port: int) -> Launch:
    environment = {
        "MODEL": str(ROOT / "model.keras" if name == TUTORIAL else litert_model()),
        "PREPARATION": preparation,
        "UPLOADS": str(folder),
        "WORKERS": str(WORKERS),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(folder / "bentoml"),
    }
    command = BASELINES[name].format(host=HOST, port=port, workers=WORKERS)
    return [python_of(name.lower()), "-m", *command.split()], ROOT, environment


@cache
def litert_model() -> Path:
    """model.keras as the service runs it."""
    from recognition.model import FAST, litert_file, load_model  # takes seconds

    CACHE.mkdir(exist_ok=True)
    target = CACHE / "model.tflite"
    target.write_bytes(litert_file(load_model(ROOT / "model.keras"), FAST))
    return target


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


# By the name that --servers knows them by.
ALL: dict[str, Start] = {
    OURS: partial(service_in, ROOT),
    TUTORIAL: partial(baseline, TUTORIAL, "usual"),
} | {
    f"{name}, {preparation} preparation": partial(baseline, name, preparation)
    for name in ("FastAPI", "LitServe", "BentoML")
    for preparation in ("usual", "our")
}
