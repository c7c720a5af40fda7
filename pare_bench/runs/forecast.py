"""What a command would do, told before anything is done: what is served, what is run and why, how long it may take, and which files are missing.

Nothing is trained, made or fetched. As in ``status`` and ``explain``, a stored run is compared in configuration, code and libraries; its data and
weights are compared when it is called for.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Literal

from pare_bench.config.resolution import Planned, Unresolved
from pare_bench.config.run_config import RunConfig
from pare_bench.config.settings import setting
from pare_bench.datasets.official import data_root, is_present, state_of
from pare_bench.provenance.explanation import Difference, changes_since, outdated, sentence
from pare_bench.provenance.identity import components_of
from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store
from pare_bench.records.variants import age
from pare_bench.registry.names import Registry
from pare_bench.runs.recording import device_name

#: ``served``: from the store; ``stale``: stored, and done again since something has changed; ``failed``: stored as a failure, and tried again;
#: ``new``: not stored; ``impossible``: cannot begin.
State = Literal["served", "stale", "failed", "new", "impossible"]


@dataclass(frozen=True)
class MissingFiles:
    """Published files that a run reads and that are not on this machine."""

    task: str
    files: tuple[str, ...]

    @property
    def command(self) -> str:
        """What fetches them."""
        return f"pare-bench data fetch {self.task}"


@dataclass(frozen=True)
class Expected:
    """What a run may take, by stored runs of the same method, task and preset on this machine; ``seconds`` and ``megabytes`` None: unknown.

    ``runs`` are so many; ``same`` says that they have the same settings.
    """

    seconds: float | None = None
    megabytes: float | None = None
    runs: int = 0
    same: bool = True

    def __str__(self) -> str:
        if not self.runs:
            return "no such run of this machine is stored"
        return f"{self.runs} stored run{'s' if self.runs > 1 else ''} of this machine" + ("" if self.same else ", with other settings")


@dataclass(frozen=True)
class Forecast:
    """What a command would do with one run; ``why`` says why it is not served, ``run_id`` which stored run is meant."""

    state: State
    why: str = ""
    run_id: str | None = None
    expected: Expected = Expected()
    missing: tuple[MissingFiles, ...] = ()


class Forecaster:
    """Foretells the runs of one command; records and code are read once."""

    def __init__(self, registry: Registry, store: Store, *, fresh_libraries: bool = False) -> None:
        self.registry, self.store, self.fresh_libraries = registry, store, fresh_libraries
        self._of_method = lru_cache(maxsize=None)(store.of_method)
        self._changes: dict[tuple[object, ...], tuple[list[Difference] | None, str | None]] = {}

    def __call__(self, planned: Planned) -> Forecast:
        """Return what would become of a run."""
        if isinstance(planned, Unresolved):
            return Forecast("impossible", str(planned.error))
        records = self._of_method(planned.suite, planned.task.name, planned.method.name) if self.store.records_folder.is_dir() else []
        state, why, run_id = self._state(planned, records)
        if state == "served":
            return Forecast(state, why, run_id)
        return Forecast(state, why, run_id, expected(planned, records), tuple(missing_files(self.registry, planned)))

    def _state(self, config: RunConfig, records: Sequence[RunRecord]) -> tuple[State, str, str | None]:
        same = sorted((record for record in records if record.begun and record.config == config), key=age, reverse=True)
        for record in same:
            changed, _ = self._since(record)
            if record.status != "failed" and changed is not None and not outdated(changed) and not (changed and self.fresh_libraries):
                return "served", f"made with other versions: {sentence(changed)}" if changed else "", record.run_id
        if not same:
            return "new", "", None
        newest = same[0]
        changed, unknown = self._since(newest)
        if newest.status == "failed" and (changed is None or not outdated(changed)):
            return "failed", f"it failed: {newest.reason}", newest.run_id
        return "stale", unknown or sentence(outdated(changed or []) or changed or []), newest.run_id

    def _since(self, record: RunRecord) -> tuple[list[Difference] | None, str | None]:
        components = tuple(components_of(record.config))
        libraries = None if record.identity is None else json.dumps(record.identity.libraries, sort_keys=True)
        key = (components, record.code_sha256, libraries)
        if key not in self._changes:
            self._changes[key] = changes_since(self.registry, components, record.code_sha256, record.identity)
        return self._changes[key]


def expected(config: RunConfig, records: Sequence[RunRecord]) -> Expected:
    """Return what a run may take, by ``records`` of its method on its task: those with the same settings and data where there are some."""
    here = platform.platform(), device_name(config.device)
    division = config.tier, config.track, config.preset
    alike = [
        record
        for record in records
        if record.status == "ok"
        and (record.environment.platform, record.environment.device) == here
        and (record.task.tier, record.track, record.preset) == division
    ]
    own = setting(config).identity
    same = [record for record in alike if record.setting.identity == own and record.config.size == config.size]
    chosen = same or alike
    memory = [record.peak_memory_mb for record in chosen if record.peak_memory_mb is not None]
    seconds = [sum(record.seconds.values()) for record in chosen]
    return Expected(median(seconds) if seconds else None, max(memory, default=None), len(chosen), bool(same) or not chosen)


def missing_files(registry: Registry, config: RunConfig) -> list[MissingFiles]:
    """Return the published files that a run would ask for in vain, of its task and of its source."""
    asked = [config.task.name] if config.tier == "official" else []
    if config.source is not None and config.source_size is None:
        asked.append(config.source.name)
    root = data_root()
    found = []
    for task in asked:
        declared = registry.component("task", task).official_files
        if state_of(root, task, declared) == "present":
            continue
        absent = [file for file in declared if not is_present(root, task, file)]
        # Where all are optional they are several ways to have the data.
        needed = [file for file in absent if not file.optional] or absent
        found.append(MissingFiles(task, tuple(file.path for file in needed)))
    return found
