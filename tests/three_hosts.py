"""Three hosts behind nginx while one is cut off and another is killed; prints a table.

    sudo .venv/bin/python -m tests.three_hosts

Each host is a network namespace with a gunicorn of its own; all three share the folder
of the uploads. nginx runs with nginx.conf, but for three hosts in place of one and
without its limits per address, as all requests come from one.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

from benchmarks.launches import copy_service
from benchmarks.markdown import heading, row
from tests.clients import PHOTO, Answer, Clients, lost, percentile, wait_until
from tests.local_nginx import SERVICE, running_nginx
from tests.server import GUNICORN, Server, running_server

BRIDGE, NETWORK = "digits", "10.213.77"
NAMES = ["digits1", "digits2", "digits3"]
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
# Longer than all requests take.
TRIAL_SECONDS = 1800


class Host(NamedTuple):
    name: str
    address: str
    server: Server

    def set_link(self, state: str) -> None:
        ip(f"link set {self.name} {state}")

    def kill(self) -> None:
        for process in tree(self.server.process.pid):
            process.kill()


class Phase(NamedTuple):
    name: str
    began: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("Only root may make network namespaces.")
    with TemporaryDirectory() as folder, ExitStack() as stack:
        service, nginx = Path(folder, "service"), Path(folder, "nginx")
        for each in (service, nginx):
            each.mkdir()
        copy_service(service)
        stack.enter_context(bridge())
        hosts = [stack.enter_context(host(name, service)) for name in NAMES]
        proxy = stack.enter_context(running_nginx(nginx, three(hosts, service)))
        picture, certificate = PHOTO.read_bytes(), proxy.certificate
        clients = Clients(
            proxy.url, options.connections, [picture], certificate=certificate
        )
        phases = trial(clients, hosts, options.requests)
        milliseconds = 1000 * cpu_seconds(proxy.process.pid) / len(clients.answers)
        uploads = service / "static" / "uploads"
        missing = lost(clients.answers, uploads)
        print(table(clients.answers, phases))
        print(summary(clients, os.listdir(uploads), missing))
        print(f"nginx took {milliseconds:.2f} ms of CPU a request.")
    sys.exit(clients.failed() > 0 or missing > 0)


def tree(process: int) -> list[psutil.Process]:
    root = psutil.Process(process)
    return [root, *root.children(recursive=True)]


def cpu_seconds(process: int) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in tree(process))


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
        running = running_server(
            service,
            ["ip", "netns", "exec", name, *GUNICORN],
            address,
            subprocess.DEVNULL,
            WEB_CONCURRENCY="1",
            TRUSTED_PROXIES="1",
        )
        server = stack.enter_context(running)
        for process in tree(server.process.pid) if bound else []:
            (bound / "cgroup.procs").write_text(str(process.pid))
        yield Host(name, address, server)


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


def three(hosts: list[Host], service: Path) -> dict[str, str]:
    return {
        SERVICE: " ".join(f"server {h.address}:{h.server.port};" for h in hosts),
        "limit_req zone=requests burst=100 nodelay;": "",
        "limit_conn connections 32;": "",
        "root /srv/digit-recognition;": f"root {service};",
    }


def trial(clients: Clients, hosts: list[Host], count: int) -> list[Phase]:
    def phase(name: str, share: float) -> Phase:
        answers = clients.answers
        wait_until(lambda: len(answers) >= share * count, TRIAL_SECONDS, pause=0.01)
        return Phase(name, time.monotonic())

    phases = [Phase("all three hosts", time.monotonic())]
    with clients:
        phases += [phase("one is cut off", CUT)]
        hosts[0].set_link("down")
        phases += [phase("it is back", JOINED)]
        hosts[0].set_link("up")
        phases += [phase("another is killed", KILLED)]
        hosts[1].kill()
        phase("the end", 1)
    return phases


def table(answers: list[Answer], phases: list[Phase]) -> str:
    ends = [phase.began for phase in phases[1:]] + [float("inf")]
    rows = [
        cells(phase, [each for each in answers if phase.began < each.ended <= end])
        for phase, end in zip(phases, ends, strict=True)
    ]
    return "\n".join([heading(COLUMNS), *map(row, rows)])


def cells(phase: Phase, answers: list[Answer]) -> list[str]:
    waited = [answer.ended for answer in answers if answer.began < phase.began]
    return [
        phase.name,
        f"{len(answers):,}",
        f"{sum(answer.status != 200 for answer in answers)}",
        f"{1000 * percentile(answers, 0.5):.0f}",
        f"{1000 * percentile(answers, 0.99):.0f}",
        f"{percentile(answers, 1):.1f}",
        f"{sum(answer.seconds > SLOW_SECONDS for answer in answers)}",
        f"{max(waited) - phase.began:.1f}" if waited else "-",
    ]


def summary(clients: Clients, stored: list[str], missing: int) -> str:
    answers = clients.answers
    finished = {name for name in stored if not name.startswith(".")}
    answered = {answer.name for answer in answers if answer.image_url}
    seconds = max(each.ended for each in answers) - min(each.began for each in answers)
    return (
        f"\n{len(answers):,} requests in {seconds:.0f} s, {clients.failed()} without a "
        f"right answer, {clients.retried} retried by the client, "
        f"{len(finished - answered)} pictures stored once more than answered, "
        f"{missing} answered and not stored, "
        f"{len(stored) - len(finished)} half written."
    )


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


if __name__ == "__main__":
    main()
