"""Several runs: what is done is served, the rest goes through an executor, and exactly one record comes of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from pare_bench.config.resolution import Planned, config_of
from pare_bench.config.run_config import RunConfig
from pare_bench.contracts.executor import Executor, Outcome, Work, WorkItem
from pare_bench.errors import EnvironmentFault, ExitCode, PareBenchError, PluginError, RunFault, UsageError, interrupts_shown
from pare_bench.provenance.explanation import Run, differences, sentence
from pare_bench.provenance.identity import of_session
from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store
from pare_bench.registry.names import Registry
from pare_bench.runs.preparation import Prepared
from pare_bench.runs.reports import read_report, remove_report
from pare_bench.runs.single import Display, Left, Manner, Result, Runs, Summary
from pare_bench.runs.work import carry_out
from pare_bench.training.launched import is_main_process, launched_processes

#: Seconds between two looks at how far the runs are that others carry out.
_LOOK = 1.0


@dataclass(frozen=True)
class Execution:
    """Who carries runs out, by name, with its parameters (``-o executor.NAME=VALUE``): no part of any run's identity."""

    executor: str = "local"
    params: Mapping[str, Any] | None = None


def run_all(
    registry: Registry,
    planned: Sequence[Planned],
    store: Store,
    display: Display,
    summary: Summary,
    *,
    command: str,
    execution: Execution | None = None,
    manner: Manner | None = None,
) -> list[Result]:
    """Carry out the ``planned`` runs and return their results; Ctrl-C ends the list early and marks ``display.interrupted``.

    Failed runs of an earlier call are run again; finished and skipped ones are served; a damaged record is set aside and made again. An interrupted
    run goes on from its last checkpoint. A run that another live process works on is left for the end and then waited for. What keeps a run from
    beginning or from being scored becomes a failed record, and the others go on; so does a worker that is lost, and an executor that forgets a run.
    When several processes work together, the main one decides what is served and is the only one that writes.

    Raises:
        EnvironmentFault: a device, disk or permission is missing, for this run and for all others.
        UsageError: this is one of several processes of a launcher, and the executor starts some of its own.
        PluginError: the executor breaks its contract; what has come back is kept. Or it leaves the process, and a component is known here alone.
        PareBenchError: as the first run that fails says, under ``fail_fast``.
    """
    execution = execution or Execution()
    executor: Executor = registry.build("executor", execution.executor, execution.params)
    if launched_processes() > 1 and not executor.in_process:
        raise UsageError(
            f"executor '{execution.executor}' starts processes of its own, and this is one of {launched_processes()} of a launcher",
            hint="leave --executor and --jobs out, or the launcher",
        )
    if not executor.in_process:
        check_reach(planned, execution.executor)
    runs = Runs(registry, store, display, summary, command, manner or Manner())
    campaign = _Campaign(runs, planned, execution.executor, executor)
    try:
        with interrupts_shown(), campaign.watched():
            campaign.go()
            campaign.rest()
    except _Stopped:
        display.note("the first failure ends the command (--fail-fast)")
    except KeyboardInterrupt:
        display.interrupted = True
        campaign.arrived()
    finally:
        runs.leave()
        if is_main_process():
            if campaign.handed_out:
                # Workers may have written records that never came back.
                summary.update()
            summary.finish()
    places = {config_of(each).digest(): place for place, each in enumerate(planned)}
    return sorted(runs.results, key=lambda result: places.get(result.record.config.digest(), len(places)))


def check_reach(planned: Sequence[Planned], executor: str) -> None:
    """Check that an executor which leaves the process needs no component that this process alone knows.

    Raises:
        PluginError: it does.
    """
    for part in dict.fromkeys(part for each in planned for part in of_session(config_of(each))):
        raise PluginError(
            f"executor '{executor}' leaves the process, and its workers know installed plugins only: {part} is registered in this process alone",
            hint="leave executor and jobs out, or put the class into a plugin: docs/hooks.md",
        )


class _Stopped(Exception):  # noqa: N818 - no error: a run has failed, and that is to be the last one
    pass


