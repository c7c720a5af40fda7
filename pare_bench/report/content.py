"""What the page shows, as plain values: no HTML, no drawing, no number that is not in the records or computed by the statistics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pare_bench import statistics
from pare_bench.comparison.task_rows import TaskRow, score_of, task_row
from pare_bench.leaderboard.build import build, unique
from pare_bench.records.record import RunRecord
from pare_bench.records.variants import Division, division_of, label_records
from pare_bench.report.runs import RunGroup, counted_runs, fractions, run_groups
from pare_bench.statistics import Direction


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
    """A task of a division.

    ``persistence`` is the second floor, of fields that evolve. ``fractions`` has, per method, pairs of training examples and score, where runs of
    several sizes exist.
    """

    name: str
    summary: str
    metric: str | None
    direction: Direction | None
    floor: float | None
    persistence: float | None
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
class Versions:
    """Versions of methods and tasks as they are registered here and now, by name; what is not registered is missing."""

    methods: Mapping[str, int] = field(default_factory=dict)
    tasks: Mapping[str, int] = field(default_factory=dict)


UNKNOWN_VERSIONS = Versions()


@dataclass(frozen=True)
class Section:
    """A division: what is ranked together. ``left_out`` is how many of its runs are not shown one by one.

    ``earlier`` has a sentence for each method and task of which runs that count are of an earlier version than the registered one.
    ``counted[task][label][seed]`` are the runs that count, failed ones too, in the order of the tasks.
    """

    division: Division
    tasks: tuple[Task, ...]
    ranked: tuple[Row, ...]
    partial: tuple[Row, ...]
    groups: tuple[RunGroup, ...]
    superseded: int
    other_data: int
    left_out: int
    earlier: tuple[str, ...]
    counted: Mapping[str, Mapping[str, Mapping[int, RunRecord]]]

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

    def task_rows(self, labels: Sequence[str]) -> list[TaskRow]:
        """Return the rows of :func:`pare_bench.comparison.compare.compare` for these methods, tasks without any of their scores left out."""
        rows = []
        for task, by_label in self.counted.items():
            runs = {label: by_label.get(label, {}) for label in labels}
            if any(score_of(run) is not None for group in runs.values() for run in group.values()):
                rows.append(task_row(task, runs))
        return rows


def sections(
    records: Iterable[RunRecord], summaries: Mapping[str, str], *, max_runs: int, versions: Versions = UNKNOWN_VERSIONS
) -> tuple[Section, ...]:
    """Return the divisions of all records; ``summaries`` says in a line what each task is, ``max_runs`` is how many runs are shown in all.

    ``versions`` are those of today, beside which runs of an earlier one are named.

    Which runs count, who is ranked and who is not are those of :func:`pare_bench.leaderboard.build.build`.
    """
    records = unique(records)
    by_division: dict[Division, list[RunRecord]] = defaultdict(list)
    for record in records:
        by_division[division_of(record)].append(record)
    made, left = [], max_runs
    for document in build(records)["divisions"]:
        division = Division(*(document[field] for field in Division._fields))
        section = _section(division, document, by_division[division], summaries, left, versions)
        left = max(0, left - sum(len(group.runs) for group in section.groups))
        made.append(section)
    return tuple(made)


def _section(
    division: Division,
    document: Mapping[str, Any],
    records: Sequence[RunRecord],
    summaries: Mapping[str, str],
    max_runs: int,
    versions: Versions,
) -> Section:
    labelled = label_records(records)
    by_id = {record.run_id: record for record in records}
    tasks = tuple(
        Task(**{**task, "sizes": dict(task["sizes"])}, name=name, summary=summaries.get(name, ""), fractions=fractions(name, labelled))
        for name, task in document["tasks"].items()
    )
    ranks = _task_ranks(document, tasks)
    rows = [_row(label, method, ranks, by_id) for label, method in document["methods"].items()]
    ranked = sorted((row for row in rows if row.mean_rank is not None), key=lambda row: (row.mean_rank or 0, row.label))
    groups = run_groups(document, labelled, max_runs)
    runs = counted_runs(document, by_id)
    return Section(
        division,
        tasks,
        tuple(ranked),
        tuple(row for row in rows if row.mean_rank is None),
        groups,
        len(document["superseded"]),
        len(document["other_data"]),
        len(records) - sum(len(group.runs) for group in groups),
        tuple(_earlier([run for task in runs.values() for group in task.values() for run in group.values()], versions)),
        runs,
    )


def _earlier(runs: Iterable[RunRecord], versions: Versions) -> Iterator[str]:
    old: Counter[tuple[str, str, int, int]] = Counter()
    for run in runs:
        for kind, name, version, known in (
            ("method", run.method.name, run.method_version, versions.methods),
            ("task", run.task.name, run.task.version, versions.tasks),
        ):
            if 0 < version < known.get(name, 0):
                old[kind, name, version, known[name]] += 1
    for (kind, name, version, now), count in sorted(old.items()):
        yield f"{count} run{'s' if count > 1 else ''} of version {version} of {kind} '{name}' (now {now})"


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
