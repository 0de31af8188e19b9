"""How each is started: this service as in the README, its peers as they advise."""

import hashlib
import runpy
import shutil
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.client import HOST
from benchmarks.environments import CACHE, ROOT, finish, python_of

SERVERS = ROOT / "benchmarks" / "servers"
WORKERS = 2
# Four for each core, the most that gunicorn's documentation advises.
TUTORIAL_THREADS = 8
GUNICORN = [sys.executable, "-m", "gunicorn", "app:app"]


class Launch(NamedTuple):
    command: list[str]
    folder: Path
    environment: dict[str, str]


# A folder for the uploads and a port → how to start it.
Start = Callable[[Path, int], Launch]


class Server(NamedTuple):
    start: Start
    # Which preparation: with ours, the answers have to be those of this service.
    is_ours: bool


def this_service(folder: Path, port: int) -> Launch:
    return service_in(ROOT, folder, port)


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
    for name in ("static", "recognition"):
        if (root / name).is_dir():
            copied = folder / name
            shutil.copytree(root / name, copied, ignore=left_out, dirs_exist_ok=True)


def tutorial(folder: Path, port: int) -> Launch:
    ours = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    command = [
        *GUNICORN,
        f"--bind={HOST}:{port}",
        f"--workers={WORKERS}",
        "--worker-class=gthread",
        f"--threads={TUTORIAL_THREADS}",
        f"--timeout={ours['timeout']}",
        f"--keep-alive={ours['keepalive']}",
    ]
    environment = {"STATIC_FOLDER": str(folder), "GUNICORN_CMD_ARGS": ""}
    return Launch(command, SERVERS / "tutorial", environment)


def fastapi(port: int) -> list[str]:
    server = ["uvicorn", "benchmarks.servers.fastapi.app:app"]
    return [*server, f"--port={port}", f"--workers={WORKERS}"]


def litserve(port: int) -> list[str]:
    return ["benchmarks.servers.litserve.app", str(port), str(WORKERS)]


def bentoml(port: int) -> list[str]:
    service = "benchmarks.servers.bentoml.service:DigitsService"
    return ["bentoml", "serve", service, f"--host={HOST}", f"--port={port}"]


def mlserver(port: int) -> list[str]:
    return ["mlserver.cli.main", "start", str(SERVERS / "mlserver")]


def peer(
    module: Callable[[int], list[str]], preparation: str, folder: Path, port: int
) -> Launch:
    """Python modules, run in an environment of their own from the root."""
    python = python_of(SERVERS / module.__name__)
    environment = {
        "MODEL": str(onnx_model()),
        "PREPARATION": preparation,
        "PUBLIC_URL": f"http://{HOST}:{port}/static/uploads",
        "UPLOADS": str(folder),
        "PYTHONPATH": str(ROOT),
        **settings(port, folder),
    }
    return Launch([python, "-m", *module(port)], ROOT, environment)


def settings(port: int, folder: Path) -> dict[str, str]:
    """What BentoML and MLServer take from the environment."""
    return {
        "WORKERS": str(WORKERS),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(folder / "bentoml"),
        "MLSERVER_DEBUG": "false",
        "MLSERVER_HOST": HOST,
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(free_port()),
        "MLSERVER_METRICS_PORT": str(free_port()),
        "MLSERVER_METRICS_DIR": str(folder / "metrics"),
        "MLSERVER_ENVIRONMENTS_DIR": str(folder / "environments"),
        "MLSERVER_PARALLEL_WORKERS": str(WORKERS),
    }


def onnx_model() -> Path:
    """The weights of model.keras for ONNX Runtime, exported once for each model."""
    digest = hashlib.sha256((ROOT / "model.keras").read_bytes()).hexdigest()[:16]
    target = CACHE / f"model-{digest}.onnx"
    if not target.exists():
        exporter = [python_of(SERVERS / "onnx"), "-m", "benchmarks.servers.onnx.export"]
        finish([*exporter, str(target)])
    return target


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


# By the name that --servers knows them by.
ALL = {
    "this service": Server(this_service, is_ours=True),
    "tutorial": Server(tutorial, is_ours=False),
} | {
    f"{name}, {preparation} preparation": Server(
        partial(peer, module, preparation), is_ours=preparation == "our"
    )
    for name, module in {
        "FastAPI": fastapi,
        "LitServe": litserve,
        "BentoML": bentoml,
        "MLServer": mlserver,
    }.items()
    for preparation in ("usual", "our")
}
