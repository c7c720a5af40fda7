"""Means over seeds and their intervals.

Everything takes plain numbers and imports nothing heavy; scipy is loaded when a quantile of Student's distribution is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean of one or more values. Their order does not matter, and equal values have exactly their value as mean."""
    try:
        centre = math.fsum(values) / len(values)
    except OverflowError:
        centre = math.fsum(value / len(values) for value in values)
    # The division rounds once more: 0.99 three times would not give 0.99, and two methods with the same scores and other numbers of seeds no tie.
    return min(max(centre, min(values)), max(values))


def sample_sd(values: Sequence[float]) -> float | None:
    """Return the standard deviation with divisor n - 1, or None for fewer than two values."""
    if len(values) < 2:
        return None
    centre = mean(values)
    deviations = [value - centre for value in values]
    # Dividing by the largest first keeps the squares from overflowing or vanishing.
    scale = max(map(abs, deviations))
    return scale * math.sqrt(math.fsum((each / scale) ** 2 for each in deviations) / (len(values) - 1)) if scale else 0.0


def half_width(values: Sequence[float], confidence: float = 0.95) -> float | None:
    """Return half the width of Student's two-sided interval of the mean, or None for fewer than two values."""
    deviation = sample_sd(values)
    if deviation is None:
        return None
    return _t_quantile(len(values) - 1, confidence) * (deviation / math.sqrt(len(values)))


def t_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Return Student's two-sided interval of the mean, or None for fewer than two values."""
    half = half_width(values, confidence)
    return None if half is None else (mean(values) - half, mean(values) + half)


def welch_half_width(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> float | None:
    """Return half the width of Welch's interval of a difference of two means, or None when one side has fewer than two values."""
    deviations = sample_sd(first), sample_sd(second)
    if deviations[0] is None or deviations[1] is None:
        return None
    error = math.hypot(deviations[0] / math.sqrt(len(first)), deviations[1] / math.sqrt(len(second)))
    if not error:
        return 0.0
    shares = [(deviation / error) ** 2 / len(values) for deviation, values in zip((deviations[0], deviations[1]), (first, second), strict=True)]
    freedom = 1 / sum(share**2 / (len(values) - 1) for share, values in zip(shares, (first, second), strict=True))
    return _t_quantile(freedom, confidence) * error


def _t_quantile(freedom: float, confidence: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))


def paired_differences(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """Return first - second for every seed that both have, in the order of the seeds."""
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]


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
