"""Several runs: serve what the store has, run what is missing, save each record and keep the leaderboard up to date."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pare_bench.config.resolution import Planned, Unresolved, config_of
from pare_bench.config.run_config import RunConfig
from pare_bench.errors import EnvironmentFault, ExitCode, IntegrityError, PareBenchError, interrupts_shown
from pare_bench.provenance.explanation import Run, cause, differences, sentence
from pare_bench.provenance.identity import same_but_libraries
from pare_bench.records.predictions import Mode
from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store
from pare_bench.records.variants import age
from pare_bench.registry.names import Registry
from pare_bench.runs.marks import RunningRuns
from pare_bench.runs.preparation import Prepared, prepare
from pare_bench.runs.recording import Clock, failed, not_begun
from pare_bench.training.distributed import Processes
from pare_bench.training.launched import is_main_process, launched_processes
from pare_bench.training.progress import Reporter

if TYPE_CHECKING:
    from pare_bench.training.checkpoint import CheckpointFolder

#: Seconds between two looks at a run that another process works on.
_POLL = 1.0


@dataclass(frozen=True)
class Result:
    """A record, where it stands, whether it was served from the store, and the exit code that stands for what went wrong in it."""

    record: RunRecord
    path: Path
    served: bool
    exit_code: ExitCode = ExitCode.OK


class Display(Reporter, Protocol):
    """A reporter that also follows the list of runs."""

    interrupted: bool

    def begin(self, config: RunConfig) -> None:
        """A run begins."""

    def end(self, result: Result) -> None:
        """A run has ended."""


class Summary(Protocol):
    """What is kept up to date while records come in: ``leaderboard.json`` (:class:`pare_bench.leaderboard.file.LeaderboardFile`)."""

    def update(self) -> None:
        """A record has been saved."""

    def served(self, path: Path) -> None:
        """A record was served from the store."""

    def finish(self) -> None:
        """No more will come."""


@dataclass(frozen=True)
class Manner:
    """How runs are carried out: whether an interrupted one goes on from its checkpoint, what is kept of the predictions, and what is served.

    ``fresh_libraries``: a stored run that differs in versions of libraries alone is done again instead of being served. ``fail_fast``: the first
    run that fails is the last one, and what keeps one from beginning is raised. ``wait``: runs that another live process works on are waited for.
    """

    resume: bool = True
    predictions: Mode = "compact"
    fresh_libraries: bool = False
    fail_fast: bool = False
    wait: bool = True


class _Stopped(Exception):  # noqa: N818 - no error: a run has failed, and that is to be the last one
    pass


def run_all(
    registry: Registry,
    planned: Sequence[Planned],
    store: Store,
    display: Display,
    summary: Summary,
    *,
    command: str,
    executor: str = "local",
    manner: Manner | None = None,
) -> list[Result]:
    """Carry out the ``planned`` runs and return their results; Ctrl-C ends the list early and marks ``display.interrupted``.

    Failed runs of an earlier call are run again; finished and skipped ones are served; a damaged record is set aside and made again. An interrupted
    run goes on from its last checkpoint. A run that another live process works on is left for the end and then waited for. What keeps a run from
    beginning or from being scored becomes a failed record, and the others go on. When several processes work together, the main one decides what
    is served and is the only one that writes.

    Raises:
        EnvironmentFault: a device, disk or permission is missing, for this run and for all others.
        PareBenchError: as the first run that fails says, under ``fail_fast``.
    """
    campaign = _Campaign(registry, store, display, summary, command, manner or Manner())
    try:
        with interrupts_shown():
            for _ in registry.build("executor", executor).map(campaign.one, planned):
                pass
            campaign.rest()
    except _Stopped:
        display.note("the first failure ends the command (--fail-fast)")
    except KeyboardInterrupt:
        display.interrupted = True
    finally:
        campaign.leave()
        if is_main_process():
            summary.finish()
    places = {config_of(each).digest(): place for place, each in enumerate(planned)}
    return sorted(campaign.results, key=lambda result: places.get(result.record.config.digest(), len(places)))


class _Campaign:
    def __init__(self, registry: Registry, store: Store, display: Display, summary: Summary, command: str, manner: Manner) -> None:
        self.registry, self.store, self.display, self.summary, self.command, self.manner = registry, store, display, summary, command, manner
        self.results: list[Result] = []
        self._marks = RunningRuns(store.root)
        self._left: list[Prepared] = []
        self._told: set[str] = set()
        self._began = datetime.now(UTC).isoformat(timespec="milliseconds")

    def one(self, planned: Planned) -> RunRecord | None:
        """Serve one run, or carry it out and save its record; None where another process works on it: it is left for the end."""
        self.display.begin(config_of(planned))
        self.display.stage("prepare")
        clock = Clock()
        try:
            if isinstance(planned, Unresolved):
                raise planned.error
            with interrupts_shown():
                prepared = prepare(self.registry, planned)
        except (KeyboardInterrupt, EnvironmentFault):
            raise
        except BaseException as error:
            # A task may fail in any way, or exit; one of several processes cannot go on alone.
            if self.manner.fail_fast or launched_processes() > 1:
                raise
            _show(error)
            return self._save(not_begun(self.registry, planned, clock, error, self.command), _code(error))
        return self._prepared(prepared, wait=False)

    def rest(self) -> None:
        """Wait for the runs that other processes work on, and serve them; what such a process leaves undone is done here."""
        if self._left and not self.manner.wait:
            self.display.note(f"{len(self._left)} runs are left to the processes that work on them (--no-wait)")
            return
        for prepared in self._left:
            self.display.begin(prepared.config)
            self._prepared(prepared, wait=True)

    def leave(self) -> None:
        """Stop saying that this process works on runs; the marks of those it has not ended stay and say so."""
        self._marks.abandon()

    def _prepared(self, prepared: Prepared, *, wait: bool) -> RunRecord | None:
        agreed = self._agreement(prepared)
        found, why = agreed(self._finished), None
        if found is None:
            while (owner := agreed(self._owner)) is not None:
                if not wait:
                    self.display.note(f"left for now: {owner}")
                    self._left.append(prepared)
                    return None
                self.display.note(f"waiting for {owner}")
                while agreed(self._at_work):
                    time.sleep(_POLL)
            found, why = agreed(self._stored)
            if found is None:
                return self._run(prepared, why)
            if is_main_process():
                self._marks.end(prepared.run_id)
        return self._end(found, served=found.status != "failed")

    def _agreement(self, prepared: Prepared) -> Callable[[Callable[[Prepared], Any]], Any]:
        """Return what asks for a decision about a run: the main process makes it, and all get it."""
        if launched_processes() == 1:
            return lambda decide: decide(prepared)
        # Whoever works with others needs torch anyway.
        from pare_bench.runs.runner import build_accelerator

        processes = Processes.of(build_accelerator(prepared.config))
        return lambda decide: processes.from_main(decide(prepared) if processes.is_main else None)

    def _owner(self, prepared: Prepared) -> str | None:
        """Make a run this process's own, or return who works on it."""
        other = self._marks.claim(prepared.run_id, prepared.config)
        return None if other is None else str(other)

    def _at_work(self, prepared: Prepared) -> bool:
        other = self._marks.find(prepared.run_id)
        return other is not None and other.alive()

    def _run(self, prepared: Prepared, why: str | None) -> RunRecord:
        # Imported once it is known that something has to be trained: torch takes longer than serving a whole suite.
        from pare_bench.records.predictions import PredictionsFolder
        from pare_bench.runs.runner import run
        from pare_bench.training.checkpoint import CheckpointFolder

        checkpoint = CheckpointFolder(self.store.root / "checkpoints" / prepared.run_id, self.manner.resume)
        predictions = PredictionsFolder(self.store.root / "predictions", self.manner.predictions)
        clock = Clock()
        code = ExitCode.SOME_RUNS_FAILED
        try:
            record = run(self.registry, prepared, self.display, self.command, checkpoint, predictions, why)
        except EnvironmentFault:
            raise
        except PareBenchError as error:
            if self.manner.fail_fast or launched_processes() > 1:
                raise
            record, code = failed(self.registry, prepared, clock, error, why, self.command), error.exit_code
        return self._save(record, code, checkpoint)

    def _save(self, record: RunRecord, code: ExitCode, checkpoint: CheckpointFolder | None = None) -> RunRecord:
        # Before it is saved: whoever interrupts once the file is there is told of it.
        self.results.append(self._result(record, False, code))
        if is_main_process():
            self.store.save(record)
            self._marks.end(record.run_id)
            if checkpoint is not None and record.status != "failed":
                checkpoint.remove()
            self.registry.plugins.notify("pare_bench_run_finished", record=record)
            self.summary.update()
        return self._told_of(record)

    def _end(self, record: RunRecord, *, served: bool) -> RunRecord:
        self.results.append(self._result(record, served, ExitCode.SOME_RUNS_FAILED))
        if is_main_process():
            self.summary.served(self.results[-1].path)
        return self._told_of(record)

    def _result(self, record: RunRecord, served: bool, code: ExitCode) -> Result:
        path = self.store.path(record.suite, record.task.name, record.method.name, record.run_id)
        return Result(record, path, served, code if record.status == "failed" else ExitCode.OK)

    def _told_of(self, record: RunRecord) -> RunRecord:
        self.display.end(self.results[-1])
        if record.status == "failed" and self.manner.fail_fast:
            raise _Stopped
        return record

    def _finished(self, prepared: Prepared) -> RunRecord | None:
        """Return the record of a run that is done; whatever else there is to say of it is said once the run is this process's own."""
        config = prepared.config
        try:
            found = self.store.find(config.suite, config.task.name, config.method.name, prepared.run_id)
        except IntegrityError:
            return None
        return found if found is not None and found.status != "failed" else None

    def _stored(self, prepared: Prepared) -> tuple[RunRecord | None, str | None]:
        """Return the stored record of a run where it is to be served, else why the run is carried out."""
        config = prepared.config
        found, damaged = self.store.find_or_set_aside(config.suite, config.task.name, config.method.name, prepared.run_id)
        if found is not None and (found.status != "failed" or found.finished >= self._began):
            # One that has failed since this command began is one that another process has just tried.
            return found, None
        if damaged is not None:
            self.display.note(f"the stored record was damaged; it is now '{damaged}', and the run is done again")
            return None, "the stored record was damaged"
        records = self.store.of_method(config.suite, config.task.name, config.method.name)
        alike = [record for record in records if record.status != "failed" and record.identity is not None]
        alike = [record for record in alike if same_but_libraries(record.identity, prepared.identity)]  # type: ignore[arg-type]
        if alike and found is None and not self.manner.fresh_libraries:
            newest = max(alike, key=age)
            self._tell_libraries(newest, prepared)
            return newest, None
        why = cause(Run.now(config, prepared.identity), records)
        if found is None and any(record.config == config and record.status != "failed" for record in records):
            # The same settings have been run: whoever expects to be served wants to know why not.
            self.display.note(f"runs again: {why}")
        return None, why

    def _tell_libraries(self, record: RunRecord, prepared: Prepared) -> None:
        """Say once in what versions served runs and this machine differ."""
        differing = sentence(differences(Run.of(record), Run.now(prepared.config, prepared.identity)))
        if differing not in self._told:
            self._told.add(differing)
            self.display.note(f"served although they were made with other versions: {differing} (--fresh libraries runs them again)")


def _show(error: BaseException) -> None:
    """Show where unexpected errors came up: whoever wrote the task wants to know."""
    if not isinstance(error, PareBenchError):
        sys.excepthook(type(error), error, error.__traceback__)


def _code(error: BaseException) -> ExitCode:
    return error.exit_code if isinstance(error, PareBenchError) else ExitCode.SOME_RUNS_FAILED
