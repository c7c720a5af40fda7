"""A run that takes too long, or too much memory, ends as a failed one while its process goes on."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pare_bench.errors import RunFault

#: Seconds between two looks.
EVERY = 0.25
#: Seconds after which a thread that went on regardless is told again.
AGAIN = 2.0
_MB = 2**20


class OverLimitError(RunFault):
    """The run has used up its time or memory."""


class _Over(KeyboardInterrupt):
    pass


@contextmanager
def within(seconds: float | None, megabytes: float | None) -> Iterator[None]:
    """Inside, this thread may take so long, and its process and what it has started may hold so much resident memory; None: no limit.

    What lies in one long call of a library ends when that call returns.

    Raises:
        OverLimitError: it has taken more.
    """
    if seconds is None and megabytes is None:
        yield
        return
    watch = _Watch(seconds, megabytes)
    try:
        try:
            watch.start()
            yield
        finally:
            watch.stop()
    except KeyboardInterrupt as error:
        if watch.reason is None:
            raise
        raise OverLimitError(watch.reason, hint=watch.hint) from error


class _Watch(threading.Thread):
    """Looks at the clock and the memory of the process, and interrupts the thread that made it."""

    def __init__(self, seconds: float | None, megabytes: float | None) -> None:
        super().__init__(name="limits of the run", daemon=True)
        self.seconds, self.megabytes = seconds, megabytes
        self.reason: str | None = None
        self.hint: str | None = None
        self._watched = threading.get_ident()
        self._ended = threading.Event()
        # Held while the thread is told, so that nothing is told to it once stop() has returned.
        self._telling = threading.Lock()

    def run(self) -> None:
        """Look until the run has ended."""
        began = time.monotonic()
        while not self._ended.wait(EVERY):
            self._look(time.monotonic() - began)
            if self.reason is not None:
                self._tell()
                if self._ended.wait(AGAIN):
                    return

    def stop(self) -> None:
        """Look no longer."""
        with self._telling:
            self._ended.set()

    def _look(self, passed: float) -> None:
        if self.seconds is not None and passed > self.seconds:
            self.reason = f"over its time limit of {self.seconds:g} s"
            self.hint = "a larger --time-limit goes on from its checkpoint"
        elif self.megabytes is not None and (held := _resident_mb()) > self.megabytes:
            self.reason = f"over its memory limit of {self.megabytes:g} MB: it holds {held:.0f}"
            self.hint = "a larger --memory-limit, or a smaller -o recipe.batch_size"

    def _tell(self) -> None:
        with self._telling:
            if not self._ended.is_set():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._watched), ctypes.py_object(_Over))


def _resident_mb() -> float:
    import psutil

    own = psutil.Process()
    total = 0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total / _MB
