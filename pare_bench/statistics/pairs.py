"""Two methods over tasks: exact tests, and the correction for many pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pare_bench.statistics.ranks import shared_ranks


def signed_rank_p(differences: Sequence[float], scales: Sequence[float] | None = None) -> float:
    """Return the exact two-sided p of Wilcoxon's signed-rank test.

    Zeros are left out and equal sizes share ranks (Wilcoxon 1945; Pratt's variant keeps zeros); the distribution is that of all 2^n signs
    given the ranks, so it is exact with shared ranks as well. Without any difference p is 1; infinite differences are larger than all others.
    ``scales`` has the size of the scores behind each difference: sizes that differ by the rounding of these share ranks.

    Raises:
        ValueError: a difference is not a number.
    """
    _check_numbers(differences)
    # Shared ranks are multiples of one half: doubled, they are integers that can index a table.
    signed = signed_ranks(differences, scales)
    nonzero = [value for value in signed if value != 0]
    doubled = [round(2 * abs(rank)) for rank in nonzero]
    ways = [1] + [0] * sum(doubled)
    for rank in doubled:
        for total in range(len(ways) - 1, rank - 1, -1):
            ways[total] += ways[total - rank]
    positive = sum(rank for rank, value in zip(doubled, nonzero, strict=True) if value > 0)
    smaller = min(positive, sum(doubled) - positive)
    return min(1.0, 2 * sum(ways[: smaller + 1]) / (1 << len(nonzero)))


def signed_ranks(differences: Sequence[float], scales: Sequence[float] | None = None) -> list[float]:
    """Return the rank of each size among those that are not zero, with the sign of the difference; 0 for a difference of zero."""
    places = [place for place, value in enumerate(differences) if value != 0]
    sizes = None if scales is None else [scales[place] for place in places]
    ranks = [0.0] * len(differences)
    for place, rank in zip(places, shared_ranks([abs(differences[place]) for place in places], scales=sizes), strict=True):
        ranks[place] = math.copysign(rank, differences[place])
    return ranks


def sign_test_p(differences: Sequence[float]) -> float:
    """Return the exact two-sided p of the sign test, zeros left out. It needs no common scale of the differences.

    Raises:
        ValueError: a difference is not a number.
    """
    _check_numbers(differences)
    positive, negative = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    num = positive + negative
    return min(1.0, 2 * sum(math.comb(num, count) for count in range(min(positive, negative) + 1)) / (1 << num))


def _check_numbers(differences: Sequence[float]) -> None:
    if any(map(math.isnan, differences)):
        raise ValueError("a test over tasks takes differences that are numbers")


def fewest_wins(num_tasks: int, corrected_for: int = 1, alpha: float = 0.05) -> int | None:
    """Return the fewest wins, all other tasks lost, with which a sign test reaches ``alpha`` after multiplying p, None where none do."""
    for wins in range(num_tasks // 2, num_tasks + 1):
        if 2 * sum(math.comb(num_tasks, count) for count in range(num_tasks - wins + 1)) * corrected_for <= alpha * (1 << num_tasks):
            return wins
    return None


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
