"""What became of a run, as a record: scored, failed, or one that could not even begin."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pare_bench.config.resolution import Unresolved, changes_from_preset
from pare_bench.config.run_config import SLOTS, RunConfig, Tier
from pare_bench.contracts.task import SPLIT_NAMES, Task
from pare_bench.datasets.cache import Data
from pare_bench.errors import PareBenchError, plain_text
from pare_bench.provenance.revision import revision
from pare_bench.records.record import ComponentRecord, EnvironmentRecord, RunRecord, TaskRecord, id_without_data
from pare_bench.registry.names import Registry
from pare_bench.runs.preparation import Prepared
from pare_bench.training.launched import launched_processes

_LIBRARIES = ("torch", "timm", "transformers", "accelerate", "numpy", "scipy", "scikit-learn", "POT")


@dataclass
class Clock:
    """When a run began (UTC), how long its stages took in seconds, and when it was last looked at."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.perf_counter)
    _last: float = field(default_factory=time.perf_counter)

    def finished(self) -> datetime:
        """Return the time now, by a clock that cannot jump back where that of the day has: nothing ends before it starts."""
        return max(datetime.now(UTC), self.started + timedelta(seconds=time.perf_counter() - self._began))

    def lap(self) -> float:
        """Return the seconds since the last look, or since the beginning."""
        now = time.perf_counter()
        passed, self._last = now - self._last, now
        return passed


def recorded(registry: Registry, prepared: Prepared, clock: Clock, outcome: Mapping[str, Any], command: str) -> RunRecord:
    """Return the record of a run whose data and identity are known; ``outcome`` has its status and what the run itself brought."""
    config, identity = prepared.config, prepared.identity
    source = prepared.source
    return RunRecord(
        run_id=prepared.run_id,
        task=_task_record(prepared.task, config.tier, prepared.data),
        source=_task_record(source.task, source.tier, source.data) if source else None,
        method_version=registry.component("method", config.method.name).version,
        weights_sha256=identity.weights,
        variant=changes_from_preset(registry, config),
        code_sha256=identity.code_sha256,
        identity=identity,
        **_common(registry, config, clock, command),
        **outcome,
    )


def failed(registry: Registry, prepared: Prepared, clock: Clock, error: BaseException, cause: str | None, command: str) -> RunRecord:
    """Return the record of a prepared run that ``error`` has ended."""
    return recorded(registry, prepared, clock, {**failure(error), "cause": cause}, command)


def not_begun(registry: Registry, planned: RunConfig | Unresolved, clock: Clock, error: BaseException, command: str) -> RunRecord:
    """Return the record of a run that ``error`` in its task or data kept from beginning: it has no identity, and every command tries it again."""
    config = planned.config if isinstance(planned, Unresolved) else planned
    variant = planned.options if isinstance(planned, Unresolved) else _changes(registry, planned)
    return RunRecord(
        run_id=id_without_data(config, variant),
        task=TaskRecord(name=config.task.name, version=0, tier=config.tier, data_sha256="", sizes={}, real=None),
        method_version=0,
        variant=variant,
        code_sha256="",
        **_common(registry, config, clock, command),
        **{"hint": f"pare-bench check task:{config.task.name}", **failure(error)},
    )


def failure(error: BaseException) -> dict[str, Any]:
    """Return status, reason and hint of a run that ``error`` has ended."""
    if not isinstance(error, PareBenchError):
        return {"status": "failed", "reason": plain_text(f"{type(error).__name__}: {error}")}
    found = {"status": "failed", "reason": plain_text(str(error))}
    return found if error.hint is None else {**found, "hint": plain_text(error.hint)}


def _changes(registry: Registry, config: RunConfig) -> tuple[str, ...]:
    try:
        return changes_from_preset(registry, config) or ()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - the task that has failed is asked once more, and may fail in any way
        return ()


def _common(registry: Registry, config: RunConfig, clock: Clock, command: str) -> dict[str, Any]:
    def component(kind: str, name: str, params: dict[str, Any]) -> ComponentRecord:
        plugin = registry.entry(kind, name).plugin
        return ComponentRecord(name=name, params=params, plugin=plugin.name, distribution=plugin.distribution, version=plugin.version)

    return {
        "suite": config.suite,
        "method": component("method", config.method.name, config.method.params),
        "slots": {slot: component(SLOTS[slot], chosen.name, chosen.params) for slot, chosen in config.slots().items()},
        "track": config.track,
        "preset": config.preset,
        "seed": config.seed,
        "seconds": {name: round(value, 3) for name, value in clock.seconds.items()},
        "environment": _environment(config),
        "started": clock.started.isoformat(timespec="milliseconds"),
        "finished": clock.finished().isoformat(timespec="milliseconds"),
        "command": plain_text(command),
        "config": config,
    }


def _task_record(task: Task, tier: Tier, data: Data) -> TaskRecord:
    return TaskRecord(
        name=task.name,
        version=task.version,
        tier=tier,
        data_sha256=data.sha256,
        sizes={name: len(getattr(data.splits, name)) for name in SPLIT_NAMES},
        real="; ".join(filter(None, ("all of it: the published files", task.found))) if tier == "official" else task.real,
    )


def device_name(device: str) -> str:
    """Return how records call a device of this machine: the GPU's name, else the processor's."""
    if device.startswith("cuda"):
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    return platform.processor() or platform.machine()


def _environment(config: RunConfig) -> EnvironmentRecord:
    import torch  # a whole suite is served without it

    from pare_bench.training.numerics import numerics

    return EnvironmentRecord(
        pare_bench=importlib.metadata.version("pare-bench"),
        revision=revision(),
        python=platform.python_version(),
        platform=platform.platform(),
        device=device_name(config.device),
        threads=torch.get_num_threads(),
        processes=launched_processes(),
        numerics=numerics(),
        libraries={name: importlib.metadata.version(name) for name in _LIBRARIES},
    )
