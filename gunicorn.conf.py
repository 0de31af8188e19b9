"""Read by gunicorn by itself when it is started in this folder: `gunicorn app:app`."""

import contextlib
import ctypes
import gc
import importlib
import mmap
import os
import resource
from array import array
from pathlib import Path

import settings
from worker import CLOSED, Worker

# Those that this process may use, where the system tells.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def cpus() -> int:
    """How many cores this process may use, also by the quota of its container."""
    count = len(CORES) or os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, int(quota) // int(period))
    return max(count, 1)


bind = f"0.0.0.0:{settings.PORT}"

MOST_WORKERS = 1000
# A prediction keeps a core busy; more workers only cost memory, over 100 MB each.
workers = settings.whole_number("WEB_CONCURRENCY", cpus(), most=MOST_WORKERS)
worker_class = Worker

# Without a sign of life for so long a worker is replaced; on a busy machine the import
# of TensorFlow alone can take half a minute.
timeout = 120
# A slow upload in flight gets this many seconds to end after SIGTERM.
graceful_timeout = 30
# Longer than the 60 s after which most proxies drop an idle connection, so that none
# sends a request into one that is just being closed here.
keepalive = 75

# The workers' signs of life are file writes, which stall on a busy disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
# Nobody steers the service from the machine it runs on, so nobody has to be kept out.
control_socket_disable = True

# gunicorn would take the scheme from any client on this machine; TRUSTED_PROXIES tells
# whose headers are believed.
forwarded_allow_ips = ""

accesslog = "-"
# The milliseconds include those of the requests that were answered together with it.
access_log_format = '%(h)s "%(r)s" %(s)s %(b)s %(M)sms'

# From /usr/include/malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGE_BYTES = 2_000_000

# Shared by all workers; a reload starts new ones before the old ones end.
CLIENTS = memoryview(mmap.mmap(-1, 2 * MOST_WORKERS * 4)).cast("i")
CLIENTS[:] = memoryview(array("i", len(CLIENTS) * [CLOSED]))


def nworkers_changed(server, new_value, old_value):
    # The first hook that runs, and the only one before a preloaded app is imported:
    # TensorFlow does not survive the fork, every prediction would hang.
    if server.cfg.preload_app:
        raise RuntimeError("--preload is not supported: predictions would hang.")


def on_starting(server):
    allow_as_many_files_as_the_system()
    # Most of a worker's memory are these libraries; what is frozen is not touched, and
    # so not copied, by a worker's garbage collector.
    importlib.import_module("runtime")
    gc.freeze()


def allow_as_many_files_as_the_system():
    # A client takes two, and a shell may allow fewer than that for a worker's thousand.
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def pre_fork(server, worker):
    # Only here are all workers known.
    others = server.WORKERS.values()
    cores = [other.core for other in others]
    worker.core = min(CORES, key=cores.count, default=None)
    worker.clients = CLIENTS
    worker.place = min(set(range(2 * MOST_WORKERS)) - {other.place for other in others})


def post_fork(server, worker):
    return_memory()
    # The caches stay warm. With fewer workers than cores there is no need to choose.
    if server.num_workers >= len(CORES) > 0:
        # Where that is forbidden, or the core is gone, it runs on any.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {worker.core})


def child_exit(server, worker):
    CLIENTS[worker.place] = CLOSED


def return_memory():
    # Else the C library keeps what a huge picture took, in the hope of the next one.
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        # With that set it would give back also what every request needs again.
        libc.mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BYTES)
        # One store for all threads: what each held would add up.
        libc.mallopt(M_ARENA_MAX, 1)
