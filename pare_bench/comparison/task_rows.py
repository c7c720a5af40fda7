"""One task of a comparison: the runs of each method on it, their ranks, and who leads by more than noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pare_bench import statistics
from pare_bench.errors import UsageError
from pare_bench.records.record import ALIGNMENT, MetricRecord, RunRecord
from pare_bench.records.variants import age
from pare_bench.statistics import Direction, SeedDifference

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Gives the scores of a run on resamples of the test split, or None.
Sampling = Callable[[RunRecord], "NDArray[Any] | None"]


@dataclass(frozen=True)
class Cell:
    """The runs of one method on one task. ``spread`` is the sample standard deviation, ``interval`` the 95% t interval of the mean, over seeds.

    With ``replicates``, scores of each seed on the same resamples of the test split, the interval has the choice of test examples in it.
    ``mean`` is None where no seed has a score; ``last`` says that the method takes the last rank here whatever its mean (``--missing worst-rank``).
    ``budget`` is what training the runs with a score took, in words; None where nothing was trained.
    """

    mean: float | None
    spread: float | None
    interval: tuple[float, float] | None
    seeds: Mapping[int, float]
    failed: Mapping[int, str]
    run_ids: tuple[str, ...]
    last: bool = False
    replicates: Mapping[int, NDArray[Any]] | None = None
    budget: str | None = None

    @property
    def n(self) -> int:
        """Seeds with a score."""
        return len(self.seeds)

    @property
    def score(self) -> float:
        """What ranks and tests use: the mean, or not a number where the method takes the last rank."""
        return math.nan if self.mean is None or self.last else self.mean


@dataclass(frozen=True)
class TaskRow:
    """One task. ``leaders`` have the best mean; ``best`` is set only where one leads: its 95% interval over seeds excludes 0 against every rival.

    To claim that one beats all others, each test at 0.05 is enough (Berger 1982): nothing is corrected. ``tied`` are the methods that the leader, or
    one of several, does not lead by more than that noise, itself included. ``span`` is the distance from the floor to the perfect score; None without
    a floor, or where a score lies beyond perfect: no common scale then. ``persistence`` is the second floor, of fields that evolve: the score of
    saying that nothing changes. ``other_floors`` are floors that older ones of the records have.
    """

    task: str
    version: int
    data_sha256: str
    real: str | None
    metric: str
    direction: Direction
    floor: float | None
    persistence: float | None
    cells: Mapping[str, Cell]
    ranks: Mapping[str, float]
    leaders: tuple[str, ...]
    best: str | None
    tied: tuple[str, ...]
    span: float | None
    other_floors: tuple[float, ...] = ()

    @property
    def sampled(self) -> bool:
        """Whether its intervals have the choice of test examples in them."""
        return any(cell.replicates for cell in self.cells.values())

    @property
    def direction_text(self) -> str:
        """The direction in words."""
        return "lower is better" if self.direction == "minimise" else "higher is better"

    @property
    def perfect(self) -> float:
        """The score of a perfect prediction, which with the floor makes the scale of the gain: no error, or all right."""
        return 0.0 if self.direction == "minimise" else 1.0

    def gain(self, value: float) -> float | None:
        """Return a score as a share of the way from the floor (0) to perfect (1); negative: worse than the best constant prediction.

        It is -1 for all that is as far below the floor as perfect is above it, or farther: a diverged run has lost the whole way, and no more.
        """
        share = self._share(value)
        return None if share is None else max(-1.0, share)

    def diverged(self, value: float) -> bool:
        """Return whether a score is farther below the floor than perfect is above it."""
        share = self._share(value)
        return share is not None and share < -1.0

    def _share(self, value: float) -> float | None:
        if self.floor is None or self.span is None:
            return None
        first, second = (self.floor, value) if self.direction == "minimise" else (value, self.floor)
        return statistics.bounded(statistics.difference(first, second) / self.span)

    @property
    def verdict(self) -> str:
        """Who leads, and how sure that is."""
        if self.best is not None:
            return f"best: {self.best}"
        if len(self.leaders) > 1:
            return f"tie: {', '.join(self.leaders)}"
        (leader,) = self.leaders
        if any(cell.failed for cell in self.cells.values()):
            return f"{leader} leads, runs failed"
        if any(cell.mean is None for cell in self.cells.values()):
            return f"{leader} leads, runs missing"
        return f"{leader} leads, " + {1: "one seed", 2: "two seeds"}.get(min(cell.n for cell in self.cells.values()), "within noise")


def score_of(record: RunRecord) -> MetricRecord | None:
    """Return the primary score of a run, None where it has none that is a finite number."""
    if record.status != "ok":
        return None
    score = record.primary
    return score if math.isfinite(score.value) else None


def is_the_floor(scores: Iterable[tuple[float, float | None]]) -> bool:
    """Return whether every score equals the floor beside it: a method that is the floor itself says nothing of differences between methods."""
    return all(floor is not None and statistics.same(value, floor) for value, floor in scores)


def recorded_sampling(record: RunRecord) -> NDArray[Any] | None:
    """Return the scores on resamples that a record keeps, not a number where a resample has none; None for a record without them."""
    if record.resampled is None:
        return None
    import numpy as np

    return np.array([np.nan if value is None else value for value in record.resampled])


def task_row(
    task: str,
    runs: Mapping[str, Mapping[int, RunRecord]],
    *,
    failed_last: bool = False,
    sampling: Sampling | None = recorded_sampling,
) -> TaskRow:
    """Return the row of a task on which some method has a score; ``failed_last`` puts methods with a failed run last.

    ``sampling`` gives the scores of a run on resamples of the test split; intervals then have the choice of test examples in them, on a task whose
    runs all have some.

    Raises:
        UsageError: the scores are by different metrics.
    """
    found = {method: {seed: score for seed, record in group.items() if (score := score_of(record)) is not None} for method, group in runs.items()}
    scores = [score for group in found.values() for score in group.values()]
    measures = sorted({(score.name, score.direction) for score in scores})
    if len(measures) > 1:
        texts = " and by ".join(f"'{name}' ({direction})" for name, direction in measures)
        raise UsageError(
            f"task '{task}' is scored by {texts} in different records, which are never compared",
            hint="move the records of the older version away and run them again",
        )
    newest = max((runs[method][seed] for method, group in found.items() for seed in group), key=age)
    ((metric, direction),) = measures
    cells = {method: _cell(group, found[method], failed_last=failed_last) for method, group in runs.items()}
    if sampling is not None:
        cells = _sampled(cells, runs, sampling)
    led = leaders_of(cells, direction)
    return TaskRow(
        task=task,
        version=newest.task.version,
        data_sha256=newest.task.data_sha256,
        real=newest.task.real,
        metric=metric,
        direction=direction,
        floor=newest.floor,
        persistence=newest.persistence,
        cells=cells,
        ranks=led.ranks,
        leaders=led.leaders,
        best=led.best,
        tied=led.tied,
        span=_span(newest.floor, direction, [score.value for score in scores]),
        other_floors=_other_floors(newest.floor, [runs[method][seed].floor for method, group in found.items() for seed in group]),
    )


def _sampled(cells: Mapping[str, Cell], runs: Mapping[str, Mapping[int, RunRecord]], sampling: Sampling) -> dict[str, Cell]:
    """Return cells with replicates, unchanged where some run has none: one task's intervals are all of a kind."""
    found: dict[str, dict[int, NDArray[Any]]] = {}
    for method, cell in cells.items():
        for seed in cell.seeds:
            own = sampling(runs[method][seed])
            if own is None:
                return dict(cells)
            found.setdefault(method, {})[seed] = own
    made = {}
    for method, cell in cells.items():
        own_seeds = found.get(method, {})
        made[method] = replace(cell, replicates=own_seeds)
        if cell.interval is not None and cell.mean is not None:
            error, resamples = statistics.sampling_error(own_seeds)
            zero = dict.fromkeys(cell.seeds, 0.0)
            whole = statistics.with_sampling(statistics.seed_difference(cell.seeds, zero), error, resamples)
            made[method] = replace(made[method], interval=whole.interval)
    return made


