"""Several runs: serve what the store has, run what is missing, save each record and keep the leaderboard up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pare_bench.config.run_config import RunConfig
from pare_bench.errors import interrupts_shown
from pare_bench.provenance.explanation import Run, cause
from pare_bench.records.predictions import Mode, PredictionsFolder
from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store
from pare_bench.registry.names import Registry
from pare_bench.runs.marks import RunningRuns
from pare_bench.runs.runner import Prepared, build_accelerator, prepare, run
from pare_bench.training.checkpoint import CheckpointFolder
from pare_bench.training.distributed import Processes, is_main_process, launched_processes
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


def run_all(
    registry: Registry,
    configs: Sequence[RunConfig],
    store: Store,
    display: Display,
    summary: Summary,
    *,
    command: str,
    executor: str = "local",
    resume: bool = True,
    predictions: Mode = "compact",
) -> list[Result]:
    """Carry out ``configs`` and return their results; Ctrl-C ends the list early and marks ``display.interrupted``.

    Failed runs of an earlier call are run again; finished and skipped ones are served; a damaged record is set aside and made again. An interrupted
    run goes on from its last checkpoint, unless ``resume`` is False. When several processes work together, the main one decides what is served and
    is the only one that writes.
    """
    main = is_main_process()
    results: list[Result] = []
    running = RunningRuns(store.root)
    folder = PredictionsFolder(store.root / "predictions", predictions)

    def one(config: RunConfig) -> RunRecord:
        display.begin(config)
        display.stage("prepare")
        prepared = prepare(registry, config)
        found, why = _stored(store, prepared, display) if main else (None, None)
        if launched_processes() > 1:
            found = Processes.of(build_accelerator(config)).from_main(found)
        served = found is not None and found.status != "failed"
        checkpoint = CheckpointFolder(store.root / "checkpoints" / prepared.run_id, resume)
        if found is not None and served:
            record = found
        else:
            if main:
                running.begin(prepared.run_id, config)
            record = run(registry, prepared, display, command, checkpoint, folder, why)
        path = store.path(config.suite, config.task.name, config.method.name, record.run_id)
        results.append(Result(record, path, served))
        if not served and main:
            store.save(record)
            running.end(record.run_id)
            if record.status != "failed":
                checkpoint.remove()
            registry.plugins.notify("pare_bench_run_finished", record=record)
            summary.update()
        display.end(results[-1])
        return record

    try:
        with interrupts_shown():
            for _ in registry.build("executor", executor).map(one, configs):
                pass
    except KeyboardInterrupt:
        display.interrupted = True
    finally:
        if main:
            summary.finish()
    return results


def _stored(store: Store, prepared: Prepared, display: Display) -> tuple[RunRecord | None, str | None]:
    """Return the stored record of a run, and why it is carried out where that is not to be served."""
    config = prepared.config
    found, damaged = store.find_or_set_aside(config.suite, config.task.name, config.method.name, prepared.run_id)
    if found is not None and found.status != "failed":
        return found, None
    if damaged is not None:
        display.note(f"the stored record was damaged; it is now '{damaged}', and the run is done again")
        return None, "the stored record was damaged"
    records = store.of_method(config.suite, config.task.name, config.method.name)
    why = cause(Run.now(config, prepared.identity), records)
    if found is None and any(record.config == config and record.status != "failed" for record in records):
        # The same settings have been run: whoever expects to be served wants to know why not.
        display.note(f"runs again: {why}")
    return found, why
