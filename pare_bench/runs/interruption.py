"""SIGTERM, which a cluster sends before it takes a machine away, ends runs as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pare_bench.errors import TerminatedError


@dataclass
class Ended:
    """Whether it was a signal that ended what was inside."""

    by_signal: bool = False


@contextmanager
def ended_by_signal() -> Iterator[Ended]:
    """Inside, SIGTERM ends runs as Ctrl-C does: a checkpoint is written, what is finished is kept."""
    ended = Ended()

    def end(*_: object) -> None:
        ended.by_signal = True
        raise TerminatedError

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread
        yield ended
        return
    try:
        yield ended
    finally:
        signal.signal(signal.SIGTERM, before)
