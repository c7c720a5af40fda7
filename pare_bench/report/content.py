"""What the page shows, as plain values: no HTML, no drawing, no number that is not in the records or computed by the statistics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pare_bench import statistics
from pare_bench.leaderboard import build, unique
from pare_bench.records import RunRecord
from pare_bench.statistics import Direction
from pare_bench.variants import Division, age, data_of, division_of, label_records


@dataclass(frozen=True)
class Cell:
    """Scores of a method on a task over seeds; ``interval`` is Student's 95% interval of the mean."""

    mean: float
    interval: tuple[float, float] | None
    seeds: Mapping[str, float]
    run_ids: Mapping[str, str]
    rank: float | None = None

    @property
    def half(self) -> float | None:
        """Half the width of the interval."""
        return None if self.interval is None else (self.interval[1] - self.interval[0]) / 2


@dataclass(frozen=True)
class Row:
    """A method, or a variant of it. ``seconds`` and ``parameters`` are means over its scored runs per task, seconds summed over the tasks."""

    label: str
    mean_rank: float | None
    cells: Mapping[str, Cell]
    problems: tuple[str, ...]
    seconds: float | None
    parameters: float | None


@dataclass(frozen=True)
class Task:
    """A task of a division. ``fractions`` has, per method, pairs of training examples and score, where runs of several sizes exist."""

    name: str
    summary: str
    metric: str | None
    direction: Direction | None
    floor: float | None
    version: int
    data_sha256: str
    sizes: Mapping[str, int]
    real: str | None
    fractions: Mapping[str, Sequence[tuple[int, float]]]

    @property
    def direction_text(self) -> str:
        """The direction in words."""
        return "higher is better" if self.direction == "maximise" else "lower is better"


@dataclass(frozen=True)
class RunGroup:
    """The runs of a method on a task, newest last, and whether each one counts."""

    label: str
    task: str
    runs: tuple[RunRecord, ...]
    counts: tuple[bool, ...]


@dataclass(frozen=True)
class Section:
    """A division: what is ranked together. ``left_out`` is how many of its runs are not shown one by one."""

    division: Division
    tasks: tuple[Task, ...]
    ranked: tuple[Row, ...]
    partial: tuple[Row, ...]
    groups: tuple[RunGroup, ...]
    superseded: int
    other_data: int
    left_out: int

    @property
    def anchor(self) -> str:
        """The section's id on the page."""
        return "-".join(self.division)

    @property
    def title(self) -> str:
        """The division in words."""
        suite, tier, track, preset = self.division
        return f"{suite}, {tier} data, {track} track, preset {preset}"

    def rows_with(self, task: str) -> list[Row]:
        """Return the methods with a score on a task, the best first."""
        maximise = any(each.name == task and each.direction == "maximise" for each in self.tasks)
        rows = [row for row in (*self.ranked, *self.partial) if task in row.cells]
        return sorted(rows, key=lambda row: (-row.cells[task].mean if maximise else row.cells[task].mean, row.label))

    @property
    def scores(self) -> dict[str, list[float]]:
        """The mean score of each ranked method on each task, in the order of the tasks."""
        return {row.label: [row.cells[task.name].mean for task in self.tasks] for row in self.ranked}

    @property
    def directions(self) -> list[Direction]:
        """The direction of each task."""
        return [task.direction or "minimise" for task in self.tasks]


def sections(records: Iterable[RunRecord], summaries: Mapping[str, str], *, max_runs: int) -> tuple[Section, ...]:
    """Return the divisions of all records; ``summaries`` says in a line what each task is, ``max_runs`` is how many runs are shown in all.

    Which runs count, who is ranked and who is not are those of :func:`pare_bench.leaderboard.build`.
    """
    records = unique(records)
    by_division: dict[Division, list[RunRecord]] = defaultdict(list)
    for record in records:
        by_division[division_of(record)].append(record)
    made, left = [], max_runs
    for document in build(records)["divisions"]:
        division = Division(*(document[field] for field in Division._fields))
        section = _section(division, document, by_division[division], summaries, left)
        left = max(0, left - sum(len(group.runs) for group in section.groups))
        made.append(section)
    return tuple(made)


