"""Means over seeds and their intervals.

Everything takes plain numbers and imports nothing heavy; scipy is loaded when a quantile of Student's distribution is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from pare_bench.statistics.ties import RELATIVE, bounded, difference


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean of one or more values. Their order does not matter, and equal values have exactly their value as mean."""
    try:
        centre = math.fsum(values) / len(values)
    except OverflowError:
        largest = max(map(abs, values))
        centre = largest * (math.fsum(value / largest for value in values) / len(values))
    # The division rounds once more: 0.99 three times would not give 0.99, and two methods with the same scores and other numbers of seeds no tie.
    return min(max(centre, min(values)), max(values))


def sample_sd(values: Sequence[float]) -> float | None:
    """Return the standard deviation with divisor n - 1, or None for fewer than two values; 0 where they differ by rounding alone."""
    if len(values) < 2:
        return None
    centre = mean(values)
    deviations = [value - centre for value in values]
    # Dividing by the largest first keeps the squares from overflowing or vanishing.
    scale = max(map(abs, deviations))
    if scale == math.inf:
        deviations = [bounded(value) for value in deviations]
        scale = max(map(abs, deviations))
    if scale <= RELATIVE * max(map(abs, values)):
        return 0.0
    return bounded(scale * math.sqrt(math.fsum((each / scale) ** 2 for each in deviations) / (len(values) - 1)))


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean, or None for fewer than two values."""
    deviation = sample_sd(values)
    return None if deviation is None else deviation / math.sqrt(len(values))


def half_width(values: Sequence[float], confidence: float = 0.95) -> float | None:
    """Return half the width of Student's two-sided interval of the mean, or None for fewer than two values."""
    error = standard_error(values)
    return None if error is None else bounded(t_quantile(len(values) - 1, confidence) * error)


def t_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Return Student's two-sided interval of the mean, or None for fewer than two values."""
    half = half_width(values, confidence)
    return None if half is None else around(mean(values), half)


def around(centre: float, half: float) -> tuple[float, float]:
    """Return the ends of an interval."""
    return bounded(centre - half), bounded(centre + half)


def welch(first: Sequence[float], second: Sequence[float]) -> tuple[float, float] | None:
    """Return Welch's standard error of a difference of two means and its degrees of freedom, or None when one side has fewer than two values."""
    errors = standard_error(first), standard_error(second)
    if errors[0] is None or errors[1] is None:
        return None
    error = bounded(math.hypot(errors[0], errors[1]))
    if not error:
        return 0.0, float(len(first) + len(second) - 2)
    shares = [(each / error) ** 2 for each in (errors[0], errors[1])]
    return error, 1 / sum(share**2 / (len(values) - 1) for share, values in zip(shares, (first, second), strict=True))


def welch_half_width(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> float | None:
    """Return half the width of Welch's interval of a difference of two means, or None when one side has fewer than two values."""
    found = welch(first, second)
    return None if found is None else bounded(t_quantile(found[1], confidence) * found[0])


@lru_cache(1024)
def t_quantile(freedom: float, confidence: float) -> float:
    """Return the quantile of Student's distribution that bounds a two-sided interval."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))


def paired_differences(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """Return first - second for every seed that both have, in the order of the seeds; exactly 0 where the two are equal."""
    found = []
    for seed in sorted(first.keys() & second.keys()):
        a, b = first[seed], second[seed]
        # Most seeds differ by far more than rounding: the rule of ties is asked about the others alone.
        plain = a - b
        found.append(plain if 1e-6 * (abs(a) + abs(b)) < abs(plain) < math.inf else difference(a, b))
    return found


def paired_t_p(differences: Sequence[float]) -> float | None:
    """Return the two-sided p of Student's paired test, or None for fewer than two differences.

    Differences that are all equal leave no noise to test against: p is 1 when they are zero, else 0.
    """
    deviation = sample_sd(differences)
    if deviation is None:
        return None
    centre = mean(differences)
    if not deviation:
        return 1.0 if centre == 0 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(len(differences) - 1, -abs(centre) / (deviation / math.sqrt(len(differences)))))
