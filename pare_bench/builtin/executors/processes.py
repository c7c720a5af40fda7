"""Several runs at a time on this machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from pebble import CONSTS, ProcessExpired, ProcessPool
from pydantic import Field

from pare_bench.contracts.executor import Executor, Outcome, Work, WorkItem
from pare_bench.contracts.params import Params
from pare_bench.runs.workers import GRACE, begin, usable_cores

#: Seconds that a run has to write its checkpoint once it is asked to end; a second Ctrl-C waits no longer.
LAST_WORDS = 30.0
#: Seconds between two looks at workers that say nothing.
_LOOK = 5.0
#: The name of pebble's processes.
_WORKER = "pebble_pool_worker"


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
        free: deque[_Worker] = deque(workers)
        busy: dict[Future[Outcome], tuple[_Worker, _Try]] = {}
        again: list[_Try] = []
        waiting = map(_Try, items)
        ahead: _Try | None = None
        try:
            while True:
                while free and (each := again.pop() if again else ahead or next(waiting, None)) is not None:
                    ahead = None if each is ahead else ahead
                    worker = free.popleft()
                    busy[worker.schedule(work, each.item)] = worker, each
                if not busy:
                    return
                ahead = ahead or next(waiting, None)
                for future in wait(busy, timeout=_LOOK, return_when=FIRST_COMPLETED).done or _forgotten(busy):
                    worker, each = busy.pop(future)
                    free.append(worker)
                    outcome = self._outcome(future, each)
                    if outcome is None:
                        again.append(_Try(each.item, each.number + 1))
                    else:
                        yield outcome
        finally:
            _end(workers)

    def _outcome(self, future: Future[Outcome], tried: _Try) -> Outcome | None:
        """Return what came of a try, None where there is another one."""
        try:
            outcome = future.result()
        except ProcessExpired as error:
            end = _ended(error.exitcode)
        except (BrokenProcessPool, CancelledError):
            end = "ended before it could begin"
        except TimeoutError:
            limit = tried.item.time_limit
            return Outcome(tried.item.number, lost=f"it went on {GRACE:g} s beyond its time limit of {limit:g} s, and its process was ended")
        else:
            if not outcome.interrupted:
                return outcome
            # Whoever interrupts the command interrupts this process; somebody else has asked the worker alone to end.
            end = "was asked to end (SIGTERM)"
        if tried.number <= self.retries:
            return None
        return Outcome(tried.item.number, lost=f"its process {end}" + (f", {tried.number} times" if tried.number > 1 else ""))


class _Worker:
    """One process at a time, with its threads and its GPU; a new one takes the place of one that has died.

    A pool of one for each: so a worker knows its GPU, and the death of one is the end of its run and of nothing else.
    """

    def __init__(self, threads: int, gpu: str | None) -> None:
        self._threads, self._gpu = threads, gpu
        self._pool: ProcessPool | None = None

    def schedule(self, work: Work, item: WorkItem) -> Future[Outcome]:
        """Let it carry out an item."""
        limit = None if item.time_limit is None else item.time_limit + GRACE
        gpu = None if _names_a_gpu(item) else self._gpu
        if self._pool is not None and self.works:
            try:
                return self._pool.schedule(work, args=(item,), timeout=limit)
            except RuntimeError:
                # It has died while it was idle, or as it began.
                pass
        self.end()
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(max_workers=1, context=context, initializer=begin, initargs=(self._threads, gpu))
        return self._pool.schedule(work, args=(item,), timeout=limit)

    @property
    def works(self) -> bool:
        """Whether there is a process, or will be one."""
        return self._pool is not None and self._pool.active

    def end(self) -> None:
        """Ask it to end (SIGTERM), and end it where it does not."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()


def _end(workers: Sequence[_Worker]) -> None:
    """End all workers at the same time: each writes its checkpoint first, unless Ctrl-C says again that it is not to."""
    CONSTS.term_timeout = LAST_WORDS
    with ThreadPoolExecutor(len(workers)) as threads:
        ends = [threads.submit(worker.end) for worker in workers]
        try:
            wait(ends)
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                if process.name == _WORKER:
                    process.kill()
            raise


def _forgotten(busy: Mapping[Future[Outcome], tuple[_Worker, _Try]]) -> list[Future[Outcome]]:
    """Return what a pool was given at the moment at which it broke, and will never answer."""
    return [future for future, (worker, _) in busy.items() if not worker.works and (future.cancel() or future.done())]


def _names_a_gpu(item: WorkItem) -> bool:
    """Return whether the device of a run is one GPU by its number, as this process counts them: then a worker must see them all."""
    return ":" in str(item.config.get("device", ""))


def _ended(code: int | None) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with code {code}"


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; no library is asked, since that would take hold of them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(sorted(Path("/proc/driver/nvidia/gpus").glob("*")))]
