"""The statistics behind a table of runs: small, exact where samples are small, and silent where a design can show nothing.

Everything takes plain numbers and imports nothing heavy; scipy is loaded when a t quantile is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

Direction = Literal["minimise", "maximise"]


class WinsTiesLosses(NamedTuple):
    """On how many tasks the first of two methods is better, equal and worse."""

    wins: int
    ties: int
    losses: int


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean of one or more values, correctly rounded, so that their order does not matter."""
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


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


def shared_ranks(values: Sequence[float], direction: Direction = "minimise") -> list[float]:
    """Return the rank of each value, 1 for the best; equal values share the mean of the ranks they take up. Nothing but equality is a tie."""
    keys = list(values) if direction == "minimise" else [-value for value in values]
    return [1 + sum(other < key for other in keys) + (sum(other == key for other in keys) - 1) / 2 for key in keys]


def mean_ranks(scores: Mapping[str, Sequence[float]], directions: Sequence[Direction]) -> dict[str, float]:
    """Return the mean rank of each method over tasks. ``scores[method][t]`` is its score on task t, whose direction is ``directions[t]``."""
    names = list(scores)
    ranks = [shared_ranks([scores[name][task] for name in names], direction) for task, direction in enumerate(directions)]
    return {name: mean([row[position] for row in ranks]) for position, name in enumerate(names)} if directions else {}


def wins_ties_losses(first: Sequence[float], second: Sequence[float], directions: Sequence[Direction]) -> WinsTiesLosses:
    """Compare two methods task by task."""
    signs = [(a < b) - (a > b) if direction == "minimise" else (a > b) - (a < b) for a, b, direction in zip(first, second, directions, strict=True)]
    return WinsTiesLosses(signs.count(1), signs.count(0), signs.count(-1))


def paired_differences(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """Return first - second for every seed that both have, in the order of the seeds."""
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]


def signed_rank_p(differences: Sequence[float]) -> float:
    """Return the exact two-sided p of Wilcoxon's signed-rank test.

    Zeros are left out and equal sizes share ranks (Wilcoxon 1945; Pratt's variant keeps zeros); the distribution is that of all 2^n signs
    given the ranks, so it is exact with shared ranks as well. Without any difference p is 1.
    """
    nonzero = [value for value in differences if value != 0]
    # Shared ranks are multiples of one half: doubled, they are integers that can index a table.
    doubled = [round(2 * rank) for rank in shared_ranks([abs(value) for value in nonzero])]
    ways = [1] + [0] * sum(doubled)
    for rank in doubled:
        for total in range(len(ways) - 1, rank - 1, -1):
            ways[total] += ways[total - rank]
    positive = sum(rank for rank, value in zip(doubled, nonzero, strict=True) if value > 0)
    smaller = min(positive, sum(doubled) - positive)
    return min(1.0, 2 * sum(ways[: smaller + 1]) / (1 << len(nonzero)))


def sign_test_p(differences: Sequence[float]) -> float:
    """Return the exact two-sided p of the sign test, zeros left out. It needs no common scale of the differences."""
    positive, negative = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    num = positive + negative
    return min(1.0, 2 * sum(math.comb(num, count) for count in range(min(positive, negative) + 1)) / (1 << num))


def smallest_possible_p(num_tasks: int) -> float:
    """Return the smallest two-sided p that a sign or signed-rank test over ``num_tasks`` tasks can give, whatever the scores: 2^(1 - N)."""
    return min(1.0, 2.0 ** (1 - num_tasks))


def holm_factor(num_methods: int) -> int:
    """Return what Holm's correction multiplies the smallest p of all pairs by: the number of pairs."""
    return num_methods * (num_methods - 1) // 2


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values after Holm's step-down correction (Holm 1979), in the order given."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for step, position in enumerate(sorted(range(len(p_values)), key=lambda position: p_values[position])):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[position]))
        adjusted[position] = largest
    return adjusted