class _Campaign:
    def __init__(self, runs: Runs, planned: Sequence[Planned], name: str, executor: Executor) -> None:
        self.runs, self.planned, self.name, self.executor = runs, planned, name, executor
        self._check = f"pare-bench check executor:{name}"
        #: The runs that the executor has taken and not yet brought back, by number; prepared, where another process carries them out.
        self._taken: dict[int, tuple[WorkItem, Prepared | None]] = {}
        #: Whether another process has been asked to carry out a run.
        self.handed_out = False
        #: What came of a run in this process.
        self._found: dict[int, Result | Left] = {}
        self._left: list[Left] = []

    def go(self) -> None:
        """Hand all runs to the executor, and take what it brings; what it forgets is a failed run."""
        self._hand_over(self._items())

    def _hand_over(self, items: Iterator[WorkItem]) -> None:
        # Closed at once when the list ends early: that is how the executor learns that its workers are to end.
        with closing(self._outcomes(items)) as outcomes:
            for outcome in outcomes:
                self._take(outcome)
        forgotten = [*self._taken, *(item.number for item in items)]
        for number in forgotten:
            self._take(Outcome(number, lost=f"executor '{self.name}' brought nothing back"))

    def _outcomes(self, items: Iterator[WorkItem]) -> Generator[Outcome]:
        work: Work = self._here if self.executor.in_process else carry_out
        try:
            yield from self.executor.map(work, items)
        except (PareBenchError, KeyboardInterrupt, GeneratorExit, _Stopped):
            raise
        except BaseException as error:
            if self.executor.in_process:
                raise
            raise PluginError(f"executor '{self.name}' fails: {type(error).__name__}: {error}", hint=self._check) from error

    def rest(self) -> None:
        """Wait for the runs that other processes work on, and serve them; what such a process leaves undone is carried out as the others are."""
        if self._left and not self.runs.manner.wait:
            self.runs.display.note(f"{len(self._left)} runs are left to the processes that work on them (--no-wait)")
            return
        if self.executor.in_process:
            for left in self._left:
                self._stop_at(self.runs.waited_for(left))
            return
        for left in self._left:
            self._told(left.prepared.config, f"waiting for {left.owner}")
        while self._left:
            # What is undone goes to workers again: they have the GPUs, and what ends a worker must not end this process.
            self._hand_over(self._freed())
            if self._left:
                time.sleep(_LOOK)

    def arrived(self) -> None:
        """Take over the runs that workers have recorded and no longer bring back: the command was interrupted before it heard of them."""
        for _, prepared in self._taken.values():
            if prepared is not None:
                self.runs.recorded(prepared)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside, the display is told how far the runs of other processes are."""
        if self.executor.in_process:
            yield
            return
        ended = threading.Event()
        self.runs.display.at_work([])

        def look() -> None:
            while not ended.wait(_LOOK):
                items = [item for item, _ in list(self._taken.values())]
                self.runs.display.at_work([read_report(self.runs.store.root, item.run_id, item.label) for item in items])

        watcher = threading.Thread(target=look, name="how far the runs are", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _items(self) -> Iterator[WorkItem]:
        """Yield what is to be carried out; what is done already, or cannot begin, is dealt with here."""
        for number, planned in enumerate(self.planned):
            if self.executor.in_process:
                prepared, run_id = None, ""
            else:
                found = self.runs.prepared(planned)
                if isinstance(found, Prepared):
                    # What it holds in memory is read again where it is needed.
                    found.data.forget()
                    found = self.runs.served(found) or found
                if isinstance(found, Result):
                    self._stop_at(found)
                    continue
                prepared, run_id = found, found.run_id
            item = self._item(number, run_id)
            self._taken[number] = item, prepared
            self.handed_out = not self.executor.in_process
            yield item

    def _freed(self) -> Iterator[WorkItem]:
        """Yield what others have left undone by now."""
        waiting, self._left = self._left, []
        for left in waiting:
            if self.runs.at_work(left):
                self._left.append(left)
                continue
            found = self.runs.settled(left)
            if found is not None:
                self._stop_at(found)
                continue
            number = next(number for number, each in enumerate(self.planned) if config_of(each) == left.prepared.config)
            item = self._item(number, left.prepared.run_id)
            self._taken[number] = item, left.prepared
            yield item

    def _item(self, number: int, run_id: str) -> WorkItem:
        return _work_item(number, self.planned[number], str(self.runs.store.root.resolve()), self.runs.command, self.runs.manner, run_id)

    def _here(self, item: WorkItem) -> Outcome:
        """Carry out an item in this process, with bars; its record is here already."""
        found = self._found[item.number] = self.runs.one(self.planned[item.number])
        return Outcome(item.number, left=found.owner if isinstance(found, Left) else None)

    def _take(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Outcome) or outcome.number not in self._taken:
            raise PluginError(
                f"executor '{self.name}' yields {str(outcome)[:80]!r}: not the outcome of a run that it was given and has not brought back",
                hint=self._check,
            )
        item, prepared = self._taken.pop(outcome.number)
        if outcome.lost is not None:
            remove_report(self.runs.store.root, item.run_id)
        here = self._found.pop(outcome.number, None)
        if isinstance(here, Result):
            self._stop_at(here)
            return
        if isinstance(here, Left):
            self._left.append(here)
            return
        for note in outcome.notes:
            self._told(config_of(self.planned[item.number]), note)
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.fault is not None:
            raise EnvironmentFault(outcome.fault[0], hint=outcome.fault[1])
        if outcome.left is not None and prepared is not None:
            self._left.append(Left(prepared, outcome.left))
            return
        self._stop_at(self._result(outcome, item, prepared))

    def _told(self, config: RunConfig, text: str) -> None:
        """Say something of a run that others carry out: a line is told under the name of the run that began last."""
        self.runs.display.begin(config)
        self.runs.display.note(text)

    def _result(self, outcome: Outcome, item: WorkItem, prepared: Prepared | None) -> Result:
        if outcome.record is None:
            error = RunFault(f"its worker is lost: {outcome.lost or 'it says nothing'}", hint="the same command tries it again, from its checkpoint")
            return self.runs.lost(prepared or self.planned[item.number], error)
        try:
            record = RunRecord.model_validate(dict(outcome.record))
        except ValidationError as error:
            raise PluginError(f"executor '{self.name}' brings back a record of '{item.label}' that is none: {error.errors()[0]['msg']}") from error
        if record.config != config_of(self.planned[item.number]):
            raise PluginError(f"executor '{self.name}' brings back another run than '{item.label}'", hint=self._check)
        if prepared is not None and record.run_id != prepared.run_id and record.identity is not None:
            differing = sentence(differences(Run.of(record), Run.now(prepared.config, prepared.identity)))
            self._told(record.config, f"carried out by a worker that has something else than this process: {differing}")
        return self.runs.taken(record, served=outcome.served, code=ExitCode(outcome.exit_code))

    def _stop_at(self, result: Result | None) -> None:
        if result is not None and result.record.status == "failed" and self.runs.manner.fail_fast:
            raise _Stopped


def described(registry: Registry, planned: Sequence[Planned], store: Store, *, command: str, execution: Execution, manner: Manner) -> str:
    """Return what the executor would hand to another system for the ``planned`` runs (:meth:`Executor.describe`); nothing where there is no such."""
    executor: Executor = registry.build("executor", execution.executor, execution.params)
    out = str(store.root.resolve())
    return executor.describe(_work_item(number, each, out, command, manner) for number, each in enumerate(planned))


def _work_item(number: int, planned: Planned, out: str, command: str, manner: Manner, run_id: str = "") -> WorkItem:
    flags = asdict(manner)
    limits = {name: flags.pop(name) for name in ("time_limit", "memory_limit")}
    config = config_of(planned)
    return WorkItem(number, config.label(), run_id, config.model_dump(mode="json"), out, command, flags, **limits)
