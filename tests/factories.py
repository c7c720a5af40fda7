"""Valid records without running anything, for tests of what is made from records."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pare_bench.config.run_config import RunConfig, Slot
from pare_bench.records.record import ComponentRecord, EnvironmentRecord, IdentityRecord, MetricRecord, RunRecord, TaskRecord


def digest(text: str) -> str:
    """A SHA-256 that stands for some bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(document: dict[str, Any]) -> str:
    """The text of a record's document with a seal that fits, as whoever edits a record and knows how would write it."""
    bare = json.dumps({**document, "content_sha256": None}, sort_keys=True, indent=2) + "\n"
    return bare.replace('"content_sha256": null', f'"content_sha256": "{digest(bare)}"', 1)


def make_record(
    method: str = "pare",
    task: str = "ecg",
    value: float | None = 0.5,
    *,
    seed: int = 0,
    suite: str = "nas360",
    tier: str = "generated",
    preset: str = "cpu",
    track: str = "clean",
    version: int = 1,
    data: str = "data",
    metric: str = "error_rate",
    direction: str = "minimise",
    floor: float = 0.9,
    status: str = "ok",
    reason: str | None = None,
    finished: str = "2026-01-01T00:00:00+00:00",
    code: str = "code",
    command: str | None = None,
    config: dict[str, Any] | None = None,
) -> RunRecord:
    """One record; ``config`` are further fields of its configuration, for example ``{"mixer": Slot(...)}``.

    The run id follows from configuration, code and data, as in the runner.
    """
    resolved = RunConfig(
        suite=suite, task=Slot(name=task), tier=tier, track=track, preset=preset, seed=seed, method=Slot(name=method), **(config or {})
    )
    ok = status == "ok"
    sizes = {"train": 8, "val": 4, "test": 4}

    identity = IdentityRecord(
        config=resolved.digest(), code={"component": digest(f"{code} {version}")[:16]}, data=digest(f"{task} {data}"), libraries={"torch": "2.6"}
    )

    def component(slot: Slot) -> ComponentRecord:
        return ComponentRecord(name=slot.name, params=slot.params, plugin="builtin", distribution="pare-bench", version="0.1.0")

    return RunRecord(
        run_id=identity.run_id,
        status=status,
        reason=reason if ok else reason or "out of memory",
        suite=suite,
        task=TaskRecord(name=task, version=version, tier=tier, data_sha256=digest(f"{task} {data}"), sizes=sizes, real=None),
        method=component(resolved.method),
        slots={name: component(slot) for name, slot in resolved.slots().items()},
        track=track,
        preset=preset,
        seed=seed,
        metrics=(MetricRecord(name=metric, value=value, direction=direction, primary=True),) if ok and value is not None else (),
        floor=floor if ok else None,
        environment=EnvironmentRecord(pare_bench="0.1.0", python="3.11.0", platform="test", device="cpu", threads=1, libraries={}),
        started=min(finished, "2026-01-01T00:00:00+00:00"),
        finished=finished,
        command=f"pare-bench run --method {method}" if command is None else command,
        config=resolved,
        code_sha256=identity.code_sha256,
        identity=identity,
    )


def run_identity(config: RunConfig, code: str, data: str) -> str:
    """The run id of a configuration with some code and data."""
    return IdentityRecord(config=config.digest(), code={"component": code}, data=data, libraries={}).run_id


def make_grid(scores: dict[str, dict[str, list[float]]], **fields: Any) -> list[RunRecord]:
    """Records of ``scores[method][task] = [value of seed 0, value of seed 1, ...]``."""
    return [
        make_record(method, task, value, seed=seed, **fields)
        for method, tasks in scores.items()
        for task, values in tasks.items()
        for seed, value in enumerate(values)
    ]
