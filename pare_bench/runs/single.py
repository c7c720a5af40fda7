"""One run at a time, in this process: serve it from the store, leave it to who works on it, or carry it out and save its record."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pare_bench.config.resolution import Planned, Unresolved, config_of
from pare_bench.config.run_config import RunConfig
from pare_bench.errors import EnvironmentFault, ExitCode, IntegrityError, PareBenchError, PluginError, interrupts_shown
from pare_bench.provenance.explanation import Run, cause, differences, sentence
from pare_bench.provenance.identity import same_but_libraries
from pare_bench.records.predictions import Mode
from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store
from pare_bench.records.variants import age
from pare_bench.registry.names import Registry
from pare_bench.runs.epoch_log import EpochLog
from pare_bench.runs.limits import OverLimitError, within
from pare_bench.runs.marks import RunningRuns
from pare_bench.runs.observed import Observed
from pare_bench.runs.preparation import Prepared, prepare
from pare_bench.runs.recording import Clock, failed, not_begun
from pare_bench.training.distributed import Processes
from pare_bench.training.launched import is_main_process, launched_processes
from pare_bench.training.progress import Reporter

if TYPE_CHECKING:
    from pare_bench.runs.reports import AtWork
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

    def at_work(self, runs: Sequence[AtWork]) -> None:
        """How far the runs are that other processes carry out for this command."""


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
    ``time_limit`` in seconds and ``memory_limit`` in MB end a run as a failed one. ``log`` is a file, by its absolute path, that gets a line for
    each epoch.
    """

    resume: bool = True
    predictions: Mode = "compact"
    fresh_libraries: bool = False
    fail_fast: bool = False
    wait: bool = True
    time_limit: float | None = None
    memory_limit: float | None = None
    log: str | None = None


@dataclass(frozen=True)
class Left:
    """A run that another live process works on."""

    prepared: Prepared
    owner: str


#: Held while a run of this process goes on: runs seed the generators of the whole process.
_ALONE = threading.Lock()


