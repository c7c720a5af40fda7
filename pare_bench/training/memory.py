"""Peak memory of a run, and a limit below which the system does not kill it."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path
from types import TracebackType

import psutil
import torch

_MB = 2**20
#: Share of the free memory that a run may take; the rest is for what grows outside torch's allocator.
_SHARE = 0.9
_CGROUP = Path("/sys/fs/cgroup")


class PeakMemory:
    """Measures the largest resident memory of this process (and, on a GPU, the largest allocation) inside a ``with`` block, in MB.

    Linux can reset the high-water mark, so consecutive runs in one process are told apart; elsewhere the figure is that of the process so far.
    """

    megabytes: float

    def __enter__(self) -> PeakMemory:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        resident = _resident_high_water()
        allocated = torch.cuda.max_memory_allocated() / _MB if torch.cuda.is_available() else 0.0
        self.megabytes = round(max(resident, allocated), 1)


class MemoryLimit:
    """Inside a ``with`` block on a CPU, an allocation beyond the free memory fails instead of ending the process.

    Linux hands out memory that it does not have and kills whoever uses it, which no program can answer. With a limit on this process's data the
    allocator says no, and the batch is worked through in pieces (:mod:`~pare_bench.training.out_of_memory`). Elsewhere, and on a GPU, nothing is.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._before: tuple[int, int] | None = None

    def __enter__(self) -> None:
        if self.device != "cpu" or sys.platform != "linux":
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        limit = _data_bytes() + int(_SHARE * free_bytes() / neighbours)
        if all(limit < other for other in (soft, hard) if other != resource.RLIM_INFINITY):
            self._before = soft, hard
            resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._before is not None:
            resource.setrlimit(resource.RLIMIT_DATA, self._before)


def free_bytes() -> int:
    """Return the memory that this process may still take: what the system has available, less where a control group allows less."""
    available = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):
        allowed = int((_CGROUP / "memory.max").read_text()) - int((_CGROUP / "memory.current").read_text())
        available = min(available, max(allowed, 0))
    return available


def _data_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _resident_high_water() -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = _MB if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
