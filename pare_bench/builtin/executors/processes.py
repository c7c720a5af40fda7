"""Several runs at a time on this machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

from pebble import ProcessExpired, ProcessPool
from pydantic import Field

from pare_bench.contracts.executor import Executor, Outcome, Work, WorkItem
from pare_bench.contracts.params import Params

#: Seconds that a run has beyond its time limit to end by itself, before its process is ended.
GRACE = 60.0


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
        gpus, cores = _gpus(), _cores()
        self.retries = params.retries
        self.jobs = params.jobs or len(gpus) or max(1, cores // 2)
        self.threads = params.threads or max(1, cores // self.jobs)
        self.gpus = [gpus[number % len(gpus)] if gpus else None for number in range(self.jobs)]

    def map(self, work: Work, items: Iterable[WorkItem]) -> Iterator[Outcome]:
        """Yield outcomes as runs end; an item is taken when a worker is free."""
        context = multiprocessing.get_context("spawn")
        # A pool of one for each: so a worker knows its GPU, and the death of one is the end of its run and of nothing else.
        pools = [ProcessPool(max_workers=1, context=context, initializer=begin, initargs=(self.threads, gpu)) for gpu in self.gpus]
        free: deque[ProcessPool] = deque(pools)
        busy: dict[Future[Outcome], tuple[ProcessPool, _Try]] = {}
        again: list[_Try] = []
        waiting = map(_Try, items)
        try:
            while True:
                while free and (each := again.pop() if again else next(waiting, None)) is not None:
                    pool = free.popleft()
                    limit = None if each.item.time_limit is None else each.item.time_limit + GRACE
                    busy[pool.schedule(work, args=(each.item,), timeout=limit)] = pool, each
                if not busy:
                    return
                for future in wait(busy, return_when=FIRST_COMPLETED).done:
                    pool, each = busy.pop(future)
                    free.append(pool)
                    outcome = self._outcome(future, each)
                    if outcome is None:
                        again.append(_Try(each.item, each.number + 1))
                    else:
                        yield outcome
        finally:
            for pool in pools:
                pool.stop()
            for pool in pools:
                pool.join()

    def _outcome(self, future: Future[Outcome], tried: _Try) -> Outcome | None:
        """Return what came of a try, None where there is another one."""
        try:
            return future.result()
        except ProcessExpired as error:
            if tried.number <= self.retries:
                return None
            return Outcome(tried.item.number, lost=f"its process {_ended(error.exitcode)}" + (f", {tried.number} times" if tried.number > 1 else ""))
        except TimeoutError:
            limit = tried.item.time_limit
            return Outcome(tried.item.number, lost=f"it went on {GRACE:g} s beyond its time limit of {limit:g} s, and its process was ended")


def begin(threads: int, gpu: str | None) -> None:
    """Give a worker process its threads and its GPU, before a library takes all of them."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads)))
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    import torch

    torch.set_num_threads(threads)


def _ended(code: int | None) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with code {code}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; no library is asked, since that would take hold of them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(sorted(Path("/proc/driver/nvidia/gpus").glob("*")))]
