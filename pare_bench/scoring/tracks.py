"""The ``paper`` track's way of scoring: metrics of chunks, averaged unweighted, as the released code does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.task import Metric, Split, Task
from pare_bench.seeds import stream

#: The released ``eval_batch_size`` of all tasks but PSICOV, whose chunks are single proteins.
RELEASED_CHUNK = 1000

Compute = Callable[[NDArray[np.floating], Split], float]


def chunk_size(batch_size: int, at_least: int = RELEASED_CHUNK) -> int:
    """Return the examples of a released chunk: whole batches of ``batch_size``, as few as hold ``at_least`` examples (P:main_PaRe.py:400-417)."""
    return -(-at_least // batch_size) * batch_size


def chunked(compute: Compute, batch_size: int, *, at_least: int = RELEASED_CHUNK, shuffled: str | None = None) -> Compute:
    """Return ``compute`` as released: the unweighted mean over chunks of at least ``at_least`` examples; the last one may be small.

    ``shuffled`` names the stream that orders the examples first, for tasks whose released test loader shuffles.
    """
    size = chunk_size(batch_size, at_least)

    def mean_of_chunks(outputs: NDArray[np.floating], split: Split) -> float:
        order = np.arange(len(split)) if shuffled is None else stream("released test order", shuffled).permutation(len(split))
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        return float(np.mean([compute(outputs[part], split.take(part)) for part in parts]))

    return mean_of_chunks


def chunked_metrics(metrics: Sequence[Metric], batch_size: int) -> tuple[Metric, ...]:
    """Return ``metrics`` in the released code's usual way: over chunks of whole batches of ``batch_size``, averaged unweighted."""
    return tuple(Metric(metric.name, chunked(metric.compute, batch_size), metric.direction) for metric in metrics)


def released_metrics(task: Task, batch_size: int) -> tuple[Metric, ...]:
    """Return the metrics of ``task`` as the released code computes them: the task's own, or its metrics in the usual way."""
    own = task.released_metrics(batch_size)
    return chunked_metrics(task.metrics, batch_size) if own is None else own
