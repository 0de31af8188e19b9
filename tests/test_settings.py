"""A malformed setting stops the start and is named."""

import os
import subprocess
import sys

import pytest
from server import GUNICORN, ROOT

import settings


def run(command, **environment):
    environment = {**os.environ, **environment}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_UPLOAD_BYTES", "20MB"),
        ("MAX_UPLOAD_BYTES", "0"),
        ("MAX_PIXELS", "6.4e7"),
        ("MAX_PIXELS", ""),
        ("UPLOADS_MAX_BYTES", "1"),
        ("UPLOADS_MAX_AGE_DAYS", "-1"),
        ("MAX_REQUEST_SECONDS", "1m"),
        ("MAX_WAIT_SECONDS", "0"),
        ("TRUSTED_PROXIES", "yes"),
        ("PORT", "70000"),
        ("WEB_CONCURRENCY", "0"),
    ],
)
def test_gunicorn_refuses_to_start(name, value):
    start = run(GUNICORN, **{name: value})
    assert start.returncode != 0
    assert f"{name} must be a whole number" in start.stderr
    assert "Booting worker" not in start.stderr


@pytest.mark.slow
def test_app_refuses_to_start():
    start = run([sys.executable, "app.py"], MAX_PIXELS="many")
    assert start.returncode != 0
    assert start.stderr.endswith("not 'many'.\n")


V1 = "3:cpu,cpuacct:/docker/1\n2:memory:/docker/1\n"


@pytest.mark.parametrize(
    ("group", "files", "cores"),
    [
        ("0::/", {"cpu.max": "max 100000"}, 64),
        ("0::/", {"cpu.max": "150000 100000"}, 2),
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/a/b", {"a/cpu.max": "300000 100000"}, 3),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        (V1, {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        (V1, {"cpu/cpu.max": "malformed"}, 64),
        ("", {}, 64),
    ],
)
def test_workers_are_as_many_as_the_container_may_keep_busy(
    tmp_path, monkeypatch, group, files, cores
):
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(group)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    assert settings.cores(tmp_path) == cores
