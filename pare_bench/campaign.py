"""Several runs: serve what the store has, run what is missing, save each record and rebuild the leaderboard after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pare_bench.checkpoint import CheckpointFolder
from pare_bench.config import RunConfig
from pare_bench.distributed import Processes, is_main_process, launched_processes
from pare_bench.leaderboard import build, to_json
from pare_bench.progress import Reporter
from pare_bench.records import RunRecord
from pare_bench.registry import Registry
from pare_bench.runner import build_accelerator, prepare, run
from pare_bench.store import Store, write_atomically


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


def run_all(
    registry: Registry, configs: Sequence[RunConfig], store: Store, display: Display, *, command: str, executor: str = "local", resume: bool = True
) -> list[Result]:
    """Carry out ``configs`` and return their results; Ctrl-C ends the list early and marks ``display.interrupted``.

    Failed runs of an earlier call are run again; finished and skipped ones are served. An interrupted run goes on from its last checkpoint, unless
    ``resume`` is False. When several processes work together, the main one decides what is served and is the only one that writes.
    """
    main = is_main_process()
    results: list[Result] = []

    def one(config: RunConfig) -> RunRecord:
        display.begin(config)
        display.stage("prepare")
        prepared = prepare(registry, config)
        found = store.find(config.suite, config.task.name, config.method.name, prepared.run_id) if main else None
        if launched_processes() > 1:
            found = Processes.of(build_accelerator(config)).from_main(found)
        served = found is not None and found.status != "failed"
        checkpoint = CheckpointFolder(store.root / "checkpoints" / prepared.run_id, resume)
        record = found if found is not None and served else run(registry, prepared, display, command, checkpoint)
        path = store.path(config.suite, config.task.name, config.method.name, record.run_id)
        results.append(Result(record, path, served))
        if not served and main:
            store.save(record)
            if record.status != "failed":
                checkpoint.remove()
            registry.plugins.notify("pare_bench_run_finished", record=record)
            write_leaderboard(store)
        display.end(results[-1])
        return record

    try:
        for _ in registry.build("executor", executor).map(one, configs):
            pass
    except KeyboardInterrupt:
        display.interrupted = True
    return results


def write_leaderboard(store: Store) -> None:
    """Rebuild ``leaderboard.json`` from all records of the store."""
    write_atomically(store.root / "leaderboard.json", to_json(build(store.records())).encode())
