"""Two methods on one task: their difference over seeds, from one set of seeds for value and interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from pare_bench.statistics.estimates import around, mean, paired_differences, standard_error, t_quantile, welch
from pare_bench.statistics.ties import bounded, difference

#: Seeds that a verdict takes: the differences of two seeds are often equal by chance, and their interval then has no width.
VERDICT_SEEDS = 3


class SeedDifference(NamedTuple):
    """first - second, with its standard error and half the width of its interval (None where there are too few seeds for one).

    ``means`` are those of the two over the seeds that were used, ``seeds`` is how many the one with fewer has, ``paired`` whether they are common
    ones.
    """

    value: float
    error: float | None
    half: float | None
    means: tuple[float, float]
    seeds: int
    paired: bool

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the interval."""
        return None if self.half is None else around(self.value, self.half)

    def ahead(self, sign: float = 1.0) -> bool:
        """Return whether the interval lies above 0 (``sign`` -1: below), by three seeds or more of each."""
        return self.half is not None and self.seeds >= VERDICT_SEEDS and sign * self.value > self.half


def seed_difference(first: Mapping[int, float], second: Mapping[int, float], confidence: float = 0.95) -> SeedDifference:
    """Return the difference of two methods whose scores are given by seed.

    Where they have the same seeds, or three in common, these alone are used, in pairs (Student); else all seeds of both, unpaired (Welch). Not a
    number where one has no score.
    """
    common = sorted(first.keys() & second.keys())
    if not first or not second:
        return SeedDifference(math.nan, None, None, (math.nan, math.nan), 0, False)
    paired = len(common) >= VERDICT_SEEDS or first.keys() == second.keys()
    values = (
        [first[seed] for seed in common] if paired else list(first.values()),
        [second[seed] for seed in common] if paired else list(second.values()),
    )
    if paired:
        error, freedom = standard_error(paired_differences(first, second)), len(common) - 1.0
    else:
        error, freedom = welch(*values) or (None, math.nan)
    means = mean(values[0]), mean(values[1])
    half = None if error is None else bounded(t_quantile(freedom, confidence) * error)
    return SeedDifference(difference(*means), error, half, means, min(map(len, values)), paired)
