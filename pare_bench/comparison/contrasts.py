"""Two methods of a comparison over all its tasks: differences, wins, and what a test over tasks says."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pare_bench import statistics
from pare_bench.comparison.task_rows import TaskRow, seed_difference
from pare_bench.statistics import Posterior, WinsTiesLosses

#: Differences up to this share of the way from the floor to the perfect score count as practically equal.
ROPE = 0.01
#: Level of every verdict.
ALPHA = 0.05
#: Draws of the Bayesian test: its probabilities are good to about 0.01.
DRAWS = 10_000


@dataclass(frozen=True)
class Difference:
    """first - second on one task, in the unit of its metric, with its 95% interval over seeds; ``gain`` is it on the common scale, up is better.

    ``value`` is None where one of the two has no score or takes the last rank; ``gain`` then is the whole way from perfect to the floor. Without a
    common scale ``gain`` is None.
    """

    value: float | None
    interval: tuple[float, float] | None
    gain: float | None


@dataclass(frozen=True)
class Pair:
    """Two methods over all tasks; wins, ties and losses are those of ``first``, ``p_holm`` is corrected for all pairs that are tested together.

    ``posterior`` has the probabilities that ``first`` is practically worse, equal and better, where it was asked for and tasks have a common scale.
    """

    first: str
    second: str
    result: WinsTiesLosses
    details: Mapping[str, Difference]
    test: str
    p: float
    p_holm: float
    favours: str | None
    reachable: bool
    posterior: Posterior | None = None

    @property
    def differences(self) -> dict[str, float | None]:
        """The difference first - second on each task."""
        return {task: detail.value for task, detail in self.details.items()}

    @property
    def effect(self) -> float | None:
        """The mean gain of ``first`` over ``second``, on the common scale of tasks; None where one task has none."""
        gains = [detail.gain for detail in self.details.values() if detail.gain is not None]
        return statistics.mean(gains) if len(gains) == len(self.details) else None

    @property
    def significant(self) -> bool:
        """Whether the corrected p is at most 0.05."""
        return self.p_holm <= ALPHA and self.favours is not None

    @property
    def verdict(self) -> str:
        """What the test says, and whether it could have said anything else."""
        if self.significant:
            return f"{self.favours} better"
        return "not significant" if self.reachable else "cannot be significant"


def contrasts(rows: Sequence[TaskRow], pairs: Sequence[tuple[str, str]], *, rope: float = ROPE, posterior: bool = False) -> tuple[Pair, ...]:
    """Return each pair of methods over all tasks, corrected together (Holm).

    Tasks have different metrics; as shares of the way from the floor to the perfect score the sizes of differences can be ranked together. Where
    one task has no such scale, the sign test is used, and on that task only equal scores are practically equal.
    """
    common = all(row.span is not None for row in rows)
    weights = statistics.dirichlet_weights(len(rows), DRAWS, "compare", content_digest(rows), "bayes") if posterior and common else None
    drafts = []
    for first, second in pairs:
        worse = [_worse(row, first, second) for row in rows]
        p = statistics.signed_rank_p(worse) if common else statistics.sign_test_p(worse)
        drafts.append(
            Pair(
                first,
                second,
                statistics.wins_ties_losses(
                    [row.cells[first].score for row in rows],
                    [row.cells[second].score for row in rows],
                    [row.direction for row in rows],
                    [rope * (row.span or 0.0) for row in rows],
                ),
                {row.task: _difference(row, first, second) for row in rows},
                "exact signed-rank on shares of the way from floor to perfect score" if common else "exact sign test",
                p,
                p,
                _favoured(worse, first, second, ranked=common),
                statistics.smallest_possible_p(len(rows)) * len(pairs) <= ALPHA,
                None if weights is None else Posterior(*reversed(statistics.bayesian_signed_rank(worse, rope, weights))),
            )
        )
    corrected = statistics.holm([pair.p for pair in drafts])
    return tuple(replace(pair, p_holm=value) for pair, value in zip(drafts, corrected, strict=True))


def content_digest(rows: Sequence[TaskRow]) -> str:
    """Return a digest of all scores that are compared, whatever the order of the methods: what random draws are seeded with."""
    content = [[row.task, sorted((method, sorted(cell.seeds.items())) for method, cell in row.cells.items())] for row in rows]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _worse(row: TaskRow, first: str, second: str) -> float:
    """Return by how much ``first`` is worse; infinite against a missing score, nothing between two of them."""
    a, b = row.cells[first].score, row.cells[second].score
    if math.isnan(a) or math.isnan(b):
        return 0.0 if math.isnan(a) and math.isnan(b) else math.inf if math.isnan(a) else -math.inf
    return (a - b if row.direction == "minimise" else b - a) / (row.span or 1.0)


def _difference(row: TaskRow, first: str, second: str) -> Difference:
    cells = row.cells[first], row.cells[second]
    worse = _worse(row, first, second)
    # Not -worse: of equal scores that is -0.0.
    gain = None if row.span is None else 0.0 - worse if math.isfinite(worse) else -math.copysign(1.0, worse)
    if any(math.isnan(cell.score) for cell in cells):
        return Difference(None, None, gain)
    centre, half = seed_difference(*cells)
    return Difference(cells[0].score - cells[1].score, None if half is None else (centre - half, centre + half), gain)


def _favoured(worse: Sequence[float], first: str, second: str, *, ranked: bool) -> str | None:
    """Return the side on which the test has more: the larger rank sum, or more tasks."""
    nonzero = [value for value in worse if value != 0]
    ranks = statistics.shared_ranks([abs(value) for value in nonzero]) if ranked else [1.0] * len(nonzero)
    side = math.fsum(math.copysign(rank, value) for rank, value in zip(ranks, nonzero, strict=True))
    return None if side == 0 else second if side > 0 else first
