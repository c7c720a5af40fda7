"""Ranks with ties, and wins, ties and losses. A score that is not a number stands for a missing one: it is worse than any other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from pare_bench.statistics.estimates import mean
from pare_bench.statistics.ties import difference, same

Direction = Literal["minimise", "maximise"]


class WinsTiesLosses(NamedTuple):
    """On how many tasks the first of two methods is better, equal and worse."""

    wins: int
    ties: int
    losses: int


def shared_ranks(values: Sequence[float], direction: Direction = "minimise", scales: Sequence[float] | None = None) -> list[float]:
    """Return the rank of each value, 1 for the best; equal values share the mean of the ranks they take up.

    Equal are values that differ by rounding alone (:mod:`pare_bench.statistics.ties`); ``scales`` has, for differences, the size of the scores behind
    each. Values that are not numbers share the last ranks.
    """
    keys = [(math.isnan(value), 0.0 if math.isnan(value) else _cost(value, direction)) for value in values]
    sizes = scales or [0.0] * len(keys)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    ranks, start = [0.0] * len(keys), 0
    for stop in range(1, len(keys) + 1):
        if stop == len(keys) or not _tied(keys, sizes, order[stop - 1], order[stop]):
            for position in order[start:stop]:
                ranks[position] = (start + 1 + stop) / 2
            start = stop
    return ranks


def _tied(keys: Sequence[tuple[bool, float]], sizes: Sequence[float], first: int, second: int) -> bool:
    return keys[first][0] == keys[second][0] and same(keys[first][1], keys[second][1], max(sizes[first], sizes[second]))


def _cost(value: float, direction: Direction) -> float:
    return value if direction == "minimise" else -value


def mean_ranks(scores: Mapping[str, Sequence[float]], directions: Sequence[Direction]) -> dict[str, float]:
    """Return the mean rank of each method over tasks. ``scores[method][t]`` is its score on task t, whose direction is ``directions[t]``."""
    names = list(scores)
    ranks = [shared_ranks([scores[name][task] for name in names], direction) for task, direction in enumerate(directions)]
    return {name: mean([row[position] for row in ranks]) for position, name in enumerate(names)} if directions else {}


def wins_ties_losses(
    first: Sequence[float], second: Sequence[float], directions: Sequence[Direction], rope: Sequence[float] | None = None
) -> WinsTiesLosses:
    """Compare two methods task by task; ``rope`` has, per task, the difference up to which two scores are practically equal (none: zero)."""
    signs = []
    for a, b, direction, width in zip(first, second, directions, rope or [0.0] * len(directions), strict=True):
        if math.isnan(a) or math.isnan(b):
            signs.append(math.isnan(b) - math.isnan(a))
        else:
            worse = difference(_cost(a, direction), _cost(b, direction))
            # The border belongs to the region, also where rounding has put a difference just beyond it.
            inside = abs(worse) <= width or (width > 0 and same(abs(worse), width, max(abs(a), abs(b))))
            signs.append(0 if inside else -1 if worse > 0 else 1)
    return WinsTiesLosses(signs.count(1), signs.count(0), signs.count(-1))
