"""What happens in a worker process of Ray: one run at a time, which can be asked to end.

Not by ``ray.cancel``: where a task ends at that very moment, Ray (2.60) takes the process down that has asked, and its command with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

from pare_bench.contracts.executor import Outcome, Work, WorkItem
from pare_bench.runs.workers import begin, ended_after


class Stop:
    """An actor that tells all workers of one command when they are to end."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    async def ask(self) -> None:
        """Ask all workers to end."""
        self._asked.set()

    async def asked(self) -> bool:
        """Return whether they are to end."""
        return self._asked.is_set()

    async def wait(self) -> bool:
        """Return once they are to end."""
        return await self._asked.wait()


class _Ear:
    """Ends the run of this process (SIGTERM: it writes its checkpoint first) once a command says so."""

    def __init__(self, stop: Any) -> None:
        self._lock = threading.Lock()
        self._asked = self._running = False
        # Ray calls back from a thread of its own; a thread that waited in ``ray.get`` would count as a task that needs no CPU.
        stop.wait.remote().future().add_done_callback(self._told)

    def __enter__(self) -> bool:
        """Return whether the run may begin."""
        with self._lock:
            self._running = not self._asked
            return self._running

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running = False

    def _told(self, answer: Any) -> None:
        if answer.exception() is not None:
            # The actor's node has died: that asks for nothing.
            return
        with self._lock:
            self._asked = True
            if self._running:
                os.kill(os.getpid(), signal.SIGTERM)


#: The ears of this process, one for each command that it has worked for.
_EARS: dict[Any, _Ear] = {}


def carry(work: Work, item: WorkItem, threads: int, environment: Mapping[str, str], limit: float | None, stop: Any) -> Outcome:
    """Carry an item out in this process, which is ended after ``limit`` seconds whatever it does."""
    import ray

    begin(threads, environment=environment)
    if stop not in _EARS:
        _EARS[stop] = _Ear(stop)
    with _EARS[stop] as may_begin, ended_after(limit):
        if not may_begin or ray.get(stop.asked.remote()):
            return Outcome(item.number, interrupted=True)
        return work(item)
