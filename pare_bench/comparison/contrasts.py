"""Two methods of a comparison over all its tasks: the difference on each, the effect over tasks, wins, and what tests over tasks say."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pare_bench import statistics
from pare_bench.comparison.task_rows import TaskRow, seed_difference
from pare_bench.statistics import Effect, Posterior, WinsTiesLosses

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Differences up to this share of the way from the floor to the perfect score count as practically equal.
ROPE = 0.01
#: Level of every verdict.
ALPHA = 0.05
#: What the verdict on a pair comes from where tasks have a common scale.
TEST = "Student's t on the mean gain, tasks as a random effect"
#: Draws of the Bayesian test: its probabilities are good to about 0.01.
DRAWS = 10_000


@dataclass(frozen=True)
class Difference:
    """first - second on one task, in the unit of its metric, with its 95% interval over seeds; ``gain`` is it on the common scale, up is better.

    Value, interval and gain rest on the same seeds, ``seeds`` of each or more: common ones in pairs where ``paired``. ``gain_error`` is the standard
    error of the gain over seeds, ``gain_half`` half the width of its interval. ``value`` is None where one of the two has no score or takes the last
    rank; ``gain`` then is the whole way from perfect to the floor. Without a common scale ``gain`` is None. ``won`` is 1 where the first is better, 0
    where the two are practically equal, else -1. ``worse`` is what tests over tasks take, infinite against a missing score, and ``scale`` the size of
    what it was computed from. ``sampling`` is the standard error of ``value`` by the choice of test examples, where that is known and in the
    interval, ``error`` that of both.
    """

    value: float | None
    interval: tuple[float, float] | None
    gain: float | None
    won: int
    gain_error: float | None = None
    gain_half: float | None = None
    seeds: int = 0
    paired: bool = False
    worse: float = 0.0
    scale: float = 0.0
    sampling: float | None = None
    error: float | None = None


@dataclass(frozen=True)
class Pair:
    """Two methods over all tasks; wins, ties and losses are those of ``first``.

    ``effect`` is the mean gain of ``first`` over ``second`` over tasks, tasks as a random effect; None where a task has no common scale. ``test`` is
    what ``p`` and the verdict come from: Student's test of the effect, else the sign test; p is None where the design allows no test. ``p_holm`` is
    corrected for the ``family``, the number of pairs that are tested together. ``ranked_p`` is the exact signed-rank test's, where tasks have a
    common scale. ``posterior`` has the probabilities that ``first`` is practically worse, equal and better, where it was asked for; neither is
    corrected.
    """

    first: str
    second: str
    result: WinsTiesLosses
    details: Mapping[str, Difference]
    test: str
    effect: Effect | None
    p: float | None
    p_holm: float | None
    favours: str | None
    reachable: bool
    rope: float = ROPE
    family: int = 1
    ranked_p: float | None = None
    ranked_favours: str | None = None
    posterior: Posterior | None = None

    @property
    def differences(self) -> dict[str, float | None]:
        """The difference first - second on each task."""
        return {task: detail.value for task, detail in self.details.items()}

    @property
    def significant(self) -> bool:
        """Whether the corrected p is at most 0.05."""
        return self.p_holm is not None and self.p_holm <= ALPHA and self.favours is not None

    @property
    def alone(self) -> bool:
        """Whether p is at most 0.05 without a correction: the 95% interval of the effect excludes 0."""
        return self.p is not None and self.p <= ALPHA and self.favours is not None

    @property
    def equal(self) -> bool:
        """Whether the 95% interval of the effect lies inside the region of practical equality."""
        if self.effect is None or self.effect.interval is None:
            return False
        return all(abs(end) < self.rope or statistics.same(abs(end), self.rope, 1.0) for end in self.effect.interval)

    @property
    def verdict(self) -> str:
        """What the test says, and whether it could have said anything else."""
        if self.equal:
            return "practically equal"
        if self.significant:
            return f"{self.favours} better"
        if self.alone:
            return f"{self.favours} better (alone)"
        return "not significant" if self.reachable else "cannot be significant"

    @property
    def disagreement(self) -> str | None:
        """Where effect and counts, or effect and ranks, say different methods are better, and one of them surely: what each says."""
        if self.effect is None or self.equal or abs(self.effect.mean) <= self.rope:
            return None
        ahead, other = (self.first, self.second) if self.effect.mean > 0 else (self.second, self.first)
        wins, losses = (self.result.wins, self.result.losses) if other == self.first else (self.result.losses, self.result.wins)
        by_rank = self.ranked_favours == other and self.ranked_p is not None and self.ranked_p <= ALPHA
        sure = self.alone or statistics.sign_test_p([1.0] * wins + [-1.0] * losses) <= ALPHA
        if not by_rank and not (wins > losses and sure):
            return None
        text = f"{self.first} vs {self.second}: {ahead} has the larger mean gain, {other} wins {wins} tasks of {len(self.details)}"
        return text + (f" (signed-rank p = {self.ranked_p:.2g})" if by_rank else "") + ": look at the tasks"


def contrasts(rows: Sequence[TaskRow], pairs: Sequence[tuple[str, str]], *, rope: float = ROPE, posterior: bool = False) -> tuple[Pair, ...]:
    """Return each pair of methods over all tasks, corrected together (Holm).

    Tasks have different metrics; as shares of the way from the floor to the perfect score their differences can be put together. Where one task has
    no such scale, the sign test is used, and on that task only equal scores are practically equal.
    """
    common = all(row.span is not None for row in rows)
    weights = statistics.dirichlet_weights(len(rows), DRAWS, "compare", content_digest(rows), "bayes") if posterior and common else None
    drafts = [_pair(rows, first, second, rope, weights if common else None, common=common) for first, second in pairs]
    tested = [pair.p for pair in drafts if pair.p is not None]
    corrected = iter(statistics.holm(tested))
    return tuple(
        replace(
            pair,
            family=len(drafts),
            p_holm=None if pair.p is None else next(corrected),
            reachable=pair.reachable if common else statistics.smallest_possible_p(len(rows)) * len(drafts) <= ALPHA,
        )
        for pair in drafts
    )


def _pair(rows: Sequence[TaskRow], first: str, second: str, rope: float, weights: NDArray[Any] | None, *, common: bool) -> Pair:
    details = {row.task: _difference(row, first, second, rope) for row in rows}
    found = list(details.values())
    worse, scales = [each.worse for each in found], [each.scale for each in found]
    won = [each.won for each in found]
    result = WinsTiesLosses(won.count(1), won.count(0), won.count(-1))
    if not common:
        p = statistics.sign_test_p(worse)
        side = sum(math.copysign(1.0, value) for value in worse if value)
        favours = _side(-side, first, second)
        return Pair(first, second, result, details, "exact sign test", None, p, p, favours, reachable=False, rope=rope)
    gains = [each.gain for each in found if each.gain is not None]
    effect = statistics.effect_over_tasks(gains, [each.gain_error for each in found], min(each.seeds for each in found))
    ranks = math.fsum(statistics.signed_ranks(worse, scales))
    return Pair(
        first,
        second,
        result,
        details,
        TEST,
        effect,
        effect.p,
        effect.p,
        _side(0.0 if statistics.same(effect.mean, 0.0, 1.0) else effect.mean, first, second),
        reachable=effect.p is not None,
        rope=rope,
        ranked_p=statistics.signed_rank_p(worse, scales),
        ranked_favours=_side(-ranks, first, second),
        posterior=None if weights is None else Posterior(*reversed(statistics.bayesian_signed_rank(worse, rope, weights))),
    )


def content_digest(rows: Sequence[TaskRow]) -> str:
    """Return a digest of all scores that are compared, whatever the order of the methods: what random draws are seeded with."""
    content = [[row.task, sorted((method, sorted(cell.seeds.items())) for method, cell in row.cells.items())] for row in rows]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _difference(row: TaskRow, first: str, second: str, rope: float) -> Difference:
    cells = row.cells[first], row.cells[second]
    missing = [math.isnan(cell.score) for cell in cells]
    if any(missing):
        # Infinite against a missing score, so that it is the largest difference of all; nothing between two of them.
        worse = 0.0 if all(missing) else math.inf if missing[0] else -math.inf
        won = int(missing[1]) - int(missing[0])
        return Difference(None, None, None if row.span is None else float(won), won, worse=worse)
    found = seed_difference(*cells)
    if row.span is None:
        worse, scale = found.value if row.direction == "minimise" else -found.value, max(map(abs, found.means))
        gain = error = half = None
    else:
        shares = [row.gain(mean) or 0.0 for mean in found.means]
        # No gain is farther than 2 from the perfect one.
        scale = 2.0 if row.direction == "minimise" else max(2.0, 1.0 / row.span)
        # Of equal scores the gain is 0.0, not -0.0.
        gain = 0.0 if found.value == 0 else statistics.difference(*shares)
        worse = 0.0 - gain
        # A diverged seed has lost the whole way: its error is at most that, too.
        error = None if found.seed_error is None else min(1.0, found.seed_error / row.span)
        half = None if found.half is None else min(2.0, found.half / row.span)
    edge = rope if row.span is not None else 0.0
    inside = abs(worse) <= edge or (edge > 0 and statistics.same(abs(worse), edge, scale))
    won = 0 if inside else 1 if worse < 0 else -1
    return Difference(found.value, found.interval, gain, won, error, half, found.seeds, found.paired, worse, scale, found.sampling, found.error)


def _side(value: float, first: str, second: str) -> str | None:
    return None if value == 0 else first if value > 0 else second
