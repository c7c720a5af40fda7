"""The difference of two methods over tasks, with an interval: tasks as a random effect, seeds within them; and what such a design can see.

The model is d(t, s) = effect + b(t) + e(t, s), b and e normal with variances of their own. Where every task has as many seeds, the estimate is the
mean of the task means, its squared error the mean square between tasks over the number of all values, and Student's quantile with T - 1 degrees of
freedom is
exact: the one-way random-effects analysis of variance (Searle, Casella and McCulloch 1992, chapter 3). Unequal numbers of seeds are weighed by task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from pare_bench.statistics.estimates import around, mean, sample_sd, t_quantile
from pare_bench.statistics.ties import bounded

#: Chance of an interval that excludes 0 at which a difference counts as one that the design can see.
POWER = 0.8
#: More seeds, or tasks, than these are not proposed.
MOST_SEEDS = 1000
MOST_TASKS = 10_000


class Effect(NamedTuple):
    """A mean difference over tasks.

    ``interval`` (95%), ``p`` and ``error`` (standard error) are None for a single task: it says nothing of others. ``between`` is the variance of the
    true differences among tasks, ``within`` that of one task's difference by its seeds; None where no task has two seeds. ``freedom`` are the degrees
    of freedom of the error, ``tasks`` the number of tasks.
    """

    mean: float
    interval: tuple[float, float] | None
    p: float | None
    error: float | None
    freedom: float
    between: float | None
    within: float | None
    tasks: int


def effect_over_tasks(differences: Sequence[float], errors: Sequence[float | None], seeds: int = 0, confidence: float = 0.95) -> Effect:
    """Return the effect over tasks.

    Args:
        differences: the mean difference on each task, on one scale.
        errors: the standard error of each over its seeds, None where it has too few.
        seeds: how many seeds the tasks have, at least: where all tasks show the same difference, the seeds' own error stands in.
        confidence: of the interval.

    Raises:
        ValueError: no task, or a difference that is not a finite number.
    """
    if not differences or not all(map(math.isfinite, differences)):
        raise ValueError("an effect over tasks takes one or more finite differences")
    num, centre = len(differences), mean(differences)
    known = [error for error in errors if error is not None]
    within = mean([error**2 for error in known]) if known else None
    spread = sample_sd(differences)
    if spread is None:
        return Effect(centre, None, None, None, 0.0, None, within, num)
    between = spread**2 if within is None else max(0.0, spread**2 - within)
    freedom, squared = float(num - 1), spread**2
    if not squared and within and seeds > 1:
        # Equal differences on all tasks are chance: nothing is that sure.
        freedom, squared = float(num * (seeds - 1)), within
    error = math.sqrt(squared / num)
    half = bounded(t_quantile(freedom, confidence) * error)
    return Effect(centre, around(centre, half), _two_sided(centre, error, freedom), error, freedom, between, within, num)


def _two_sided(centre: float, error: float, freedom: float) -> float:
    if not error:
        return 1.0 if centre == 0 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(centre) / error))


def power_of(difference: float, error: float, freedom: float, confidence: float = 0.95) -> float:
    """Return the chance that Student's interval excludes 0, on either side, where the true difference is ``difference``."""
    if not error:
        return 1.0 if difference else 1 - confidence
    return _power(abs(difference) / error, freedom, confidence)


def _power(shift: float, freedom: float, confidence: float) -> float:
    from scipy.special import nctdtr, ndtr

    critical = t_quantile(freedom, confidence)
    if shift > 37:  # beyond this the non-central distribution underflows; the normal one is as good
        return float(ndtr(shift - critical))
    beyond, opposite = 1 - float(nctdtr(freedom, shift, critical)), float(nctdtr(freedom, shift, -critical))
    return beyond + (0.0 if math.isnan(opposite) else opposite)


@lru_cache(256)
def detectable(freedom: float, power: float = POWER, confidence: float = 0.95) -> float:
    """Return the true difference, in standard errors, that is seen with this power: its interval excludes 0."""
    low, high = 0.0, 10.0
    while _power(high, freedom, confidence) < power and high < 1e6:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _power(middle, freedom, confidence) < power else (low, middle)
    return high


def smallest_seen(effect: Effect, power: float = POWER) -> float | None:
    """Return the smallest true difference that the design of ``effect`` sees with this power; None for a single task."""
    return None if effect.error is None else detectable(effect.freedom, power) * effect.error


def with_design(effect: Effect, seeds: int, num_seeds: int, num_tasks: int) -> float | None:
    """Return the standard error to expect of ``num_tasks`` tasks and ``num_seeds`` seeds; None where the variances are not known.

    ``seeds`` are those with which ``effect`` was measured.
    """
    if effect.between is None or effect.within is None:
        return None
    return math.sqrt((effect.between + effect.within * seeds / num_seeds) / num_tasks)


def seeds_that_do(effect: Effect, difference: float, seeds: int, power: float = POWER) -> int | None:
    """Return the fewest seeds (at least two) with which these tasks see ``difference``; None where no number up to 1000 does, or none is known."""
    if with_design(effect, seeds, 1, effect.tasks) is None or effect.tasks < 2:
        return None

    def enough(count: int) -> bool:
        error = with_design(effect, seeds, count, effect.tasks) or 0.0
        return power_of(difference, error, effect.tasks - 1) >= power

    return _fewest(enough, 2, MOST_SEEDS)


def tasks_that_do(effect: Effect, difference: float, power: float = POWER) -> int | None:
    """Return the fewest tasks like these that see ``difference`` with as many seeds; None where none up to 10,000 do."""

    def enough(count: int) -> bool:
        error = (effect.error or 0.0) * math.sqrt(effect.tasks / count)
        return power_of(difference, error, count - 1) >= power

    return None if effect.error is None else _fewest(enough, 2, MOST_TASKS)


def _fewest(enough: Callable[[int], bool], least: int, most: int) -> int | None:
    """Return the smallest number for which ``enough`` holds; it holds for all larger ones then."""
    if not enough(most):
        return None
    low, high = least - 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
