"""Interquartile mean over tasks and seeds with a stratified bootstrap interval (Agarwal et al., NeurIPS 2021, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Resamples of the bootstrap; fewer where the runs are so many that this many values would be drawn.
RESAMPLES = 2000
_MOST_VALUES = 2_000_000
_AT_ONCE = 500_000


def interquartile_mean(tasks: Sequence[Sequence[float]]) -> float:
    """Return the mean of the middle half of all values; each task weighs the same, shared among its seeds.

    The quartiles cut through values: of three values the middle one weighs 2/3, each outer one 1/6. (scipy.stats.trim_mean leaves out whole
    values only, so that of three it leaves out none; the two agree where the number of values is a multiple of four.)

    Raises:
        ValueError: a task without a value, or a value that is not a finite number.
    """
    values, weights = _flat(tasks)
    return float(_middle_half(values[None], weights[None])[0])


def num_resamples(tasks: Sequence[Sequence[float]]) -> int:
    """Return how many resamples :func:`bootstrap_interval` takes: 2000, and at least 200 where there are very many runs."""
    return min(RESAMPLES, max(200, _MOST_VALUES // max(1, len(tasks) * max(map(len, tasks)))))


def bootstrap_interval(tasks: Sequence[Sequence[float]], *words: str | int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the percentile interval of the interquartile mean; None for a single value.

    Tasks are drawn with replacement, then seeds within each drawn task. ``words`` name the random stream: the same words and as many tasks and
    seeds draw the same places, so that methods are compared on the same resamples.
    """
    import numpy as np

    from pare_bench.seeds import stream

    if len(tasks) == 1 and len(tasks[0]) == 1:
        return None
    _flat(tasks)
    rng = stream(*words)
    counts = np.array([len(task) for task in tasks])
    table = np.array([[*task, *[0.0] * (counts.max() - len(task))] for task in tasks])
    total, found = num_resamples(tasks), []
    step = max(1, _AT_ONCE // table.size)
    for start in range(0, total, step):
        size = min(step, total - start)
        drawn = rng.integers(0, len(tasks), (size, len(tasks)))
        places = (rng.random((size, *table.shape)) * counts[drawn][:, :, None]).astype(int)
        values = table[drawn[:, :, None], places].reshape(size, -1)
        if counts.min() == counts.max():
            found.append(_equal_middle_half(values))
        else:
            weights = np.where(np.arange(table.shape[1]) < counts[drawn][:, :, None], 1 / counts[drawn][:, :, None], 0.0)
            found.append(_middle_half(values, weights.reshape(size, -1)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(found), [tail, 1 - tail])
    return float(low), float(high)


def _flat(tasks: Sequence[Sequence[float]]) -> tuple[NDArray[Any], NDArray[Any]]:
    import numpy as np

    values = np.array([value for task in tasks for value in task], dtype=float)
    if not tasks or not all(tasks) or not np.isfinite(values).all():
        raise ValueError("the interquartile mean takes one or more finite values for each of one or more tasks")
    return values, np.array([1 / len(task) for task in tasks for _ in task])


def _middle_half(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Return, per row, the mean of the sorted values between the first and third quarter of the total weight."""
    import numpy as np

    order = np.argsort(values, axis=1, kind="stable")
    ends = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    ends /= ends[:, -1:]
    starts = np.concatenate([np.zeros((len(ends), 1)), ends[:, :-1]], axis=1)
    inside = np.clip(np.minimum(ends, 0.75) - np.maximum(starts, 0.25), 0.0, None)
    return np.asarray((inside * np.take_along_axis(values, order, axis=1)).sum(axis=1) / inside.sum(axis=1))


def _equal_middle_half(values: NDArray[Any]) -> NDArray[Any]:
    """Return the same where all weights are equal, without carrying them along."""
    import numpy as np

    edges = np.arange(values.shape[1] + 1) / values.shape[1]
    inside = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0.0, None)
    return np.asarray(np.sort(values, axis=1) @ (inside / inside.sum()))
