"""Several runs at a time on this machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType

from pydantic import Field

from pare_bench.contracts.executor import Executor, Outcome, Work, WorkItem
from pare_bench.contracts.params import Params
from pare_bench.runs.workers import GRACE, begin, usable_cores

#: Seconds that a run has to write its checkpoint once it is asked to end; a second Ctrl-C waits no longer.
LAST_WORDS = 30.0
#: Seconds between two looks at the time limits.
_LOOK = 5.0
#: Seconds that a process has to be gone once it has closed its pipe or was killed.
_GONE = 10.0


@dataclass(frozen=True)
class _Try:
    item: WorkItem
    number: int = 1


class Processes(Executor):
    """``jobs`` worker processes, each with its share of the threads and one of the GPUs; one that dies takes only its own run along."""

    class Params(Params):
        """Parameters of ``processes``."""

        jobs: int | None = Field(None, ge=1, description="runs at a time; null: one per GPU where there are some, else one per two CPU cores")
        retries: int = Field(1, ge=0, description="how often a run is tried again whose process has died")
        threads: int | None = Field(None, ge=1, description="threads of each run; null: the CPU cores divided by the jobs")

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        gpus, cores = _gpus(), usable_cores()
        self.retries = params.retries
        self.jobs = params.jobs or len(gpus) or max(1, cores // 2)
        self.threads = params.threads or max(1, cores // self.jobs)
        self.gpus = [gpus[number % len(gpus)] if gpus else None for number in range(self.jobs)]

    def map(self, work: Work, items: Iterable[WorkItem]) -> Iterator[Outcome]:
        """Yield outcomes as runs end; an item is taken when a worker is free, and one more, so that its data are there when the next one is."""
        workers = [_Worker(self.threads, gpu) for gpu in self.gpus]
        free = deque(workers)
        busy: list[_Busy] = []
        again: list[_Try] = []
        waiting = map(_Try, items)
        ahead: _Try | None = None
        try:
            while True:
                while free and (each := again.pop() if again else ahead or next(waiting, None)) is not None:
                    ahead = None if each is ahead else ahead
                    busy.append(free.popleft().give(work, each))
                if not busy:
                    return
                ahead = ahead or next(waiting, None)
                wait([sign for one in busy for sign in one.process.signs], timeout=_LOOK)
                for one in list(busy):
                    found = one.look()
                    if found is None:
                        continue
                    busy.remove(one)
                    free.append(one.worker)
                    if isinstance(found, Outcome):
                        yield found
                    elif one.tried.number <= self.retries:
                        again.append(_Try(one.tried.item, one.tried.number + 1))
                    else:
                        times = f", {one.tried.number} times" if one.tried.number > 1 else ""
                        yield Outcome(one.tried.item.number, lost=f"its process {found}{times}")
        finally:
            _end([worker.process for worker in workers if worker.process is not None])


@contextmanager
def _no_script() -> Iterator[None]:
    """Let a process that starts inside not run this program's script once more: a worker imports all it needs by name."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