class Leaders(NamedTuple):
    """Ranks on a task, who leads, whether that is sure, and whom the leader does not lead by more than the noise of the seeds."""

    ranks: Mapping[str, float]
    leaders: tuple[str, ...]
    best: str | None
    tied: tuple[str, ...]


def leaders_of(cells: Mapping[str, Cell], direction: Direction) -> Leaders:
    """Return who leads on a task."""
    ranks = dict(zip(cells, statistics.shared_ranks([cell.score for cell in cells.values()], direction), strict=True))
    leaders = tuple(method for method, rank in ranks.items() if rank == min(ranks.values()))
    sign = -1.0 if direction == "minimise" else 1.0
    led = {method for method, cell in cells.items() if seed_difference(cells[leaders[0]], cell).ahead(sign)}
    tied = tuple(method for method in cells if method in leaders or method not in led)
    sure = len(tied) == 1 and not any(cell.failed or cell.mean is None for cell in cells.values())
    return Leaders(ranks, leaders, leaders[0] if sure else None, tied)


def _other_floors(floor: float | None, floors: Sequence[float | None]) -> tuple[float, ...]:
    others: list[float] = []
    for each in sorted(each for each in floors if each is not None):
        if floor is not None and not any(statistics.same(each, known) for known in (floor, *others)):
            others.append(each)
    return tuple(others)