def _section(division: Division, document: Mapping[str, Any], records: Sequence[RunRecord], summaries: Mapping[str, str], max_runs: int) -> Section:
    labelled = label_records(records)
    by_id = {record.run_id: record for record in records}
    tasks = tuple(
        Task(**{**task, "sizes": dict(task["sizes"])}, name=name, summary=summaries.get(name, ""), fractions=_fractions(name, labelled))
        for name, task in document["tasks"].items()
    )
    ranks = _task_ranks(document, tasks)
    rows = [_row(label, method, ranks, by_id) for label, method in document["methods"].items()]
    ranked = sorted((row for row in rows if row.mean_rank is not None), key=lambda row: (row.mean_rank or 0, row.label))
    groups = _groups(document, labelled, max_runs)
    return Section(
        division,
        tasks,
        tuple(ranked),
        tuple(row for row in rows if row.mean_rank is None),
        groups,
        len(document["superseded"]),
        len(document["other_data"]),
        len(records) - sum(len(group.runs) for group in groups),
    )


def _task_ranks(document: Mapping[str, Any], tasks: Sequence[Task]) -> dict[str, dict[str, float]]:
    complete = {label: method for label, method in document["methods"].items() if method["status"] == "complete"}
    ranks: dict[str, dict[str, float]] = {label: {} for label in complete}
    for task in tasks:
        values = [method["tasks"][task.name]["mean"] for method in complete.values()]
        for label, rank in zip(complete, statistics.shared_ranks(values, task.direction or "minimise"), strict=True):
            ranks[label][task.name] = rank
    return ranks


def _row(label: str, method: Mapping[str, Any], ranks: Mapping[str, Mapping[str, float]], by_id: Mapping[str, RunRecord]) -> Row:
    cells: dict[str, Cell] = {}
    seconds: list[float] = []
    parameters: list[float] = []
    for task, scores in method["tasks"].items():
        seeds = {seed: run["value"] for seed, run in scores["seeds"].items()}
        run_ids = {seed: run["run_id"] for seed, run in scores["seeds"].items()}
        cells[task] = Cell(scores["mean"], statistics.t_interval(list(seeds.values())), seeds, run_ids, ranks.get(label, {}).get(task))
        runs = [by_id[run_id] for run_id in run_ids.values()]
        seconds.append(statistics.mean([_cost(run) for run in runs]))
        parameters.append(statistics.mean([run.parameters_trained for run in runs]))
    problems = [f"no run on {', '.join(method['missing'])}"] if method["missing"] else []
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for task, failures in method["failed"].items():
        for each in failures:
            alike[each["status"], each["reason"]].append(f"{task} seed {each['seed']}")
    problems += [f"{status}: {reason} (on {', '.join(places)})" for (status, reason), places in alike.items()]
    return Row(
        label,
        method["mean_rank"],
        cells,
        tuple(problems),
        sum(seconds) if seconds else None,
        statistics.mean(parameters) if parameters else None,
    )


def _cost(record: RunRecord) -> float:
    """Return the seconds that a method took: making the data is nobody's cost."""
    return sum(seconds for stage, seconds in record.seconds.items() if stage != "prepare")


def _fractions(task: str, labelled: Mapping[str, Sequence[RunRecord]]) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for label, records in labelled.items():
        newest: dict[tuple[int, int], RunRecord] = {}
        for record in sorted((record for record in records if record.task.name == task and record.status == "ok"), key=age):
            newest[record.task.sizes.get("train", 0), record.seed] = record
        by_size: dict[int, list[RunRecord]] = defaultdict(list)
        for (size, _), record in sorted(newest.items()):
            by_size[size].append(record)
        if len(by_size) > 1 and len({record.primary.name for record in newest.values()}) == 1:
            curves[label] = [(size, statistics.mean([record.primary.value for record in group])) for size, group in by_size.items()]
    return curves


def _groups(document: Mapping[str, Any], labelled: Mapping[str, Sequence[RunRecord]], max_runs: int) -> tuple[RunGroup, ...]:
    """Return the runs to show: those that count first, where not all may be shown."""
    aside = {mention["run_id"] for part in ("superseded", "other_data") for mention in document[part]}
    places = [(label, record) for label, records in labelled.items() for record in records]
    chosen = {record.run_id for _, record in sorted(places, key=lambda place: (place[1].run_id in aside, *_order(place)))[:max_runs]}
    grouped: dict[tuple[str, str], list[RunRecord]] = defaultdict(list)
    for label, record in places:
        if record.run_id in chosen:
            grouped[record.task.name, label].append(record)
    return tuple(
        RunGroup(label, task, tuple(group), tuple(record.run_id not in aside for record in group))
        for (task, label), records in sorted(grouped.items())
        for group in [sorted(records, key=lambda record: (record.seed, *age(record), data_of(record)))]
    )


def _order(place: tuple[str, RunRecord]) -> tuple[str, str, int, str]:
    label, record = place
    return record.task.name, label, record.seed, record.run_id
