"""The executor ``ray``: each run is a task of a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from pare_bench.contracts.executor import Executor, Outcome, Work, WorkItem
from pare_bench.contracts.params import Params
from pare_bench.errors import EnvironmentFault
from pare_bench.runs.workers import GRACE, handed_on
from pydantic import Field

from pare_bench_ray import cluster
from pare_bench_ray.worker import Stop, carry

import ray  # isort: skip - after cluster, which says first that Ray is not to report its use

#: Seconds that runs have to write their checkpoints once they are asked to end.
LAST_WORDS = 30.0
#: Seconds between two looks at the size of the cluster.
_LOOK = 5.0
#: A run whose nodes die is tried again so often: that says something about the nodes, and nothing about the run.
_NODES = 10
_INSTALL = "install pare-bench, pare-bench-ray and your plugins on every node, in the versions that are here"


@dataclass(frozen=True)
class _Try:
    """A run that is to be carried out, how often its process and its node have died, and when it was handed over."""

    item: WorkItem
    crashes: int = 0
    nodes: int = 0
    since: float = field(default_factory=time.monotonic)


class Ray(Executor):
    """Each run a task with its share of CPUs, GPUs and memory, and never more of them than the cluster has room for."""

    class Params(Params):
        """Parameters of ``ray``."""

        address: str | None = Field(None, description="of a cluster that is there, host:6379, ray://host:10001 or auto; null: one of this machine")
        cpus: float = Field(1.0, gt=0, description="CPUs of each run; its threads are this, rounded down, at least one")
        gpus: float | None = Field(None, ge=0, description="GPUs of each run, 0.5: two runs share one; null: 1 with a GPU as device, else 0")
        memory: float | None = Field(None, gt=0, description="GB that each run is given room for; null: not counted")
        resources: dict[str, float] = Field({}, description='of your own, as Ray counts them: {"big_disk": 1}')
        jobs: int | None = Field(None, ge=1, description="runs at a time; null: as many as the cluster has room for")
        cluster_cpus: int | None = Field(None, ge=1, description="CPUs of the cluster of this machine; null: all")
        retries: int = Field(1, ge=0, description="how often a run is tried again whose process has died; what a node takes with it is always")

    def map(self, work: Work, items: Iterable[WorkItem]) -> Iterator[Outcome]:
        """Yield outcomes as runs end; an item is taken when there is room for it."""
        waiting = map(_Try, items)
        first = next(waiting, None)
        if first is None:
            return
        with ExitStack() as stack:
            stays = stack.enter_context(cluster.connected(self.params.address, self.params.cluster_cpus))
            tasks = stack.enter_context(_Tasks(self.params, work, stays))
            again = [first]
            while True:
                room = tasks.room(again[0].item if again else first.item)
                while len(tasks.busy) < room and (each := again.pop() if again else next(waiting, None)) is not None:
                    tasks.hand_over(each)
                if not tasks.busy:
                    return
                for reference in ray.wait(list(tasks.busy), timeout=_LOOK)[0]:
                    tried = tasks.busy.pop(reference)
                    found = self._outcome(reference, tried)
                    if isinstance(found, Outcome):
                        yield found
                    else:
                        again.append(found)

    def _outcome(self, reference: Any, tried: _Try) -> Outcome | _Try:
        """Return what came of a task, or the next try."""
        item = tried.item
        try:
            outcome: Outcome = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            if "failed to import on the worker" in str(error.cause):
                raise EnvironmentFault(
                    f"the workers of the Ray cluster lack something: {str(error.cause).strip().splitlines()[-1]}", hint=_INSTALL
                ) from error
            # What the work has raised, as it would be raised here.
            raise error.cause from None
        except ray.exceptions.TaskCancelledError:
            return Outcome(item.number, lost="its task was cancelled by somebody else")
        except (ray.exceptions.NodeDiedError, ray.exceptions.LocalRayletDiedError, ray.exceptions.ObjectLostError) as error:
            if tried.nodes < _NODES:
                return replace(tried, nodes=tried.nodes + 1)
            return Outcome(item.number, lost=f"{tried.nodes + 1} nodes have died under it, the last: {_words(error)}")
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
            if item.time_limit is not None and time.monotonic() - tried.since >= item.time_limit + GRACE:
                return Outcome(item.number, lost=f"it went on {GRACE:g} s beyond its time limit of {item.time_limit:g} s, and its process was ended")
            return self._next(tried, _end(error))
        except ray.exceptions.RayError as error:
            raise EnvironmentFault(f"the Ray cluster fails: {_words(error)}", hint="ray status") from error
        # Whoever interrupts the command interrupts this process; somebody else has asked the worker alone to end.
        return self._next(tried, "its process was asked to end (SIGTERM)") if outcome.interrupted else outcome

    def _next(self, tried: _Try, end: str) -> Outcome | _Try:
        crashes = tried.crashes + 1
        if crashes <= self.params.retries:
            return replace(tried, crashes=crashes)
        return Outcome(tried.item.number, lost=end + (f", {crashes} times" if crashes > 1 else ""))


class _Tasks:
    """The tasks that a cluster has been given; left early, they are asked to end, and ended where they do not."""

    def __init__(self, params: Ray.Params, work: Work, stays: bool) -> None:
        self._params, self._work, self._stays = params, work, stays
        self._carry = ray.remote(carry)
        self._stop = ray.remote(num_cpus=0)(Stop).remote()
        self._environment = handed_on()
        self.busy: dict[Any, _Try] = {}

    def __enter__(self) -> _Tasks:
        return self

    def __exit__(self, *_: object) -> None:
        if self.busy:
            self._stop.ask.remote()
            references = list(self.busy)
            late = ray.wait(references, num_returns=len(references), timeout=LAST_WORDS)[1]
            # Where the connection is ours, what still goes on ends with it.
            for reference in late if self._stays else ():
                ray.cancel(reference, force=True)
        ray.kill(self._stop)

    def room(self, item: WorkItem) -> int:
        """Return how many runs may go on at a time.

        Raises:
            EnvironmentFault: the cluster has no node that is large enough for one, and Ray would wait for such a node for ever.
        """
        needs = self._needs(item)
        found = cluster.room(needs)
        if not found:
            wanted = ", ".join(f"{amount / 2**30:g} GB" if name == "memory" else f"{amount:g} {name}" for name, amount in needs.items() if amount)
            raise EnvironmentFault(
                f"no node of the Ray cluster has {wanted} for one run; all of them have {cluster.resources()}",
                hint="ask for less: -o executor.cpus=1 -o executor.gpus=0",
            )
        return min(found, self._params.jobs or found)

    def hand_over(self, tried: _Try) -> None:
        """Give a run to the cluster."""
        item, needs = tried.item, self._needs(tried.item)
        own = {name: amount for name, amount in needs.items() if name not in ("CPU", "GPU", "memory")}
        options = {"num_cpus": needs["CPU"], "num_gpus": needs["GPU"], "memory": needs["memory"] or None, "resources": own or None}
        # Tried again by map, which knows what died; a task that Ray runs twice by itself would count for one.
        task = self._carry.options(**options, max_retries=0, name=f"pare-bench {item.label}")
        limit = None if item.time_limit is None else item.time_limit + GRACE
        reference = task.remote(self._work, item, max(1, int(needs["CPU"])), self._environment, limit, self._stop)
        self.busy[reference] = replace(tried, since=time.monotonic())

    def _needs(self, item: WorkItem) -> Mapping[str, float]:
        asked = self._params
        gpus = asked.gpus if asked.gpus is not None else float(str(item.config.get("device", "")).startswith("cuda"))
        return {**asked.resources, "CPU": asked.cpus, "GPU": gpus, "memory": int((asked.memory or 0) * 2**30)}


def _end(error: BaseException) -> str:
    return "its process was ended for want of memory" if isinstance(error, ray.exceptions.OutOfMemoryError) else "its process has died"


def _words(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
