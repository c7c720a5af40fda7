"""Many methods over tasks: Friedman's test, and Nemenyi's critical difference of mean ranks (Demsar 2006, section 3.2)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

#: Up to this many tasks, by number of methods, the null distribution is enumerated; beyond, Iman and Davenport's F stands in.
EXACT_UP_TO = {3: 30, 4: 10}


class Friedman(NamedTuple):
    """``statistic`` is chi-squared, corrected for ties; ``test`` says how p was found."""

    statistic: float
    p: float
    test: str


def friedman(ranks: Sequence[Sequence[float]]) -> Friedman:
    """Test whether any of three or more methods differ. ``ranks[t]`` are the shared ranks of the methods on task t.

    The exact p is that of all permutations within each task of the ranks it has, ties included. Else p is Iman and Davenport's (1980)
    F with k - 1 and (k - 1)(N - 1) degrees of freedom, but never below k!^(1 - N), the smallest p that exists. Ties everywhere: p is 1.

    Raises:
        ValueError: fewer than three methods, no task, or a rank that is not a number.
    """
    num_tasks, num_methods = len(ranks), len(ranks[0]) if ranks else 0
    if num_methods < 3 or any(len(row) != num_methods or not all(map(math.isfinite, row)) for row in ranks):
        raise ValueError("Friedman's test takes finite ranks of three or more methods on one or more tasks")
    centre = (num_methods + 1) / 2
    spread = math.fsum((rank - centre) ** 2 for row in ranks for rank in row)
    sums = [math.fsum(column) for column in zip(*ranks, strict=True)]
    between = math.fsum((total - num_tasks * centre) ** 2 for total in sums)
    exact = num_tasks <= EXACT_UP_TO.get(num_methods, 0)
    test = "Friedman, exact" if exact else "Friedman, Iman-Davenport F"
    if not spread:
        return Friedman(0.0, 1.0, test)
    statistic = (num_methods - 1) * between / spread
    return Friedman(statistic, _exact_p(ranks) if exact else _iman_davenport_p(statistic, num_tasks, num_methods), test)


def _iman_davenport_p(statistic: float, num_tasks: int, num_methods: int) -> float:
    from scipy.special import fdtrc

    smallest = float(math.factorial(num_methods)) ** (1 - num_tasks)
    left = num_tasks * (num_methods - 1) - statistic
    if num_tasks < 2 or left <= 1e-9:
        return smallest
    ratio = (num_tasks - 1) * statistic / left
    return min(1.0, max(smallest, float(fdtrc(num_methods - 1, (num_methods - 1) * (num_tasks - 1), ratio))))


def _exact_p(ranks: Sequence[Sequence[float]]) -> float:
    """Return the share of all permutations within tasks whose rank sums are spread as widely as the observed ones."""
    import numpy as np

    # Shared ranks are multiples of one half: doubled and counted from zero they index a table of the sums of all methods but the last.
    rows = [[round(2 * (rank - min(row))) for rank in row] for row in ranks]
    free, total = len(rows[0]) - 1, sum(map(sum, rows))
    shape = (sum(map(max, rows)) + 1,) * free
    table = np.zeros(shape)
    table[(0,) * free] = 1.0
    for row in rows:
        moved = np.zeros(shape)
        ways = Counter(order[:free] for order in permutations(row))
        for order, count in ways.items():
            source = tuple(slice(0, size - step) for size, step in zip(shape, order, strict=True))
            target = tuple(slice(step, size) for size, step in zip(shape, order, strict=True))
            moved[target] += table[source] * (count / math.factorial(free + 1))
        table = moved
    sums = np.indices(shape)
    squares = (sums**2).sum(axis=0) + (total - sums.sum(axis=0)) ** 2
    observed = sum(sum(column) ** 2 for column in zip(*rows, strict=True))
    return min(1.0, float(table[squares >= observed].sum()))


def range_exceedance(width: float, count: int) -> float:
    """Return the probability that the range of ``count`` independent standard normal values exceeds ``width``.

    It is the upper tail of the studentized range with infinite degrees of freedom: 1 - k * integral of phi(z) (Phi(z) - Phi(z - w))^(k - 1).
    """
    import numpy as np
    from scipy.special import ndtr

    points = np.linspace(-9.0, 9.0 + min(width, 40.0), 4001)
    density = np.exp(-(points**2) / 2) / math.sqrt(2 * math.pi)
    inside = count * np.trapezoid(density * (ndtr(points) - ndtr(points - width)) ** (count - 1), points)
    return min(1.0, max(0.0, 1.0 - float(inside)))


def nemenyi_difference(num_methods: int, num_tasks: int, alpha: float = 0.05) -> float:
    """Return the critical difference of two mean ranks: q / sqrt(2) * sqrt(k (k + 1) / (6 N)), q that of the studentized range.

    A value above k - 1 cannot be reached by any scores.
    """
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if range_exceedance(middle, num_methods) > alpha else (low, middle)
    return high / math.sqrt(2) * math.sqrt(num_methods * (num_methods + 1) / (6 * num_tasks))


def nemenyi_p(difference: float, num_methods: int, num_tasks: int) -> float:
    """Return Nemenyi's p, corrected for all pairs, of a difference of mean ranks."""
    return range_exceedance(abs(difference) * math.sqrt(2) / math.sqrt(num_methods * (num_methods + 1) / (6 * num_tasks)), num_methods)
