"""Intervals of mean ranks by the same bootstrap as gains: tasks are drawn with replacement, then seeds within each drawn task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pare_bench.statistics.bootstrap import RESAMPLES
from pare_bench.statistics.ranks import Direction
from pare_bench.statistics.ties import RELATIVE

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Resamples become fewer, never below 200, where more values than this would be compared.
_MOST_COMPARISONS = 100_000_000


def rank_intervals(
    scores: Mapping[str, Sequence[Sequence[float]]], directions: Sequence[Direction], *words: str | int, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Return the percentile interval of each method's mean rank; nothing where there is one task and at most one seed of it.

    ``scores[method][t]`` are the scores of the method's seeds on task t, none where it takes the last rank. Methods share ranks where their means
    are equal. ``words`` name the random stream; all methods are ranked on the same draws.
    """
    import numpy as np

    from pare_bench.seeds import stream

    names, num_tasks = list(scores), len(directions)
    longest = max((len(seeds) for tasks in scores.values() for seeds in tasks), default=0)
    if not names or not num_tasks or (num_tasks == 1 and longest < 2):
        return {}
    counts = np.array([[len(seeds) for seeds in scores[name]] for name in names])
    worse = np.array([1.0 if direction == "minimise" else -1.0 for direction in directions])
    padded = np.array([[[*seeds, *[math.nan] * (longest - len(seeds))] for seeds in scores[name]] for name in names])
    padded = padded * worse[None, :, None]
    rng = stream(*words)
    size = min(RESAMPLES, max(200, _MOST_COMPARISONS // (num_tasks * len(names) ** 2)))
    drawn = rng.integers(0, num_tasks, (size, num_tasks))
    # One number between 0 and 1 for each place: methods with as many seeds draw the same ones.
    places = rng.random((size, num_tasks, longest))
    costs = np.stack([_resampled(padded[index], counts[index], drawn, places) for index in range(len(names))])
    tails = (1 - confidence) / 2
    found = {}
    for index, name in enumerate(names):
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.nan_to_num(costs - costs[index], nan=0.0)
            sizes = np.maximum(np.abs(costs), np.abs(costs[index]))
        margin = RELATIVE * np.where(np.isfinite(sizes), sizes, 0.0)
        ranks = 0.5 + (gap < -margin).sum(axis=0) + (np.abs(gap) <= margin).sum(axis=0) / 2
        low, high = np.quantile(ranks.mean(axis=1), [tails, 1 - tails])
        found[name] = (float(low), float(high))
    return found


def _resampled(table: NDArray[Any], counts: NDArray[Any], drawn: NDArray[Any], places: NDArray[Any]) -> NDArray[Any]:
    """Return the mean cost of one method on each drawn task, infinite where it has no score."""
    import numpy as np

    num = counts[drawn]
    chosen = (places * num[:, :, None]).astype(int)
    values = np.where(np.arange(table.shape[1]) < num[:, :, None], table[drawn[:, :, None], chosen], 0.0)
    # Divided before they are added: the sum of two scores near the largest float is none.
    with np.errstate(over="ignore"):
        means = (values / np.maximum(num, 1)[:, :, None]).sum(axis=2)
    largest = np.finfo(float).max
    return np.asarray(np.where(num > 0, np.clip(means, -largest, largest), math.inf))
