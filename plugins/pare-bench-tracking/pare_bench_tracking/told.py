"""What is written of a run, the same in every store: settings, words to find it by, points of its curves, numbers at its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

#: MLflow takes no longer values.
LONGEST = 5000


def settings(config: Any) -> dict[str, str | bool | int | float]:
    """Return the resolved configuration by dotted path, components by their slot: ``recipe.batch_size``, ``method``, ``method.align_epochs``.

    Slots that the run does not use are left out; what is no number and no text is JSON.
    """
    return {path: _short(value) for path, value in _flat(config.model_dump(mode="json"), "")}


def _flat(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, dict) and value.keys() == {"name", "params"}:
            yield here, value["name"]
            yield from _flat(value["params"], here)
        elif isinstance(value, dict) and value:
            yield from _flat(value, here)
        elif value is not None:
            yield here, value


def _short(value: Any) -> str | bool | int | float:
    if isinstance(value, bool | int | float):
        return value
    return cut(value if isinstance(value, str) else json.dumps(value))


def cut(text: str) -> str:
    """Return a text that every store takes."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def words(config: Any) -> dict[str, str]:
    """Return what runs are found and told apart by; the tier is among them, for a score on generated data is no score on the real ones."""
    return {
        "suite": config.suite, "task": config.task.name, "tier": config.tier, "method": config.method.name, "seed": str(config.seed),
        "preset": config.preset, "track": config.track,
    }  # fmt: skip


def title(config: Any) -> str:
    """Return the run's name."""
    return f"{config.method.name} {config.task.name} seed {config.seed} ({config.tier})"


def point(stage: str, loss: float, score: float | None, rate: float | None) -> dict[str, float]:
    """Return the numbers of an epoch; ``validation`` is the task's primary metric on the validation split."""
    values = {f"{stage}/loss": loss, f"{stage}/validation": score, f"{stage}/rate": rate}
    return {name: value for name, value in values.items() if value is not None}


def curve(record: Any) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Yield stage, epoch and numbers of every epoch in a record; it keeps no rates, and of an alignment no score."""
    for stage, training in record.training.items():
        for each in training.curve:
            yield stage, each.epoch, point(stage, each.train_loss, None if stage == "align" else each.validation, None)


def results(record: Any) -> dict[str, float]:
    """Return the numbers at the end of a run: ``test/...`` are the scores on the test split, ``test/floor`` the best constant prediction."""
    found = {f"test/{metric.name}": metric.value for metric in record.metrics}
    found |= {"test/floor": record.floor, "test/persistence": record.persistence}
    found |= {f"seconds/{stage}": seconds for stage, seconds in record.seconds.items()}
    found |= {name: getattr(record, name) for name in ("samples_per_second", "peak_memory_mb", "parameters_total", "parameters_trained")}
    return {name: float(value) for name, value in found.items() if value is not None}


def outcome(record: Any) -> dict[str, str]:
    """Return what became of a run, in words, and which of its scores counts."""
    found = {"status": record.status, "reason": record.reason, "hint": record.hint, "task_version": str(record.task.version)}
    found |= {"metric": next((metric.name for metric in record.metrics if metric.primary), None), "version": record.environment.pare_bench}
    return {name: cut(value) for name, value in found.items() if value is not None}
