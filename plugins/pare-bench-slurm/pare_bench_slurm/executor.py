"""The executor ``slurm``: each run is a job, several are an array."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pare_bench.contracts.executor import Executor, Outcome, Work, WorkItem
from pare_bench.contracts.params import Params
from pare_bench.errors import EnvironmentFault, PareBenchError
from pare_bench.runs.workers import GRACE, handed_on
from pydantic import Field, StringConstraints

from pare_bench_slurm.job import BEGAN, NOT_PUT_BACK, RunJob, time_used_up
from pare_bench_slurm.queue import Queue

import submitit  # isort: skip
from submitit.core.utils import FailedJobError, UncompletedJobError  # isort: skip

#: Seconds between two looks at the files of results.
_LOOK = 1.0
_Option = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
_Text = Annotated[str, StringConstraints(pattern=r"^[^\n\r]*$")]


@dataclass(frozen=True)
class _Try:
    """A run that is to be submitted, and the jobs that have ended without a result of it."""

    item: WorkItem
    lost: tuple[submitit.Job[Any], ...] = ()


class Slurm(Executor):
    """Each run a job with its share of a node; put back with its checkpoint when its time is up, submitted again when it is lost."""

    class Params(Params):
        """Parameters of ``slurm``."""

        cluster: Literal["slurm", "local"] = Field("slurm", description="local: processes of this machine that behave like jobs, to try it out")
        partition: _Text | None = Field(None, description="where jobs run; null: the default of the cluster")
        account: _Text | None = Field(None, description="who pays")
        qos: _Text | None = Field(None, description="quality of service")
        constraint: _Text | None = Field(None, description="features that nodes must have")
        time: float = Field(60.0, gt=0, description="minutes of a job; a run that needs more goes on from its checkpoint in the next")
        requeues: int = Field(3, ge=0, description="how often a job goes back into the queue because its time was up")
        signal_delay: int = Field(90, ge=1, description="seconds before the end of its time at which a run begins to write its checkpoint")
        cpus: int = Field(1, ge=1, description="CPUs and threads of each run")
        memory: float | None = Field(None, gt=0, description="GB of each run; null: the default of the cluster")
        gres: _Text | None = Field(None, description="generic resources: gpu:1")
        jobs: int | None = Field(None, ge=1, description="jobs of an array that run at a time; null: all of it (local: one per two CPU cores)")
        array: int = Field(100, ge=1, description="jobs of one array at most (MaxArraySize)")
        queued: int = Field(1000, ge=1, description="jobs that wait or run at a time at most (MaxSubmitJobs)")
        retries: int = Field(1, ge=0, description="how often a run is submitted again whose job ends without a result")
        setup: list[_Text] = Field([], description='lines of the script before the run: ["module load cuda"]')
        extra: dict[_Option, int | bool | _Text] = Field({}, description='further options of sbatch: {"mail-type": "END"}')
        python: _Text | None = Field(None, description="the command that starts Python on a node; null: this one")

    def map(self, work: Work, items: Iterable[WorkItem]) -> Iterator[Outcome]:
        """Yield outcomes as jobs end; items are taken as long as there is room in the queue, an array at a time."""
        waiting = map(_Try, items)
        again = list(islice(waiting, 1))
        if not again:
            return
        queue = Queue(self.params, Path(again[0].item.out))
        queue.check()
        busy: dict[submitit.Job[Any], _Try] = {}
        try:
            while True:
                room = min(self.params.array, self._most() - len(busy))
                tries, again = [*again, *islice(waiting, max(0, room - len(again)))], []
                if tries:
                    environment = handed_on()
                    jobs = queue.submit([RunJob(work, each.item, self.params.cpus, environment) for each in tries])
                    busy.update(zip(jobs, tries, strict=True))
                if not busy:
                    return
                ended = queue.ended(list(busy))
                if not ended and not tries:
                    time.sleep(_LOOK)
                for job in ended:
                    tried = busy.pop(job)
                    found = self._outcome(job, tried)
                    if isinstance(found, _Try):
                        again.append(found)
                        continue
                    if found.lost is None:
                        queue.forget(job, *tried.lost)
                    yield found
        finally:
            queue.cancel(list(busy))
            queue.tidy()

    def describe(self, items: Iterable[WorkItem]) -> str:
        """Return the script that sbatch would be given, for the first array."""
        listed = list(items)
        if not listed:
            return ""
        count = min(len(listed), self.params.array)
        params = self.params.model_copy(update={"cluster": "slurm"})
        return Queue(params, Path(listed[0].out)).script(count)

    def _most(self) -> int:
        if self.params.cluster == "slurm":
            return self.params.queued
        # Nothing queues them there.
        return self.params.jobs or max(1, (os.cpu_count() or 1) // 2)

    def _outcome(self, job: submitit.Job[Any], tried: _Try) -> Outcome | _Try:
        """Return what came of a job that has ended, or the next try."""
        item = tried.item
        try:
            found: Outcome | PareBenchError = job.result()
        except FailedJobError as error:
            log = _last_line(str(error).split("You can check full logs")[0].strip(" -\n"))
            if NOT_PUT_BACK in log:
                # Its time was up before the run could begin.
                return time_used_up(item)
            raise EnvironmentFault(
                f"job {job.job_id} fails before its run: {log}",
                hint=f"is pare-bench-slurm installed on the nodes? less '{job.paths.stderr}'; or -o executor.setup='[\"module load ...\"]'",
            ) from error
        except UncompletedJobError:
            if self._over_its_limit(job, item):
                return Outcome(item.number, lost=f"it went on {GRACE:g} s beyond its time limit of {item.time_limit:g} s, and its process was ended")
            lost = (*tried.lost, job)
            if len(lost) <= self.params.retries:
                return _Try(item, lost)
            times = f", {len(lost)} times" if len(lost) > 1 else ""
            return Outcome(item.number, lost=f"its job has ended without a result ({job.state.lower()}){times}, see '{job.paths.stderr}'")
        if isinstance(found, PareBenchError):
            raise found
        return found

    def _over_its_limit(self, job: submitit.Job[Any], item: WorkItem) -> bool:
        try:
            passed = time.time() - (job.paths.folder / BEGAN).stat().st_mtime
        except OSError:
            return False
        return item.time_limit is not None and passed >= item.time_limit + GRACE


def _last_line(text: str) -> str:
    return (text.strip() or "it says nothing").splitlines()[-1]
