"""Who is ahead over all tasks, and the answer in words: how much, how sure, and what this design would have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pare_bench import statistics
from pare_bench.comparison.contrasts import Difference, Pair
from pare_bench.comparison.table_parts import many, many_between, p_text, points, points_between
from pare_bench.comparison.task_rows import TaskRow
from pare_bench.statistics import POWER, VERDICT_SEEDS, Posterior, WinsTiesLosses


@dataclass(frozen=True)
class Lead:
    """The method with the largest mean gain, and its pairs with every other one, itself first, the nearest rival first.

    ``sure`` is set where the 95% interval of each of these differences excludes 0. To claim that one method beats all others each test at 0.05 is
    enough: it is an intersection of claims, and nothing is corrected (Berger 1982).
    """

    leader: str
    pairs: tuple[Pair, ...]
    sure: bool

    @property
    def untold(self) -> tuple[str, ...]:
        """The rivals from which the leader is not told."""
        return tuple(pair.second for pair in self.pairs if not pair.alone)


def turned(pair: Pair) -> Pair:
    """Return a pair with its methods exchanged."""
    effect = pair.effect
    if effect is not None:
        ends = effect.interval
        effect = effect._replace(mean=0.0 - effect.mean, interval=None if ends is None else (0.0 - ends[1], 0.0 - ends[0]))
    return replace(
        pair,
        first=pair.second,
        second=pair.first,
        result=WinsTiesLosses(*reversed(pair.result)),
        details={task: _turned(detail) for task, detail in pair.details.items()},
        effect=effect,
        posterior=None if pair.posterior is None else Posterior(*reversed(pair.posterior)),
    )


def _turned(detail: Difference) -> Difference:
    return replace(
        detail,
        value=None if detail.value is None else 0.0 - detail.value,
        interval=None if detail.interval is None else (0.0 - detail.interval[1], 0.0 - detail.interval[0]),
        gain=None if detail.gain is None else 0.0 - detail.gain,
        won=-detail.won,
        worse=0.0 - detail.worse,
    )


def oriented(pairs: Sequence[Pair], first: str) -> list[Pair]:
    """Return the pairs that ``first`` is in, with it as the first one."""
    return [pair if pair.first == first else turned(pair) for pair in pairs if first in (pair.first, pair.second)]


def lead(methods: Sequence[str], pairs: Sequence[Pair]) -> Lead | None:
    """Return who is ahead; ``pairs`` are all pairs of ``methods``. None where a task has no common scale."""
    if any(pair.effect is None for pair in pairs):
        return None
    totals = dict.fromkeys(methods, 0.0)
    for pair in pairs:
        gain = pair.effect.mean if pair.effect is not None else 0.0
        totals[pair.first] += gain
        totals[pair.second] -= gain
    leader = max(sorted(totals), key=totals.__getitem__)
    own = oriented(pairs, leader)
    own.sort(key=lambda pair: (pair.effect.mean if pair.effect is not None else 0.0, pair.second))
    return Lead(leader, tuple(own), all(pair.alone and pair.favours == leader for pair in own))


def answer(rows: Sequence[TaskRow], found: Lead | None, num_methods: int) -> tuple[str, ...]:
    """Return the answer in sentences: the effect with its interval, what the design would have seen, and what holds on single tasks."""
    said = [] if found is None else [_effect_sentence(found, len(rows), num_methods), *_power_sentence(found.pairs[0], rows)]
    return (*said, _tasks_sentence(rows))


def _effect_sentence(found: Lead, num_tasks: int, num_methods: int) -> str:
    nearest = found.pairs[0]
    effect = nearest.effect
    assert effect is not None  # noqa: S101 - lead() gives none without
    size = f"{points(effect.mean)} points of gain"
    if effect.interval is None:
        return f"{found.leader} gains {points(effect.mean)} points over {nearest.second} on the one task, which says nothing of others."
    interval = f"95% interval {points_between(effect.interval)}"
    over = f"over {many(num_tasks, 'task')}"
    if num_methods == 2 and nearest.favours is None:
        return f"{nearest.first} and {nearest.second} have the same mean gain {over} ({interval})."
    if num_methods == 2:
        counts = f"{many(nearest.result.wins, 'win')}, {many(nearest.result.ties, 'tie')}, {nearest.result.losses} " + (
            "loss" if nearest.result.losses == 1 else "losses"
        )
        text = f"{found.leader} gains {points(effect.mean)} points over {nearest.second}, mean {over} ({interval}, p = {p_text(effect.p)}; {counts})"
        end = "the two are practically equal" if nearest.equal else f"{found.leader} is better" if found.sure else "neither is shown to be better"
        return f"{text}: {end}."
    if found.sure:
        return f"{found.leader} leads all {num_methods - 1} others {over}; the nearest is {nearest.second}, {size} behind ({interval})."
    rest = "any of them" if len(found.untold) == num_methods - 1 else ", ".join(found.untold)
    text = f"No method leads all others {over}. The largest mean gain is {found.leader}'s, {size} more than {nearest.second}'s ({interval})"
    return f"{text}; not told from {rest}."


def _power_sentence(pair: Pair, rows: Sequence[TaskRow]) -> list[str]:
    effect = pair.effect
    smallest = None if effect is None else statistics.smallest_seen(effect)
    if effect is None or smallest is None:
        return []
    seeds = min(detail.seeds for detail in pair.details.values())
    design = f"{many(len(rows), 'task')}, {many_between([detail.seeds for detail in pair.details.values()], 'seed')}"
    text = f"This design ({design}) sees a difference of {points(smallest)} points between the two with {POWER:.0%} power"
    if pair.alone or pair.equal or pair.favours is None:
        return [text + "."]
    return [f"{text}; {more_runs(pair, abs(effect.mean), seeds)}."]


def more_runs(pair: Pair, difference: float, seeds: int) -> str:
    """Return what it would take to see a difference, in words."""
    effect = pair.effect
    assert effect is not None  # noqa: S101 - for the reader of types
    wanted = f"{points(difference)} points would take"
    if (count := statistics.seeds_that_do(effect, difference, seeds)) is not None:
        return f"{wanted} {many(count, 'seed')}"
    tasks = statistics.tasks_that_do(effect, difference)
    count_text = f"{tasks} tasks like these" if tasks is not None else "more than 10,000 tasks like these"
    rest = ", and no number of seeds would do" if effect.within is not None else "; one seed cannot say how many seeds would do"
    return f"{wanted} {count_text}{rest}"


def _tasks_sentence(rows: Sequence[TaskRow]) -> str:
    best = sum(row.best is not None for row in rows)
    tied = sum(len(row.leaders) > 1 for row in rows)
    few = [row for row in rows if row.best is None and len(row.leaders) == 1 and min(cell.n for cell in row.cells.values()) < VERDICT_SEEDS]
    rest = len(rows) - best - tied - len(few)
    text = f"On {best} of {many(len(rows), 'task')} one method leads every other by more than its 95% interval over {_over(rows)}"
    if rest:
        text += f"; {'the lead' if rest == 1 else 'leads'} on {rest} may be {'noise' if any(row.sampled for row in rows) else 'seed noise'}"
    if tied:
        text += f"; {tied} {'is' if tied == 1 else 'are'} tied"
    if few:
        text += f"; {len(few)} {'has' if len(few) == 1 else 'have'} too few seeds or runs for a verdict ({VERDICT_SEEDS} seeds each)"
    return text + "."


def _over(rows: Sequence[TaskRow]) -> str:
    """Return what the intervals of tasks have in them."""
    sampled = sum(row.sampled for row in rows)
    return "seeds" if not sampled else "seeds and test examples" + (f" (of {sampled} tasks; else over seeds)" if sampled < len(rows) else "")
