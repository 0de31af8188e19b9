"""What an operator copies from deploy/ is valid, and agrees with the service."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kubernetes_validate import validate
from programs import program
from server import ROOT

pytestmark = pytest.mark.slow

DEPLOY = ROOT / "deploy"
UNIT = (DEPLOY / "digit-recognition.service").read_text()
OBJECTS = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
KINDS = {each["kind"]: each for each in OBJECTS}
POD = KINDS["Deployment"]["spec"]["template"]
GRACEFUL_TIMEOUT = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["graceful_timeout"]


def test_systemd_accepts_the_unit(tmp_path):
    copy = tmp_path / "digit-recognition.service"
    copy.write_text(
        UNIT.replace("/srv/digit-recognition/.venv/bin/python", sys.executable)
    )
    command = [program("systemd-analyze"), "verify", copy]
    verified = subprocess.run(command, capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_systemd_does_not_kill_what_gunicorn_lets_end():
    stop = int(re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.M)[1])
    assert stop > GRACEFUL_TIMEOUT


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a switch")
def test_the_service_writes_no_machine_code():
    # What MemoryDenyWriteExecute forbids; 65 is PR_SET_MDWE, 22 is EINVAL.
    start = (
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.prctl(65, 1, 0, 0, 0): raise SystemExit(ctypes.get_errno())\n"
        "import app; print(app.RECOGNISER.recogniser.is_working())"
    )
    ended = subprocess.run([sys.executable, "-c", start], cwd=ROOT, capture_output=True)
    if ended.returncode == 22:
        pytest.skip("this kernel has no such switch")  # it came with Linux 6.3
    assert ended.stdout == b"True\n"


def test_hadolint_accepts_the_dockerfile():
    command = [Path(sys.executable).with_name("hadolint"), DEPLOY / "Dockerfile"]
    linted = subprocess.run(command, capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_image_holds_all_that_the_service_imports(tmp_path):
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    for *sources, target in map(
        str.split, re.findall("^COPY ([^-].+)$", dockerfile, re.M)
    ):
        for path in (each for source in sources for each in ROOT.glob(source)):
            if path.is_dir():
                shutil.copytree(path, tmp_path / target)
            elif target == "./":
                shutil.copy(path, tmp_path)
    imported = [sys.executable, "-c", "import app; print(app.__file__)"]
    ended = subprocess.run(imported, cwd=tmp_path, capture_output=True, text=True)
    assert ended.stdout.strip() == str(tmp_path / "app.py")


@pytest.mark.parametrize("kind", KINDS)
def test_kubernetes_accepts_the_object(kind):
    validate(KINDS[kind], "1.34", strict=True)


def test_kubernetes_objects_are_about_the_same_pods():
    labels = POD["metadata"]["labels"]
    assert KINDS["Service"]["spec"]["selector"] == labels
    assert KINDS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert KINDS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    target = KINDS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"]
    assert target == KINDS["Deployment"]["metadata"]["name"]


def test_kubernetes_does_not_kill_what_gunicorn_lets_end():
    pause = POD["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["spec"]["terminationGracePeriodSeconds"] > pause + GRACEFUL_TIMEOUT
