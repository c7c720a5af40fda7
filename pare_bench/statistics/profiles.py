"""Performance profiles (Dolan and More 2002): on which share of the tasks a method's cost is within a factor of the lowest one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pare_bench.statistics.ties import same

#: Profiles are told, and their areas taken, for factors from 1 to this one.
LARGEST_FACTOR = 10.0


def cost_ratios(costs: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Return each method's cost on each task as a multiple of the lowest cost there.

    Costs are zero or more, lower is better. Where the lowest is zero, a zero has ratio 1 and anything else infinity; a cost that is not a number
    (no score) has ratio infinity and is nobody's lowest.

    Raises:
        ValueError: a cost is negative.
    """
    if any(cost < 0 for row in costs.values() for cost in row):
        raise ValueError("performance profiles take costs of zero or more")
    lowest = [min((cost for cost in column if not math.isnan(cost)), default=math.nan) for column in zip(*costs.values(), strict=True)]
    return {name: [_ratio(cost, best) for cost, best in zip(row, lowest, strict=True)] for name, row in costs.items()}


def _ratio(cost: float, best: float) -> float:
    if math.isnan(cost) or cost == math.inf:
        return math.inf
    if best == 0:
        return 1.0 if cost == 0 else math.inf
    return 1.0 if same(cost, best) else cost / best


def share_within(ratios: Sequence[float], factor: float) -> float:
    """Return the share of the tasks on which the ratio is at most ``factor``: the profile at one point."""
    return sum(ratio <= factor for ratio in ratios) / len(ratios)


def profile_steps(ratios: Sequence[float], largest: float = LARGEST_FACTOR) -> list[tuple[float, float]]:
    """Return the profile as points (factor, share) at its steps, from factor 1 to ``largest``; between points the share stays."""
    factors = sorted({1.0, largest, *(ratio for ratio in ratios if ratio <= largest)})
    return [(factor, share_within(ratios, factor)) for factor in factors]


def profile_area(ratios: Sequence[float], largest: float = LARGEST_FACTOR) -> float:
    """Return the area under the profile over the logarithm of the factor from 1 to ``largest``, as a share of the whole: 1 is best everywhere."""
    return math.fsum(max(0.0, 1 - math.log(ratio) / math.log(largest)) for ratio in ratios if ratio < math.inf) / len(ratios)
