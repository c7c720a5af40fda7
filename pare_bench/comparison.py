"""``pare-bench compare``: records of two or more methods to one table, and to what that table can and cannot show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from pare_bench import statistics
from pare_bench.errors import UsageError, nearest
from pare_bench.leaderboard import unique
from pare_bench.missing import Wanted, choose_data, choose_division, method_name
from pare_bench.optimism import Gap, optimism_gaps
from pare_bench.records import RunRecord
from pare_bench.statistics import Direction, WinsTiesLosses
from pare_bench.variants import Data, Division, age, counted, division_of, label_records


@dataclass(frozen=True)
class Cell:
    """The runs of one method on one task. ``spread`` is the sample standard deviation, ``interval`` the 95% t interval of the mean, over seeds."""

    mean: float
    spread: float | None
    interval: tuple[float, float] | None
    seeds: Mapping[int, float]
    failed: Mapping[int, str]
    run_ids: tuple[str, ...]

    @property
    def n(self) -> int:
        """Seeds with a score."""
        return len(self.seeds)


@dataclass(frozen=True)
class TaskRow:
    """One task. ``leaders`` have the best mean; ``best`` is set only where one method leads every other by more than the noise of the seeds."""

    task: str
    version: int
    data_sha256: str
    real: str | None
    metric: str
    direction: Direction
    floor: float | None
    cells: Mapping[str, Cell]
    ranks: Mapping[str, float]
    leaders: tuple[str, ...]
    best: str | None

    @property
    def direction_text(self) -> str:
        """The direction in words."""
        return "lower is better" if self.direction == "minimise" else "higher is better"

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
        return f"{leader} leads, " + ("one seed" if min(cell.n for cell in self.cells.values()) < 2 else "within noise")


@dataclass(frozen=True)
class Pair:
    """Two methods over all tasks; wins, ties and losses are those of ``first``, ``p_holm`` is corrected for all pairs of the comparison."""

    first: str
    second: str
    result: WinsTiesLosses
    differences: Mapping[str, float]
    test: str
    p: float
    p_holm: float


@dataclass(frozen=True)
class Comparison:
    """Everything that a table of the comparison shows.

    ``sentence`` says what this many tasks and seeds can show; ``optimism`` has the methods and tasks with scores in both tracks.
    """

    division: Division
    methods: tuple[str, ...]
    tasks: tuple[TaskRow, ...]
    pairs: tuple[Pair, ...]
    mean_ranks: Mapping[str, float]
    sentence: str
    notes: tuple[str, ...]
    optimism: tuple[Gap, ...] = ()


def compare(
    records: Iterable[RunRecord],
    methods: Sequence[str],
    suite: str,
    *,
    tier: str | None = None,
    track: str = "clean",
    preset: str | None = None,
    tasks: Sequence[str] = (),
    suite_tasks: Sequence[str] = (),
    known_methods: Collection[str] = (),
    out: str = "leaderboard",
) -> Comparison:
    """Compare ``methods`` (names, or full labels of variants) on the tasks that any of them has run.

    ``tasks`` restricts that; ``suite_tasks`` are all tasks of the suite, for order and for saying what is not covered; ``known_methods`` are the
    registered methods and ``out`` the folder of the records, both for messages.

    Raises:
        UsageError: fewer than two methods, an unknown one, records in several divisions, or scores on different data.
        DataMissingError: a needed run is not there or failed; the hint is the command that makes it.
    """
    if len(methods) < 2 or len(set(methods)) < len(methods):
        raise UsageError(f"compare takes two or more different methods, got '{' '.join(methods)}'", hint="pare-bench compare pare orca")
    for task in tasks if suite_tasks else ():
        if task not in suite_tasks:
            close = nearest(task, suite_tasks)
            raise UsageError(
                f"suite '{suite}' has no task '{task}'" + (f"; did you mean '{close}'?" if close else ""),
                hint=f"its tasks: {', '.join(suite_tasks)}",
            )
    wanted = Wanted(tuple(methods), suite, tier, track, preset, tuple(tasks), tuple(suite_tasks), tuple(known_methods), out)
    of_suite = [record for record in unique(records) if record.suite == suite]
    pool = [record for record in of_suite if record.track == track]
    division = choose_division(wanted, pool)
    labelled = label_records(record for record in pool if division_of(record) == division)
    _check_labels(methods, labelled, division)
    found = {method: _by_task(labelled.get(method, ())) for method in methods}
    names = sorted(set(tasks) or {task for cells in found.values() for task in cells})
    names.sort(key=lambda task: suite_tasks.index(task) if task in suite_tasks else len(suite_tasks))
    data = choose_data(wanted, division, names, found)
    rows = tuple(_row(task, {method: found[method][task][data[task]] for method in methods}) for task in names)
    pairs = _pairs(methods, rows)
    means = {method: [row.cells[method].mean for row in rows] for method in methods}
    ranks = statistics.mean_ranks(means, [row.direction for row in rows])
    gaps = optimism_gaps((each for each in of_suite if division_of(each)._replace(track=track) == division), methods, names)
    return Comparison(division, tuple(methods), rows, pairs, ranks, _sentence(methods, rows), _notes(division, rows, suite_tasks), gaps)


def _check_labels(methods: Sequence[str], labelled: Mapping[str, Sequence[RunRecord]], division: Division) -> None:
    for label in methods:
        name = method_name(label)
        if label != name and label not in labelled:
            variants = ", ".join(f"'{each}'" for each in labelled if method_name(each) == name) or "none"
            raise UsageError(f"no records of '{label}' in preset {division.preset}; there are: {variants}", hint="give one of these in quotes")


def _by_task(records: Iterable[RunRecord]) -> dict[str, dict[Data, dict[int, RunRecord]]]:
    found: dict[str, dict[Data, dict[int, RunRecord]]] = defaultdict(lambda: defaultdict(dict))
    for (task, data, seed), record in sorted(counted(records)[0].items()):
        found[task][data][seed] = record
    return {task: dict(groups) for task, groups in found.items()}


def _row(task: str, runs: Mapping[str, Mapping[int, RunRecord]]) -> TaskRow:
    scored = [record for group in runs.values() for record in group.values() if record.status == "ok"]
    measures = sorted({(record.primary.name, record.primary.direction) for record in scored})
    if len(measures) > 1:
        texts = " and by ".join(f"'{name}' ({direction})" for name, direction in measures)
        raise UsageError(
            f"task '{task}' is scored by {texts} in different records, which are never compared",
            hint="move the records of the older version away and run them again",
        )
    newest = max(scored, key=age)
    ((metric, direction),) = measures
    cells = {method: _cell(group) for method, group in runs.items()}
    ranks = dict(zip(cells, statistics.shared_ranks([cell.mean for cell in cells.values()], direction), strict=True))
    leaders = tuple(method for method, rank in ranks.items() if rank == min(ranks.values()))
    return TaskRow(
        task=task,
        version=newest.task.version,
        data_sha256=newest.task.data_sha256,
        real=newest.task.real,
        metric=metric,
        direction=direction,
        floor=newest.floor,
        cells=cells,
        ranks=ranks,
        leaders=leaders,
        best=leaders[0] if len(leaders) == 1 and _leads_beyond_noise(leaders[0], cells, direction) else None,
    )


def _cell(group: Mapping[int, RunRecord]) -> Cell:
    scored = {seed: record for seed, record in group.items() if record.status == "ok"}
    seeds = {seed: record.primary.value for seed, record in scored.items()}
    values = list(seeds.values())
    return Cell(
        mean=statistics.mean(values),
        spread=statistics.sample_sd(values),
        interval=statistics.t_interval(values),
        seeds=seeds,
        failed={seed: f"{record.status}: {record.reason}" for seed, record in group.items() if record.status != "ok"},
        run_ids=tuple(record.run_id for record in scored.values()),
    )


def _leads_beyond_noise(leader: str, cells: Mapping[str, Cell], direction: Direction) -> bool:
    if any(cell.failed for cell in cells.values()):
        return False
    rivals = [cell for method, cell in cells.items() if method != leader]
    # Leading k - 1 rivals at 95% in all takes 1 - 0.05 / (k - 1) against each (Bonferroni).
    confidence = 1 - 0.05 / len(rivals)
    sign = -1 if direction == "minimise" else 1
    for rival in rivals:
        difference, noise = seed_difference(cells[leader], rival, confidence)
        if noise is None or sign * difference <= noise:
            return False
    return True


def seed_difference(first: Cell, second: Cell, confidence: float = 0.95) -> tuple[float, float | None]:
    """Return the difference first - second and the half width of its interval over seeds, None where there are too few seeds for one.

    Paired by seed where both have at least two seeds in common (Student); else of the means (Welch).
    """
    paired = statistics.paired_differences(first.seeds, second.seeds)
    if len(paired) >= 2:
        return statistics.mean(paired), statistics.half_width(paired, confidence)
    noise = statistics.welch_half_width(list(first.seeds.values()), list(second.seeds.values()), confidence)
    return first.mean - second.mean, noise


def _pairs(methods: Sequence[str], rows: Sequence[TaskRow]) -> tuple[Pair, ...]:
    # Tasks have different metrics; as shares of the floor the sizes of differences can be ranked together.
    floors = [row.floor for row in rows if row.floor is not None and row.floor > 0]
    signed = len(floors) == len(rows)
    test = "exact signed-rank on differences as shares of the floor" if signed else "exact sign test"
    directions = [row.direction for row in rows]
    drafts = []
    for first, second in combinations(methods, 2):
        scores = [[row.cells[method].mean for row in rows] for method in (first, second)]
        differences = [a - b for a, b in zip(*scores, strict=True)]
        worse = [value if direction == "minimise" else -value for value, direction in zip(differences, directions, strict=True)]
        p = statistics.signed_rank_p([value / floor for value, floor in zip(worse, floors, strict=True)]) if signed else statistics.sign_test_p(worse)
        result = statistics.wins_ties_losses(scores[0], scores[1], directions)
        drafts.append(Pair(first, second, result, dict(zip([row.task for row in rows], differences, strict=True)), test, p, p))
    corrected = statistics.holm([pair.p for pair in drafts])
    return tuple(replace(pair, p_holm=value) for pair, value in zip(drafts, corrected, strict=True))


def _sentence(methods: Sequence[str], rows: Sequence[TaskRow]) -> str:
    counts = sorted({cell.n for row in rows for cell in row.cells.values()})
    seeds = _many(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    smallest, pairs = statistics.smallest_possible_p(len(rows)), statistics.holm_factor(len(methods))
    corrected = min(1.0, smallest * pairs)
    text = f"with {_many(len(rows), 'task')} and {seeds} the smallest possible two-sided p of a signed-rank or sign test over tasks is {smallest:.2g}"
    if pairs > 1:
        text += f", {corrected:.2g} after Holm's correction for {pairs} pairs"
    if corrected > 0.05:
        text += ", so no scores whatever could reach 0.05"
    if counts[0] < 2:
        text += "; one seed gives no interval, so where a method has one, any difference may be seed noise and no method is called best"
    if counts[-1] >= 2:
        beyond = sum(row.best is not None for row in rows)
        text += f"; on {beyond} of {_many(len(rows), 'task')} one method leads by more than its 95% interval over seeds"
        text += ", the other leads may be seed noise" if beyond < len(rows) else ""
    return text


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _notes(division: Division, rows: Sequence[TaskRow], suite_tasks: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if division.tier == "generated":
        notes.append("tier generated: the data are simulated twins of the published ones; scores are not comparable with published numbers")
    if division.tier == "bundled":
        notes.append("tier bundled: real tables, split here; scores are not comparable with published numbers, which are of other splits")
    if division.track == "paper":
        notes.append("track paper: as in the released code the validation data are the test data, so scores are optimistic")
    absent = [task for task in suite_tasks if task not in {row.task for row in rows}]
    if absent:
        notes.append(f"{len(rows)} of the {len(suite_tasks)} tasks of suite {division.suite}; not compared: {', '.join(absent)}")
    for row in rows:
        if len({tuple(cell.seeds) for cell in row.cells.values()}) > 1:
            notes.append(f"{row.task}: the methods have different seeds; means are over each one's own, intervals of differences over common ones")
        for method, cell in row.cells.items():
            notes.extend(f"{row.task}: {method} seed {seed} {reason}; its mean leaves this seed out" for seed, reason in cell.failed.items())
            if row.floor is not None and (cell.mean >= row.floor if row.direction == "minimise" else cell.mean <= row.floor):
                notes.append(f"{row.task}: {method} is no better than the constant floor")
    return tuple(notes)
