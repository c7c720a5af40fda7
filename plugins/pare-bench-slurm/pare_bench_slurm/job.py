"""What a job does: one run, put back into the queue with its checkpoint when its time is up."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from pare_bench.contracts.executor import Outcome, Work, WorkItem
from pare_bench.errors import PareBenchError, TerminatedError
from pare_bench.runs.workers import GRACE, begin, ended_after
from submitit import JobEnvironment
from submitit.core.utils import UncompletedJobError
from submitit.helpers import DelayedSubmission

#: A file in a job's folder, touched when its run begins.
BEGAN = "began"
#: What submitit says of a job that it does not put back.
NOT_PUT_BACK = "Job not requeued because"
#: The exit status of a process that was asked to end.
_TERMINATED = 128 + signal.SIGTERM


@dataclass
class RunJob:
    """Carries one item out; submitit pickles it, calls it on a node, and asks it for its checkpoint before its time is up.

    The run keeps its own checkpoints below the folder of records, so that the same object, called again, goes on from there.
    """

    work: Work
    item: WorkItem
    threads: int
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self) -> Outcome | PareBenchError:
        """Return what came of the run, or what it raised; where the job goes back into the queue, this process ends instead."""
        begin(self.threads, environment=self.environment)
        with suppress(OSError):
            (JobEnvironment().paths.folder / BEGAN).touch()
        limit = None if self.item.time_limit is None else self.item.time_limit + GRACE
        told: list[Any] = []
        try:
            with _time_is_up(told), ended_after(limit):
                outcome = self.work(self.item)
        except TerminatedError:
            # Between two steps of the work.
            outcome = Outcome(self.item.number, interrupted=True)
        except PareBenchError as error:
            # submitit would keep its text alone.
            return error
        if not outcome.interrupted:
            return outcome
        if not told:
            # SIGTERM: cancelled, or taken away by another job. Without a result, whoever waits asks Slurm what has become of it.
            sys.exit(_TERMINATED)
        try:
            told[0]()
        except UncompletedJobError:
            return time_used_up(self.item)
        return outcome

    def checkpoint(self) -> DelayedSubmission:
        """Return what is to be called when the job runs again."""
        return DelayedSubmission(self)


def time_used_up(item: WorkItem) -> Outcome:
    """Return what becomes of a run whose job is not put back any more."""
    return Outcome(item.number, lost="the time of its job was up too often (-o executor.time=MINUTES, -o executor.requeues=N)")


@contextmanager
def _time_is_up(told: list[Any]) -> Iterator[None]:
    """Inside, submitit's signal ends the run as Ctrl-C does; what submitit does upon it, put the job back, goes to ``told`` for later.

    Done at once, as submitit would, it would break into a training step with an exit.
    """
    number: signal.Signals = JobEnvironment._usr_sig()
    before = signal.getsignal(number)

    def end(signum: int, frame: FrameType | None) -> None:
        if callable(before):
            told.append(lambda: before(signum, frame))
        raise TerminatedError

    signal.signal(number, end)
    try:
        yield
    finally:
        signal.signal(number, before)
