"""All methods of a comparison at once: Friedman's test and its tie groups, gains over the floor, performance profiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pare_bench import statistics
from pare_bench.comparison.contrasts import ALPHA, Pair, content_digest
from pare_bench.comparison.task_rows import TaskRow
from pare_bench.statistics import Friedman

#: Factors at which tables tell the profiles.
FACTORS = (1.0, 1.1, 1.5, 2.0, 5.0)


@dataclass(frozen=True)
class Gains:
    """Gains of one method over the floor: the mean over tasks, and the interquartile mean over tasks and seeds with its bootstrap interval."""

    mean: float
    interquartile: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Overall:
    """What is said of all methods at once.

    ``rank_intervals`` are 95% bootstrap intervals of the mean ranks over tasks and seeds, empty for a single run of each method.
    ``friedman`` and ``nemenyi`` (the critical difference of mean ranks) are None for two methods. Groups hold methods that were not told apart:
    ``rank_groups`` by Nemenyi, ``pair_groups`` by the corrected pair tests. ``gains`` and ``ratios`` (of costs, for profiles) are empty where tasks
    have no common scale. ``resamples`` is the size of the bootstrap.
    """

    rank_intervals: Mapping[str, tuple[float, float]]
    friedman: Friedman | None
    nemenyi: float | None
    rank_groups: tuple[tuple[str, ...], ...]
    pair_groups: tuple[tuple[str, ...], ...]
    gains: Mapping[str, Gains]
    ratios: Mapping[str, Sequence[float]]
    resamples: int


def overall(rows: Sequence[TaskRow], methods: Sequence[str], ranks: Mapping[str, float], pairs: Sequence[Pair]) -> Overall:
    """Return what the statistics say of all ``methods``; ``ranks`` are their mean ranks, ``pairs`` all their pairs."""
    order = sorted(methods, key=lambda method: (ranks[method], method))
    many = len(methods) > 2
    critical, groups = statistics.nemenyi_groups(ranks, len(rows)) if many else (None, ())
    significant = {(pair.first, pair.second) for pair in pairs if pair.significant}
    gains, ratios, resamples = _scaled(rows, methods, content_digest(rows))
    return Overall(
        rank_intervals(rows, order),
        statistics.friedman([[row.ranks[method] for method in methods] for row in rows]) if many else None,
        critical,
        groups,
        statistics.tie_groups(order, significant),
        gains,
        ratios,
        resamples,
    )


def omnibus_sentence(found: Overall, num_methods: int, design: str) -> str:
    """Return what Friedman's and Nemenyi's tests say; ``design`` names tasks, seeds and policy."""
    if found.friedman is None or found.nemenyi is None:
        return "Friedman's and Nemenyi's tests take three or more methods; of two the pair test says all."
    text = f"{found.friedman.test}: chi-squared {found.friedman.statistic:.3g}, p = {found.friedman.p:.3g} ({design})"
    text += f"; Nemenyi's critical difference of mean ranks at {ALPHA:g} is {found.nemenyi:.2f}, the largest possible one {num_methods - 1}"
    return text + (": no scores whatever could differ by it." if found.nemenyi > num_methods - 1 else ".")


def mean_ranks(rows: Sequence[TaskRow], methods: Sequence[str]) -> dict[str, float]:
    """Return the mean rank of each of ``methods`` over tasks, among these methods."""
    return statistics.mean_ranks({method: [row.cells[method].score for row in rows] for method in methods}, [row.direction for row in rows])


def rank_intervals(rows: Sequence[TaskRow], methods: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return 95% bootstrap intervals of the mean ranks of ``methods`` over tasks and seeds, empty for a single run of each method."""
    # A method that takes the last rank has no score, whatever its seeds have.
    scores = {
        method: [[] if math.isnan(cell.score) else list(cell.seeds.values()) for cell in (row.cells[method] for row in rows)]
        for method in sorted(methods)
    }
    found = statistics.rank_intervals(scores, [row.direction for row in rows], "compare", content_digest(rows), "mean ranks")
    return {method: found[method] for method in methods if method in found}


def _scaled(rows: Sequence[TaskRow], methods: Sequence[str], digest: str) -> tuple[dict[str, Gains], dict[str, list[float]], int]:
    if any(row.span is None for row in rows):
        return {}, {}, 0
    found = {method: [_gains(row, method) for row in rows] for method in methods}
    gains = {
        method: Gains(
            statistics.mean([_gain(row, method) for row in rows]),
            statistics.interquartile_mean(tasks),
            statistics.bootstrap_interval(tasks, "compare", digest, "interquartile mean"),
        )
        for method, tasks in found.items()
    }
    costs = {method: [_cost(row, method) for row in rows] for method in methods}
    return gains, statistics.cost_ratios(costs), min(map(statistics.num_resamples, found.values()))


def _gains(row: TaskRow, method: str) -> list[float]:
    """Return the gain of every seed; a missing score counts as the least gain of any run on the task, and never as more than the floor."""
    missing = math.isnan(row.cells[method].score)
    cells = row.cells.values() if missing else [row.cells[method]]
    gains = [gain for cell in cells for value in cell.seeds.values() if (gain := row.gain(value)) is not None]
    return [min(0.0, *gains)] if missing else gains


def _gain(row: TaskRow, method: str) -> float:
    """Return the gain of the mean score; a missing one as for single seeds."""
    gain = None if math.isnan(row.cells[method].score) else row.gain(row.cells[method].score)
    return statistics.mean(_gains(row, method)) if gain is None else gain


def mean_gains(rows: Sequence[TaskRow], methods: Sequence[str]) -> dict[str, float]:
    """Return the mean gain of each method over tasks, empty where a task has no common scale."""
    if any(row.span is None for row in rows):
        return {}
    return {method: statistics.mean([_gain(row, method) for row in rows]) for method in methods}


def _cost(row: TaskRow, method: str) -> float:
    return abs(row.cells[method].score - row.perfect)
