"""Peak memory of a run."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from types import TracebackType

import torch

_MB = 2**20


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


def _resident_high_water() -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = _MB if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
