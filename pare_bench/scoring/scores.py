"""Outputs on the test split to scores and floors: the same for a run and for scores that are computed again from stored predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pare_bench.config.run_config import RunConfig
from pare_bench.contracts.task import Metric, Split, Splits, Task
from pare_bench.digests.closure import Code
from pare_bench.records.record import MetricRecord
from pare_bench.scoring.floor import ConstantPredictor, PersistencePredictor, persists
from pare_bench.scoring.tracks import released_metrics


@dataclass(frozen=True)
class Scores:
    """All metrics of a run, the primary one first, and the primary metric of the floors."""

    metrics: tuple[MetricRecord, ...]
    floor: float
    persistence: float | None


def metrics_of(task: Task, config: RunConfig) -> tuple[Metric, ...]:
    """Return the metrics of a run: the task's, or on the ``paper`` track the released ones."""
    return task.metrics if config.track == "clean" else released_metrics(task, config.recipe.batch_size)


def measure(metrics: Sequence[Metric], outputs: NDArray[np.floating], test: Split) -> tuple[MetricRecord, ...]:
    """Return every metric of ``outputs`` ``[n ...]`` on the test split; the first one is primary."""
    return tuple(
        MetricRecord(name=metric.name, value=metric.compute(outputs, test), direction=metric.direction, primary=number == 0)
        for number, metric in enumerate(metrics)
    )


def scored(task: Task, config: RunConfig, outputs: NDArray[np.floating], splits: Splits) -> Scores:
    """Return the scores of ``outputs`` on the test split, and of the floors."""
    metrics = metrics_of(task, config)
    floor = metrics[0].compute(ConstantPredictor(task.target, splits.train).predict(splits.test.inputs), splits.test)
    persistence = metrics[0].compute(PersistencePredictor(task.target).predict(splits.test.inputs), splits.test) if persists(task.target) else None
    return Scores(measure(metrics, outputs, splits.test), floor, persistence)


def scoring_code(task: Task, config: RunConfig) -> dict[str, str]:
    """Return the digest of every module that the scores depend on, given the outputs and the data: metrics, floors, and the task's own code."""
    modules = [__name__, type(task).__module__, *(_module(metric) for metric in metrics_of(task, config))]
    return dict(Code().closure(modules, without=("pare_bench.datasets", "pare_bench.simulators")).code)


def _module(metric: Metric) -> str:
    # A functools.partial stands in for what it calls.
    module: str = getattr(metric.compute, "func", metric.compute).__module__
    return module
