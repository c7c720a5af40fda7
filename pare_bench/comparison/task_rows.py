"""One task of a comparison: the runs of each method on it, their ranks, and who leads by more than noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pare_bench import statistics
from pare_bench.errors import UsageError
from pare_bench.records.record import MetricRecord, RunRecord
from pare_bench.records.variants import age
from pare_bench.statistics import Direction


@dataclass(frozen=True)
class Cell:
    """The runs of one method on one task. ``spread`` is the sample standard deviation, ``interval`` the 95% t interval of the mean, over seeds.

    ``mean`` is None where no seed has a score; ``last`` says that the method takes the last rank here whatever its mean (``--missing worst-rank``).
    """

    mean: float | None
    spread: float | None
    interval: tuple[float, float] | None
    seeds: Mapping[int, float]
    failed: Mapping[int, str]
    run_ids: tuple[str, ...]
    last: bool = False

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
    """One task. ``leaders`` have the best mean; ``best`` is set only where one method leads every other by more than the noise of the seeds.

    ``tied`` are the methods that the leader, or one of several, does not lead by more than that noise, itself included. ``span`` is the distance from
    the floor to the perfect score; None without a floor, or where a score lies beyond perfect: no common scale then. ``persistence`` is the second
    floor, of fields that evolve: the score of saying that nothing changes.
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

    @property
    def direction_text(self) -> str:
        """The direction in words."""
        return "lower is better" if self.direction == "minimise" else "higher is better"

    @property
    def perfect(self) -> float:
        """The score of a perfect prediction, which with the floor makes the scale of the gain: no error, or all right."""
        return 0.0 if self.direction == "minimise" else 1.0

    def gain(self, value: float) -> float | None:
        """Return a score as a share of the way from the floor (0) to perfect (1); negative: worse than the best constant prediction."""
        if self.floor is None or self.span is None:
            return None
        return (self.floor - value if self.direction == "minimise" else value - self.floor) / self.span

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
        return f"{leader} leads, " + ("one seed" if min(cell.n for cell in self.cells.values()) < 2 else "within noise")


def score_of(record: RunRecord) -> MetricRecord | None:
    """Return the primary score of a run, None where it has none that is a finite number."""
    if record.status != "ok":
        return None
    score = record.primary
    return score if math.isfinite(score.value) else None


def task_row(task: str, runs: Mapping[str, Mapping[int, RunRecord]], *, failed_last: bool = False) -> TaskRow:
    """Return the row of a task on which some method has a score; ``failed_last`` puts methods with a failed run last.

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
    ranks = dict(zip(cells, statistics.shared_ranks([cell.score for cell in cells.values()], direction), strict=True))
    leaders = tuple(method for method, rank in ranks.items() if rank == min(ranks.values()))
    tied = tuple(method for method in cells if method in leaders or not _leads_beyond_noise(cells[leaders[0]], cells[method], len(cells), direction))
    sure = len(tied) == 1 and not any(cell.failed or cell.mean is None for cell in cells.values())
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
        ranks=ranks,
        leaders=leaders,
        best=leaders[0] if sure else None,
        tied=tied,
        span=_span(newest.floor, direction, [score.value for score in scores]),
    )


def _span(floor: float | None, direction: Direction, scores: Sequence[float]) -> float | None:
    if floor is None:
        return None
    span, beyond = (floor, min(scores) < 0) if direction == "minimise" else (1.0 - floor, max(scores) > 1)
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
    )


def _leads_beyond_noise(leader: Cell, rival: Cell, num_methods: int, direction: Direction) -> bool:
    # Leading k - 1 rivals at 95% in all takes 1 - 0.05 / (k - 1) against each (Bonferroni).
    difference, noise = seed_difference(leader, rival, 1 - 0.05 / max(1, num_methods - 1))
    return noise is not None and (-difference if direction == "minimise" else difference) > noise


def seed_difference(first: Cell, second: Cell, confidence: float = 0.95) -> tuple[float, float | None]:
    """Return the difference first - second and the half width of its interval over seeds, None where there are too few seeds for one.

    Paired by seed where both have at least two seeds in common (Student); else of the means (Welch). Not a number where one has no score.
    """
    paired = statistics.paired_differences(first.seeds, second.seeds)
    if len(paired) >= 2:
        return statistics.mean(paired), statistics.half_width(paired, confidence)
    if first.mean is None or second.mean is None:
        return math.nan, None
    return first.mean - second.mean, statistics.welch_half_width(list(first.seeds.values()), list(second.seeds.values()), confidence)