def _span(floor: float | None, direction: Direction, scores: Sequence[float]) -> float | None:
    if floor is None:
        return None
    span, over = (floor, min(scores)) if direction == "minimise" else (1.0 - floor, 1.0 - max(scores))
    beyond = over < 0 and not statistics.same(over, 0.0, 1.0)
    return span if span > 0 and not beyond else None


def _cell(group: Mapping[int, RunRecord], scores: Mapping[int, MetricRecord], *, failed_last: bool) -> Cell:
    seeds = {seed: score.value for seed, score in scores.items()}
    values = list(seeds.values())
    failed = {seed: f"{record.status}: {record.reason or 'its score is not a number'}" for seed, record in group.items() if seed not in seeds}
    return Cell(
        mean=statistics.mean(values) if values else None,
        spread=statistics.sample_sd(values),
        interval=statistics.t_interval(values),
        seeds=seeds,
        failed=failed,
        run_ids=tuple(group[seed].run_id for seed in seeds),
        last=not values or (failed_last and bool(failed)),
        budget=_budget([group[seed] for seed in seeds]),
    )


def _budget(runs: Sequence[RunRecord]) -> str | None:
    """Return optimiser steps, batch and passes over the training split, the smallest and the largest where seeds differ; alignment is not counted."""
    steps, batches, passes = [], [], []
    for run in runs:
        own = sum(stage.steps for name, stage in run.training.items() if name != ALIGNMENT)
        batch = run.config.recipe.batch_size * run.config.recipe.accumulation
        if own:
            steps.append(own)
            batches.append(batch)
            passes.append(own * batch / run.task.sizes["train"])
    if not steps:
        return None
    return f"{_from_to(steps, ',')} steps of {_from_to(batches, ',')} examples: {_from_to(passes, ',.2f')} passes"


def _from_to(values: Sequence[float], spec: str) -> str:
    return " to ".join(dict.fromkeys(format(value, spec) for value in (min(values), max(values))))


def seed_difference(first: Cell, second: Cell) -> SeedDifference:
    """Return the difference first - second on the task with its 95% interval over seeds, and test examples where both have replicates."""
    found = statistics.seed_difference(first.seeds, second.seeds)
    if not first.replicates or not second.replicates:
        return found
    common = first.seeds.keys() & second.seeds.keys()
    own = [{seed: each for seed, each in (cell.replicates or {}).items() if not found.paired or seed in common} for cell in (first, second)]
    return statistics.with_sampling(found, *statistics.sampling_error(*own))