class _Process:
    """A process that carries runs out, and a pipe to it that nobody else has: there is no lock that one that dies could hold."""

    def __init__(self, threads: int, gpu: str | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # A daemon: should this process end without a word to it, Python ends it.
        self._process = context.Process(target=_serve, args=(theirs, begin, threads, gpu), name="pare-bench worker", daemon=True)
        with _no_script():
            self._process.start()
        theirs.close()
        #: When it can have begun with what it has: None as long as it imports.
        self.begun: float | None = None

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    @property
    def signs(self) -> list[Connection | int]:
        """What becomes ready when it has something to say, or is gone."""
        return [self._pipe, self._process.sentinel]

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self._process.exitcode
        how = f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with code {code}"
        return how if self.begun is not None else f"{how} before it could begin"

    def send(self, work: Work, item: WorkItem) -> bool:
        """Give it an item; return whether it was there to take it."""
        try:
            self._pipe.send((work, item))
        except OSError:
            return False
        if self.begun is not None:
            self.begun = time.monotonic()
        return True

    def heard(self) -> Outcome | None:
        """Return the outcome of what it was given, None as long as there is none, or where none will come."""
        try:
            while self._pipe.poll():
                said: Outcome | None = self._pipe.recv()
                if said is not None:
                    return said
                self.begun = time.monotonic()
        except (EOFError, OSError):
            # Nothing will come any more: it is gone, or shall be.
            self.wait_for_end(_GONE)
        return None

    def ask_to_end(self) -> None:
        """Send it SIGTERM."""
        self._process.terminate()

    def wait_for_end(self, seconds: float) -> None:
        """Wait until it has ended, and end it (SIGKILL) where it has not."""
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(_GONE)


class _Worker:
    """One process at a time, with its threads and its GPU."""

    def __init__(self, threads: int, gpu: str | None) -> None:
        self._threads, self._gpu = threads, gpu
        self.process: _Process | None = None

    def give(self, work: Work, tried: _Try) -> _Busy:
        """Let it carry out an item; a new process takes the place of one that has died."""
        if self.process is None or not self.process.alive or not self.process.send(work, tried.item):
            if self.process is not None:
                self.process.wait_for_end(_GONE)
            self.process = _Process(self._threads, None if _names_a_gpu(tried.item) else self._gpu)
            self.process.send(work, tried.item)
        return _Busy(self, self.process, tried)


@dataclass(frozen=True)
class _Busy:
    """A worker that carries out an item in this process."""

    worker: _Worker
    process: _Process
    tried: _Try

    def look(self) -> Outcome | str | None:
        """Return what came of the item, None as long as nothing has: an outcome, or in words how the process ended."""
        alive = self.process.alive
        # What it has said before its end counts.
        found = self.process.heard()
        if found is not None and found.interrupted:
            # Whoever interrupts the command interrupts this process; somebody else has asked the worker alone to end, and so it does.
            self.process.wait_for_end(_GONE)
            return "was asked to end (SIGTERM)"
        if found is not None:
            return found
        if not alive:
            return self.process.ending
        limit, begun = self.tried.item.time_limit, self.process.begun
        if limit is None or begun is None or time.monotonic() - begun <= limit + GRACE:
            return None
        self.process.wait_for_end(0)
        return Outcome(self.tried.item.number, lost=f"it went on {GRACE:g} s beyond its time limit of {limit:g} s, and its process was ended")


def _serve(pipe: Connection, begin: Callable[[int, str | None], None], threads: int, gpu: str | None) -> None:
    """Be a worker: say once that all is there (None), then carry out what comes until nobody is left who asks, or somebody asks it to end."""
    # Ctrl-C in a terminal reaches all its processes; the command then asks its workers to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    begin(threads, gpu)
    pipe.send(None)
    while True:
        try:
            work, item = pipe.recv()
        except EOFError:
            return
        try:
            outcome = work(item)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for a word
            outcome = Outcome(item.number, lost=f"{type(error).__name__}: {error}")
        pipe.send(outcome)
        if outcome.interrupted:
            return


def _end(processes: Sequence[_Process]) -> None:
    """End all of them at the same time: each writes its checkpoint first, unless Ctrl-C says again that it is not to."""
    deadline = time.monotonic() + LAST_WORDS
    for process in processes:
        process.ask_to_end()
    try:
        for process in processes:
            process.wait_for_end(max(0.0, deadline - time.monotonic()))
    except KeyboardInterrupt:
        for process in processes:
            process.wait_for_end(0)
        raise


def _names_a_gpu(item: WorkItem) -> bool:
    """Return whether the device of a run is one GPU by its number, as this process counts them: then a worker must see them all."""
    return ":" in str(item.config.get("device", ""))


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; no library is asked, since that would take hold of them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(sorted(Path("/proc/driver/nvidia/gpus").glob("*")))]
