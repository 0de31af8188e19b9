"""Read by gunicorn when it is started in this folder: `gunicorn app:app`."""

import contextlib
import ctypes
import gc
import importlib
import os
import resource
import socket
import sys
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # if started from another folder
import settings

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
# glibc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, in bytes, and M_ARENA_MAX.
MALLOC_OPTIONS = {-3: 2_000_000, -1: 4_000_000, -8: 1}

bind = f"0.0.0.0:{settings.PORT}"
# A prediction keeps a core busy; more workers only cost memory.
workers = settings.whole_number("WEB_CONCURRENCY", settings.cores(), most=1000)
# Silent and idle clients wait outside its threads. sync and gevent serve as well.
worker_class = "gthread"
# More than the 512 pictures that may wait: slow uploads take some as well.
threads = 640
timeout = 120  # on a busy machine the import of TensorFlow alone can take 30 s
graceful_timeout = 30  # for a slow upload in flight
keepalive = 75  # more than the 60 s of most proxies, so that they close first
# The workers' signs of life are file writes, which stall on a busy disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
control_socket_disable = True
forwarded_allow_ips = ""  # TRUSTED_PROXIES tells whose headers are trusted
accesslog = "-"
access_log_format = '%(t)s %(h)s "%(r)s" %(s)s %(b)s %(M)sms'


def nworkers_changed(server, new_value, old_value):
    # The first hook that runs, and the only one before a preloaded app is imported.
    if server.cfg.preload_app:
        raise RuntimeError("--preload is not supported: predictions would hang.")


def on_starting(server):
    if not os.environ.keys() & {"GUNICORN_FD", "LISTEN_FDS"}:  # already listening
        check_addresses(server.cfg)
    with contextlib.suppress(ValueError, OSError):  # a client takes two files
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # The workers share these libraries, whose import starts no thread. Frozen, as the
    # garbage collector writes to objects, which would copy their pages.
    importlib.import_module("recognition.inference")
    gc.freeze()
    # In a process of its own, since a model that is loaded before the fork hangs.
    check = get_context("fork").Process(target=check_app, args=(server.log,))
    check.start()
    check.join()
    if check.exitcode:
        raise SystemExit(check.exitcode)


def check_addresses(config):
    """Else gunicorn finds out only after the model is loaded, and tries five times."""
    for host, port in (each for each in config.address if isinstance(each, tuple)):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise SystemExit(
                    f"Port {port} cannot be used ({error.strerror}); "
                    "name another: PORT=5001 make run"
                ) from None


def when_ready(server):
    addresses = [str(each).replace("0.0.0.0", "localhost") for each in server.LISTENERS]
    server.log.info("Open %s in a browser.", " or ".join(addresses))


def check_app(log):
    """Load the model as the workers will; it has said so if it cannot be served."""
    log.info(importlib.import_module("app").describe_model())


def pre_fork(server, worker):
    taken = [other.core for other in server.WORKERS.values()]
    worker.core = min(CORES, key=taken.count, default=None)


def post_fork(server, worker):
    # Else each thread keeps the memory of the largest picture that it read.
    with contextlib.suppress(OSError, AttributeError):
        for option, value in MALLOC_OPTIONS.items():
            ctypes.CDLL("libc.so.6").mallopt(option, value)
    # Threads on one core hand the GIL over faster, and the core's caches stay warm.
    if server.num_workers >= len(CORES) > 0:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {worker.core})


def post_worker_init(worker):
    importlib.import_module("app").UPLOADS.request_cleanup()
