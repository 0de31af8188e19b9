"""Three hosts behind nginx while one is cut off and another is killed; prints a table.

    sudo .venv/bin/python -m deploy.three_hosts

Each host is a network namespace with a gunicorn of its own; all three share the folder
of the uploads. nginx runs with nginx.conf, but for three hosts in place of one and
without its limits per address, as all requests come from one.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import NamedTuple

import requests

from benchmarks.processes import tree_cpu_seconds
from deploy.local_nginx import ROOT, SERVICE, Proxy, running_nginx

PICTURE = ROOT / "tests" / "resources" / "photos_mit" / "7" / "7_087.jpg"
SERVED = ["*.py", "model.keras"]
BRIDGE, NETWORK = "digits", "10.213.77"
NAMES = ["digits1", "digits2", "digits3"]
PORT = 5000
# Where the CPU time of a host is bounded, to 0.4 of a core: three of them, nginx and
# the client share two cores.
BOUNDS = {
    Path("/sys/fs/cgroup/cpu"): ("cpu.cfs_quota_us", "40000"),
    Path("/sys/fs/cgroup"): ("cpu.max", "40000 100000"),
}
# Which share of the requests is answered when something happens.
CUT, JOINED, KILLED = 0.25, 0.5, 0.75
SLOW_SECONDS = 1
COLUMNS = [
    "",
    "answers",
    "failed",
    "p50, ms",
    "p99, ms",
    "slowest, s",
    f"slower than {SLOW_SECONDS} s",
    "last answer to what was under way after, s",
]
START_SECONDS = 180


class Host(NamedTuple):
    name: str
    address: str
    gunicorn: subprocess.Popen

    def set_link(self, state: str) -> None:
        ip(f"link set {self.name} {state}")

    def kill(self) -> None:
        os.killpg(self.gunicorn.pid, signal.SIGKILL)


class Answer(NamedTuple):
    began: float
    ended: float
    # The name that the picture was stored under, None without a right answer.
    upload: str | None

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Phase(NamedTuple):
    name: str
    began: float


class Client:
    """Sends the picture again and again over several connections."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy, self.picture = proxy, PICTURE.read_bytes()
        self.answers, self.local = [], threading.local()

    def send(self, _number: int) -> None:
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
        began, upload = time.monotonic(), None
        with suppress(requests.RequestException):
            upload = self.stored()
        self.answers.append(Answer(began, time.monotonic(), upload))

    def stored(self) -> str | None:
        answer = self.local.session.post(
            self.proxy.url + "/predict",
            files={"file": ("7.jpg", self.picture)},
            # The session's own would give way to the environment's.
            verify=self.proxy.certificate,
            timeout=60,
        )
        if answer.status_code != 200:
            return None
        reply = answer.json()
        is_right = reply["classification_result"][0]["class"] == "7"
        return reply["image_url"].rpartition("/")[2] if is_right else None

    def wait_for(self, count: int) -> float:
        while len(self.answers) < count:
            time.sleep(0.01)  # an answer takes about as long
        return time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("Only root may make network namespaces.")
    with TemporaryDirectory() as folder, ExitStack() as stack:
        service, nginx = Path(folder, "service"), Path(folder, "nginx")
        nginx.mkdir()
        copy_service(service)
        stack.enter_context(bridge())
        hosts = [stack.enter_context(host(name, service)) for name in NAMES]
        for each in hosts:
            wait_until_ready(each)
        proxy = stack.enter_context(running_nginx(nginx, three(hosts, service)))
        client = Client(proxy)
        phases = trial(client, hosts, options.requests, options.connections)
        stored = os.listdir(service / "static" / "uploads")
        print(table(client.answers, phases))
        print(summary(client.answers, stored))
        milliseconds = 1000 * tree_cpu_seconds(proxy.process.pid) / options.requests
        print(f"nginx took {milliseconds:.2f} ms of CPU a request.")


def copy_service(folder: Path) -> None:
    """What is stored in the trial must not end up among real uploads."""
    (folder / "static" / "uploads").mkdir(parents=True)
    for pattern in SERVED:
        for path in ROOT.glob(pattern):
            (folder / path.name).symlink_to(path)


@contextmanager
def bridge() -> Iterator[None]:
    ip(f"link add {BRIDGE} type bridge")
    try:
        ip(f"addr add {NETWORK}.1/24 dev {BRIDGE}")
        ip(f"link set {BRIDGE} up")
        yield
    finally:
        ip(f"link del {BRIDGE}")


