"""Two methods on one task: their difference over seeds, from one set of seeds for value and interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pare_bench.statistics.estimates import around, mean, paired_differences, standard_error, t_quantile, welch
from pare_bench.statistics.ties import bounded, difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Seeds that a verdict takes: the differences of two seeds are often equal by chance, and their interval then has no width.
VERDICT_SEEDS = 3


class SeedDifference(NamedTuple):
    """first - second, with its standard error and half the width of its interval (None where there are too few seeds for one).

    ``freedom`` are the degrees of freedom of the error, ``sampling`` is the part of it that is by the choice of test examples, where that is known,
    and ``by_seeds`` is the rest then.
    ``means`` are those of the two over the seeds that were used, ``seeds`` is how many the one with fewer has, ``paired`` whether they are common
    ones.
    """

    value: float
    error: float | None
    half: float | None
    means: tuple[float, float]
    seeds: int
    paired: bool
    freedom: float = math.nan
    sampling: float | None = None
    by_seeds: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the interval."""
        return None if self.half is None else around(self.value, self.half)

    @property
    def seed_error(self) -> float | None:
        """The standard error by seeds alone."""
        return self.error if self.sampling is None else self.by_seeds

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
    return SeedDifference(difference(*means), error, half, means, min(map(len, values)), paired, freedom)


def sampling_error(first: Mapping[int, NDArray[Any]], second: Mapping[int, NDArray[Any]] | None = None) -> tuple[float, int]:
    """Return the standard error, by the choice of test examples, of the mean of ``first`` over seeds, or of its difference to that of ``second``,
    and from how many resamples it is known.

    Values are scores on the same resamples of the test split; resamples without a score are left out.
    """
    import numpy as np

    means = [np.mean(list(each.values()), axis=0) for each in (first, second) if each]
    drawn = means[0] - means[1] if len(means) > 1 else means[0]
    known = int(np.isfinite(drawn).sum())
    return (float(np.nanstd(drawn, ddof=1)), known) if known > 1 else (0.0, known)


def with_sampling(found: SeedDifference, sampling: float, resamples: int, confidence: float = 0.95) -> SeedDifference:
    """Return a difference whose interval has the choice of test examples in it; ``sampling`` is its standard error by that, from so many resamples.

    The two errors are independent: their squares add, with Satterthwaite's degrees of freedom.
    """
    if found.error is None:
        return found
    error = math.hypot(found.error, sampling)
    if not error:
        return found._replace(sampling=sampling, by_seeds=found.error)
    # In shares of the whole: fourth powers of small errors underflow.
    parts = ((found.error / error) ** 4 / found.freedom, (sampling / error) ** 4 / max(1, resamples - 1))
    freedom = 1 / sum(parts)
    half = bounded(t_quantile(freedom, confidence) * error)
    return found._replace(error=error, half=half, freedom=freedom, sampling=sampling, by_seeds=found.error)