class Runs:
    """Carries out runs one after the other; what the processes of one launcher share is decided by the main one."""

    def __init__(self, registry: Registry, store: Store, display: Display, summary: Summary, command: str, manner: Manner) -> None:
        self.registry, self.store, self.display, self.summary, self.command, self.manner = registry, store, display, summary, command, manner
        self._marks = RunningRuns(store.root)
        #: What has come out so far; a run is here before its record is written.
        self.results: list[Result] = []
        self._told: set[str] = set()
        self._began = datetime.now(UTC).isoformat(timespec="milliseconds")

    def one(self, planned: Planned) -> Result | Left:
        """Serve one run, or carry it out and save its record; what keeps it from beginning becomes a failed record.

        Raises:
            PluginError: another run goes on in this process, in another thread.
            EnvironmentFault: a device, disk or permission is missing, for this run and for all others.
            PareBenchError: as the run says that could not begin, under ``fail_fast`` or with several processes.
        """
        if not _ALONE.acquire(blocking=False):
            raise PluginError(
                "two runs at a time in one process: both seed its random generators, and neither score would be its seed's",
                hint="give each run a process of its own: --executor processes",
            )
        try:
            prepared = self.prepared(planned)
            return prepared if isinstance(prepared, Result) else self._carry_out(prepared, wait=False)
        finally:
            _ALONE.release()

    def prepared(self, planned: Planned) -> Prepared | Result:
        """Return a run whose data are there, or the failed record of one that cannot begin."""
        self.display.begin(config_of(planned))
        self.display.stage("prepare")
        clock = Clock()
        try:
            if isinstance(planned, Unresolved):
                raise planned.error
            with interrupts_shown():
                return prepare(self.registry, planned)
        except (KeyboardInterrupt, EnvironmentFault):
            raise
        except BaseException as error:
            # A task may fail in any way, or exit; one of several processes cannot go on alone.
            if self.manner.fail_fast or launched_processes() > 1:
                raise
            _show(error)
            return self._save(not_begun(self.registry, planned, clock, error, self.command), _code(error))

    def served(self, prepared: Prepared) -> Result | None:
        """Serve a run that is done, None where it is not."""
        found = self._finished(prepared)
        return None if found is None else self._end(found, served=True)

    def waited_for(self, left: Left) -> Result:
        """Wait for a run that another process works on, and serve it; what such a process leaves undone is done here."""
        self.display.begin(left.prepared.config)
        found = self._carry_out(left.prepared, wait=True)
        assert isinstance(found, Result)  # noqa: S101 - it has waited
        return found

    def at_work(self, left: Left) -> bool:
        """Return whether the process that a run was left to still works on it."""
        return self._at_work(left.prepared)

    def settled(self, left: Left) -> Result | None:
        """Serve a run that was left to a process which no longer works on it, None where that process has left it undone."""
        found, _ = self._stored(left.prepared)
        if found is None:
            return None
        self.display.begin(left.prepared.config)
        return self._end(found, served=found.status != "failed")

    def recorded(self, prepared: Prepared) -> None:
        """Take over a run that a worker of this command has recorded, where it has."""
        found = self._finished(prepared)
        if found is not None:
            self.display.begin(prepared.config)
            self._end(found, served=False)

    def lost(self, run: Prepared | Planned, error: PareBenchError) -> Result:
        """Save the failed record of a run whose process is gone."""
        if isinstance(run, Prepared):
            record = failed(self.registry, run, Clock(), error, None, self.command)
        else:
            record = not_begun(self.registry, run, Clock(), error, self.command)
        self.display.begin(record.config)
        return self._save(record, error.exit_code)

    def taken(self, record: RunRecord, *, served: bool, code: ExitCode) -> Result:
        """Take over what another process has made of a run; where it does not share the store, the record is written now."""
        result = self._result(record, served, code)
        self.results.append(result)
        if not result.path.exists():
            self.store.save(record)
        self.summary.update()
        self.display.begin(record.config)
        self.display.end(result)
        return result

    def leave(self) -> None:
        """Stop saying that this process works on runs; the marks of those it has not ended stay and say so."""
        self._marks.abandon()

    def _carry_out(self, prepared: Prepared, *, wait: bool) -> Result | Left:
        agreed = self._agreement(prepared)
        found, why = agreed(self._finished), None
        if found is None:
            while (owner := agreed(self._owner)) is not None:
                if not wait:
                    self.display.note(f"left for now: {owner}")
                    return Left(prepared, owner)
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

    def _run(self, prepared: Prepared, why: str | None) -> Result:
        # Imported once it is known that something has to be trained: torch takes longer than serving a whole suite.
        from pare_bench.records.predictions import PredictionsFolder
        from pare_bench.runs.runner import run
        from pare_bench.training.checkpoint import CheckpointFolder

        checkpoint = CheckpointFolder(self.store.root / "checkpoints" / prepared.run_id, self.manner.resume)
        predictions = PredictionsFolder(self.store.root / "predictions", self.manner.predictions)
        observed = Observed(self._reporter(prepared), self.registry.plugins, prepared.run_id)
        clock = Clock()
        code = ExitCode.SOME_RUNS_FAILED
        try:
            with within(self.manner.time_limit, self.manner.memory_limit):
                observed.started(prepared.config)
                record = run(self.registry, prepared, observed, self.command, checkpoint, predictions, why)
        except OverLimitError as error:
            if launched_processes() > 1:
                raise
            record = failed(self.registry, prepared, clock, error, why, self.command)
        except EnvironmentFault:
            raise
        except PareBenchError as error:
            if self.manner.fail_fast or launched_processes() > 1:
                raise
            record, code = failed(self.registry, prepared, clock, error, why, self.command), error.exit_code
        return self._save(record, code, checkpoint, observed)

    def _reporter(self, prepared: Prepared) -> Reporter:
        log = self.manner.log
        return self.display if log is None else EpochLog(self.display, Path(log), prepared.config, prepared.run_id)

    def _save(self, record: RunRecord, code: ExitCode, checkpoint: CheckpointFolder | None = None, observed: Observed | None = None) -> Result:
        result = self._result(record, False, code)
        # Before it is saved: whoever interrupts once the file is there is told of it.
        self.results.append(result)
        if is_main_process():
            self.store.save(record)
            self._marks.end(record.run_id)
            if checkpoint is not None and record.status != "failed":
                checkpoint.remove()
            (observed or Observed(self.display, self.registry.plugins, record.run_id)).finished(record)
            self.summary.update()
        self.display.end(result)
        return result

    def _end(self, record: RunRecord, *, served: bool) -> Result:
        result = self._result(record, served, ExitCode.SOME_RUNS_FAILED)
        self.results.append(result)
        if is_main_process():
            self.summary.served(result.path)
        self.display.end(result)
        return result

    def _result(self, record: RunRecord, served: bool, code: ExitCode) -> Result:
        path = self.store.path(record.suite, record.task.name, record.method.name, record.run_id)
        return Result(record, path, served, code if record.status == "failed" else ExitCode.OK)

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
