"""What any executor's worker process does before it carries a run out: takes its share of the machine, and lets itself be ended for good."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: Seconds that a run has beyond its time limit to end by itself, before its process is ended.
GRACE = 60.0
#: Variables that a worker on another machine needs of the process that asked, so that both mean the same by a name and neither asks a hub alone.
_HANDED_ON = ("PARE_BENCH_PLUGINS", "PARE_BENCH_OFFLINE", "HF_HUB_OFFLINE", "PARE_BENCH_CHECKPOINT_SECONDS")


def begin(threads: int, gpu: str | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Give this process its threads and its GPU (as ``CUDA_VISIBLE_DEVICES`` names it), before a library takes all of them."""
    os.environ.update(environment or {})
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads)))
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    import torch

    torch.set_num_threads(threads)


def usable_cores() -> int:
    """Return the CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def handed_on() -> dict[str, str]:
    """Return the variables of this process that its workers elsewhere are to have."""
    return {name: os.environ[name] for name in _HANDED_ON if name in os.environ}


@contextmanager
def ended_after(seconds: float | None) -> Iterator[None]:
    """Inside, the operating system ends this process once so many seconds have passed, whatever it is in; None: never.

    Python need not be able to act for it: a call of a library that never returns is ended, too. Only in the main thread of a Unix process.
    """
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
