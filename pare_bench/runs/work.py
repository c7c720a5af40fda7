"""What an executor hands to its workers: one work item to its outcome, in whatever process it is called."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from pare_bench.config.run_config import RunConfig
from pare_bench.contracts.executor import Outcome, WorkItem
from pare_bench.errors import EnvironmentFault, interrupts_shown
from pare_bench.records.store import Store
from pare_bench.registry.names import Registry
from pare_bench.registry.plugins import SELECTION_VARIABLE
from pare_bench.runs.interruption import ended_by_signal
from pare_bench.runs.reports import Reporting
from pare_bench.runs.single import Left, Manner, Runs


class _NoSummary:
    """``leaderboard.json`` is kept by the process that asked."""

    def update(self) -> None:
        """Leave it."""

    def served(self, path: Path) -> None:
        """Leave it."""

    def finish(self) -> None:
        """Leave it."""


def carry_out(item: WorkItem) -> Outcome:
    """Carry one run out in this process and return what came of it; a run that fails is a record that says so.

    Only installed plugins are known here. SIGTERM ends it as Ctrl-C does: a checkpoint is written, and the outcome is ``interrupted``.

    Raises:
        PluginError: another run goes on in this process, in another thread.
    """
    config = RunConfig.model_validate(dict(item.config))
    store = Store(Path(item.out))
    display = Reporting(store.root, item.run_id)
    manner = Manner(**item.flags, time_limit=item.time_limit, memory_limit=item.memory_limit)
    runs = Runs(_registry(os.environ.get(SELECTION_VARIABLE)), store, display, _NoSummary(), item.command, manner)
    try:
        with ended_by_signal(), interrupts_shown(), _warnings_noted(display):
            found = runs.one(config)
    except KeyboardInterrupt:
        return Outcome(item.number, interrupted=True, notes=tuple(display.notes))
    except EnvironmentFault as error:
        return Outcome(item.number, fault=(str(error), error.hint), notes=tuple(display.notes))
    finally:
        runs.leave()
        display.remove()
    notes = tuple(display.notes)
    if isinstance(found, Left):
        return Outcome(item.number, left=found.owner, notes=notes)
    record = found.record.model_dump(mode="json", by_alias=True)
    return Outcome(item.number, record=record, served=found.served, exit_code=int(found.exit_code), notes=notes)


@contextmanager
def _warnings_noted(display: Reporting) -> Iterator[None]:
    """Inside, a warning is a line among those that go back with the run: nobody may be reading what a worker writes to its stderr."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: display.note(f"warning: {message}")
        yield


@lru_cache(maxsize=1)
def _registry(_: str | None) -> Registry:
    return Registry.from_environment()