@contextmanager
def host(name: str, service: Path) -> Iterator[Host]:
    address = f"{NETWORK}.{11 + NAMES.index(name)}"
    with ExitStack() as stack:
        ip(f"netns add {name}")
        stack.callback(ip, f"netns del {name}")
        ip(f"link add {name} type veth peer name eth0 netns {name}")
        ip(f"link set {name} master {BRIDGE} up")
        ip(f"-n {name} addr add {address}/24 dev eth0")
        ip(f"-n {name} link set eth0 up")
        bound = stack.enter_context(cpu_bound(name))
        gunicorn = stack.enter_context(started(name, service))
        if bound:
            (bound / "cgroup.procs").write_text(str(gunicorn.pid))
        yield Host(name, address, gunicorn)


@contextmanager
def cpu_bound(name: str) -> Iterator[Path | None]:
    root = next((root for root in BOUNDS if (root / "cgroup.procs").exists()), None)
    if not root:
        print("The CPU time of the hosts is not bounded.", file=sys.stderr)
        yield None
        return
    (root / name).mkdir()
    try:
        file, share = BOUNDS[root]
        (root / name / file).write_text(share)
        yield root / name
    finally:
        remove(root / name)


def remove(group: Path) -> None:
    for _ in range(100):
        with suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.1)  # what was killed takes a moment to be gone


@contextmanager
def started(name: str, service: Path) -> Iterator[subprocess.Popen]:
    command = ["ip", "netns", "exec", name, sys.executable, "-m", "gunicorn", "app:app"]
    settings = {"PORT": str(PORT), "WEB_CONCURRENCY": "1", "TRUSTED_PROXIES": "1"}
    with subprocess.Popen(
        command,
        cwd=service,
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as gunicorn:
        try:
            yield gunicorn
        finally:
            with suppress(ProcessLookupError):
                os.killpg(gunicorn.pid, signal.SIGKILL)


def wait_until_ready(host: Host) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(requests.RequestException):
            if requests.get(f"http://{host.address}:{PORT}/ready", timeout=60).ok:
                return
        time.sleep(0.1)  # a refused connection comes back at once
    raise TimeoutError(f"{host.name} does not get ready")


def three(hosts: list[Host], service: Path) -> dict[str, str]:
    return {
        SERVICE: " ".join(f"server {host.address}:{PORT};" for host in hosts),
        "limit_req zone=requests burst=100 nodelay;": "",
        "limit_conn connections 32;": "",
        "root /srv/digit-recognition;": f"root {service};",
    }


def trial(
    client: Client, hosts: list[Host], count: int, connections: int
) -> list[Phase]:
    phases = [Phase("all three hosts", time.monotonic())]
    with ThreadPoolExecutor(connections) as pool:
        sent = pool.map(client.send, range(count))
        phases += [Phase("one is cut off", client.wait_for(int(CUT * count)))]
        hosts[0].set_link("down")
        phases += [Phase("it is back", client.wait_for(int(JOINED * count)))]
        hosts[0].set_link("up")
        phases += [Phase("another is killed", client.wait_for(int(KILLED * count)))]
        hosts[1].kill()
        list(sent)  # raises what went wrong in a thread
    return phases


def table(answers: list[Answer], phases: list[Phase]) -> str:
    ends = [phase.began for phase in phases[1:]] + [float("inf")]
    rows = [
        row(phase, [answer for answer in answers if phase.began < answer.ended <= end])
        for phase, end in zip(phases, ends, strict=True)
    ]
    return "\n".join([line(COLUMNS), "|---" * len(COLUMNS) + "|", *rows])


def row(phase: Phase, answers: list[Answer]) -> str:
    seconds = [answer.seconds for answer in answers]
    percentiles = quantiles(seconds, n=100)
    waited = [answer.ended for answer in answers if answer.began < phase.began]
    cells = [
        phase.name,
        f"{len(answers):,}",
        f"{sum(answer.upload is None for answer in answers)}",
        f"{1000 * percentiles[49]:.0f}",
        f"{1000 * percentiles[98]:.0f}",
        f"{max(seconds):.1f}",
        f"{sum(each > SLOW_SECONDS for each in seconds)}",
        f"{max(waited) - phase.began:.1f}" if waited else "-",
    ]
    return line(cells)


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def summary(answers: list[Answer], stored: list[str]) -> str:
    kept = {name for name in stored if not name.startswith(".")}
    told = {answer.upload for answer in answers if answer.upload}
    took = max(answer.ended for answer in answers) - min(
        answer.began for answer in answers
    )
    return (
        f"\n{len(answers):,} requests in {took:.0f} s, "
        f"{len(answers) - len(told)} without a right answer, "
        f"{len(kept - told)} pictures stored once more than answered, "
        f"{len(told - kept)} answered and not stored, "
        f"{len(stored) - len(kept)} left half written."
    )


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


if __name__ == "__main__":
    main()
