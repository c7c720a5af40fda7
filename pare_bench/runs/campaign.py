"""Several runs: serve what the store has, run what is missing, save each record and keep the leaderboard up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pare_bench.config.run_config import RunConfig
from pare_bench.errors import interrupts_shown
from pare_bench.provenance.explanation import Run, cause, differences, sentence
from pare_bench.provenance.identity import same_but_libraries
from pare_bench.records.predictions import Mode
from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store
from pare_bench.records.variants import age
from pare_bench.registry.names import Registry
from pare_bench.runs.marks import RunningRuns
from pare_bench.runs.preparation import Prepared, prepare
from pare_bench.training.distributed import Processes
from pare_bench.training.launched import is_main_process, launched_processes
from pare_bench.training.progress import Reporter


@dataclass(frozen=True)
class Result:
    """A record, where it stands, and whether it was served from the store."""

    record: RunRecord
    path: Path
    served: bool


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

    def finish(self) -> None:
        """No more will come."""


@dataclass(frozen=True)
class Manner:
    """How runs are carried out: whether an interrupted one goes on from its checkpoint, what is kept of the predictions, and what is served.

    ``fresh_libraries``: a stored run that differs in versions of libraries alone is done again instead of being served.
    """

    resume: bool = True
    predictions: Mode = "compact"
    fresh_libraries: bool = False


def run_all(
    registry: Registry,
    configs: Sequence[RunConfig],
    store: Store,
    display: Display,
    summary: Summary,
    *,
    command: str,
    executor: str = "local",
    manner: Manner | None = None,
) -> list[Result]:
    """Carry out ``configs`` and return their results; Ctrl-C ends the list early and marks ``display.interrupted``.

    Failed runs of an earlier call are run again; finished and skipped ones are served; a damaged record is set aside and made again. An interrupted
    run goes on from its last checkpoint. When several processes work together, the main one decides what is served and is the only one that writes.
    """
    campaign = _Campaign(registry, store, display, summary, command, manner or Manner())
    try:
        with interrupts_shown():
            for _ in registry.build("executor", executor).map(campaign.one, configs):
                pass
    except KeyboardInterrupt:
        display.interrupted = True
    finally:
        if is_main_process():
            summary.finish()
    return campaign.results


class _Campaign:
    def __init__(self, registry: Registry, store: Store, display: Display, summary: Summary, command: str, manner: Manner) -> None:
        self.registry, self.store, self.display, self.summary, self.command, self.manner = registry, store, display, summary, command, manner
        self.results: list[Result] = []
        self._marks = RunningRuns(store.root)
        self._told: set[str] = set()

    def one(self, config: RunConfig) -> RunRecord:
        """Serve one run, or carry it out and save its record."""
        self.display.begin(config)
        self.display.stage("prepare")
        prepared = prepare(self.registry, config)
        main = is_main_process()
        found, why = self._stored(prepared) if main else (None, None)
        if launched_processes() > 1:
            # Whoever works with others needs torch anyway.
            from pare_bench.runs.runner import build_accelerator

            found = Processes.of(build_accelerator(config)).from_main(found)
        served = found is not None and found.status != "failed"
        if found is not None and served:
            record = found
            self._keep(record, served=True)
        else:
            record = self._run(prepared, why)
        self.display.end(self.results[-1])
        return record

    def _keep(self, record: RunRecord, *, served: bool) -> None:
        path = self.store.path(record.suite, record.task.name, record.method.name, record.run_id)
        self.results.append(Result(record, path, served))

    def _run(self, prepared: Prepared, why: str | None) -> RunRecord:
        # Imported once it is known that something has to be trained: torch takes longer than serving a whole suite.
        from pare_bench.records.predictions import PredictionsFolder
        from pare_bench.runs.runner import run
        from pare_bench.training.checkpoint import CheckpointFolder

        main = is_main_process()
        checkpoint = CheckpointFolder(self.store.root / "checkpoints" / prepared.run_id, self.manner.resume)
        predictions = PredictionsFolder(self.store.root / "predictions", self.manner.predictions)
        if main:
            self._marks.begin(prepared.run_id, prepared.config)
        record = run(self.registry, prepared, self.display, self.command, checkpoint, predictions, why)
        # Before it is saved: whoever interrupts once the file is there is told of it.
        self._keep(record, served=False)
        if main:
            self.store.save(record)
            self._marks.end(record.run_id)
            if record.status != "failed":
                checkpoint.remove()
            self.registry.plugins.notify("pare_bench_run_finished", record=record)
            self.summary.update()
        return record

    def _stored(self, prepared: Prepared) -> tuple[RunRecord | None, str | None]:
        """Return the stored record of a run, and why it is carried out where that is not to be served."""
        config = prepared.config
        found, damaged = self.store.find_or_set_aside(config.suite, config.task.name, config.method.name, prepared.run_id)
        if found is not None and found.status != "failed":
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
        return found, why

    def _tell_libraries(self, record: RunRecord, prepared: Prepared) -> None:
        """Say once in what versions served runs and this machine differ."""
        differing = sentence(differences(Run.of(record), Run.now(prepared.config, prepared.identity)))
        if differing not in self._told:
            self._told.add(differing)
            self.display.note(f"served although they were made with other versions: {differing} (--fresh libraries runs them again)")
