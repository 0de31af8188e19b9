"""See whether memory grows under long load: python -m benchmarks.soak

Starts the service as `make run` does, sends thumbnails, scans and phone photos in turn,
and prints the memory of every worker's own between the stretches. Needs Linux.
"""

import argparse
import re
from pathlib import Path

from tqdm import tqdm

from benchmarks import launches
from benchmarks.client import Load, multipart
from benchmarks.processes import tree
from benchmarks.report import OURS
from benchmarks.running import Running, running, seconds_to_first_answer, settle
from benchmarks.throughput import DIGIT, jpeg

REQUESTS, STRETCHES, CONNECTIONS = 200_000, 10, 16
# How many of a hundred requests are of each size.
MIX = {"90x140": 95, "720x1120": 4, "3000x4000": 1}
SECONDS_A_LOOK = 1


def worker_memory(server: Running) -> dict[int, float]:
    workers = [process for process, _ in tree(server.process.pid)]
    workers.remove(server.process.pid)
    return {worker: own_memory_mb(worker) for worker in sorted(workers)}


def own_memory_mb(process: int) -> float:
    """Without the libraries' files, whose share changes with whoever else has them."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"RssAnon:\s*(\d+) kB", status)[1]) / 1000


def ask_for(server: Running, request: bytes, count: int, bar: tqdm) -> int:
    """Returns how many of the answers were wrong or none."""
    load, failed = Load(server.port, request, CONNECTIONS, DIGIT), 0
    while count > 0:
        answers = load.run(SECONDS_A_LOOK, least=1)
        count -= len(answers)
        failed += sum(not answer.is_right for answer in answers)
        bar.update(len(answers))
    load.drain()
    return failed


def soak(server: Running, requests: int) -> None:
    pictures = {size: jpeg(size) for size in MIX}
    seconds_to_first_answer(server, pictures["90x140"])
    settle(server.process)
    first = worker_memory(server)
    print(f"| requests | failed | {' | '.join(f'worker {pid}, MB' for pid in first)} |")
    print(f"|---|---|{'---|' * len(first)}")
    rows, failed = [first], 0
    with tqdm(total=requests) as bar:
        for stretch in range(STRETCHES):
            for size, share in MIX.items():
                request = multipart(pictures[size], server.port)
                count = requests * share // (100 * STRETCHES)
                failed += ask_for(server, request, count, bar)
            rows.append(worker_memory(server))
            cells = " | ".join(f"{memory:.1f}" for memory in rows[-1].values())
            asked = requests * (stretch + 1) // STRETCHES
            bar.write(f"| {asked:,} | {failed} | {cells} |")
    if rows[0].keys() != rows[-1].keys():
        print("\nA worker was replaced: it died or hung.")
    settled, last = rows[1], rows[-1]
    growth = max(last[pid] - settled.get(pid, 0) for pid in last)
    print(f"\nGrowth of a worker after the first tenth: at most {growth:.1f} MB.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=REQUESTS)
    requests = parser.parse_args().requests
    with running(launches.ALL[OURS]) as server:
        soak(server, requests)


if __name__ == "__main__":
    main()
