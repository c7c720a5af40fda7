"""Outputs on the test split to scores and floors: the same for a run and for scores that are computed again from stored predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pare_bench.config.run_config import RunConfig
from pare_bench.contracts.task import Metric, Split, Splits, Task
from pare_bench.digests.closure import Code
from pare_bench.digests.live import target_of
from pare_bench.records.record import MetricRecord
from pare_bench.scoring.floor import ConstantPredictor, PersistencePredictor, persists
from pare_bench.scoring.tracks import released_metrics


@dataclass(frozen=True)
class Floors:
    """The primary metric of the floors, and the ``shape`` of the output for one example."""

    constant: float
    persistence: float | None
    shape: tuple[int, ...]


def metrics_of(task: Task, config: RunConfig) -> tuple[Metric, ...]:
    """Return the metrics of a run: the task's, or on the ``paper`` track the released ones."""
    return task.metrics if config.track == "clean" else released_metrics(task, config.recipe.batch_size)


def measure(metrics: Sequence[Metric], outputs: NDArray[np.floating], test: Split) -> tuple[MetricRecord, ...]:
    """Return every metric of ``outputs`` ``[n ...]`` on the test split; the first one is primary."""
    return tuple(
        MetricRecord(name=metric.name, value=metric.compute(outputs, test), direction=metric.direction, primary=number == 0)
        for number, metric in enumerate(metrics)
    )


def floors_of(task: Task, config: RunConfig, splits: Splits) -> Floors:
    """Return what the floors score on the test split."""
    metric, test = metrics_of(task, config)[0], splits.test
    constant = ConstantPredictor(task.target, splits.train)
    persistence = PersistencePredictor(task.target) if persists(task.target) else None
    return Floors(
        metric.compute(constant.predict(test.inputs), test),
        metric.compute(persistence.predict(test.inputs), test) if persistence else None,
        constant.output.shape,
    )


def scoring_code(task: Task, config: RunConfig) -> dict[str, str]:
    """Return the digest of every module that the scores depend on, given the outputs and the data: metrics, floors, and the task's own code."""
    modules = [__name__, target_of(type(task)), *(_module(metric) for metric in metrics_of(task, config))]
    return dict(Code().closure(modules, without=("pare_bench.datasets", "pare_bench.simulators")).code)


def _module(metric: Metric) -> str:
    # A functools.partial stands in for what it calls.
    module: str = getattr(metric.compute, "func", metric.compute).__module__
    return module
