"""The runs of a division: which count, which are shown one by one, and scores over the size of the training data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pare_bench import statistics
from pare_bench.records.record import RunRecord
from pare_bench.records.variants import age, data_of


@dataclass(frozen=True)
class RunGroup:
    """The runs of a method on a task, newest last, and whether each one counts."""

    label: str
    task: str
    runs: tuple[RunRecord, ...]
    counts: tuple[bool, ...]


def counted_runs(document: Mapping[str, Any], by_id: Mapping[str, RunRecord]) -> dict[str, dict[str, dict[int, RunRecord]]]:
    """Return ``[task][label][seed]``, the runs that count, failed ones too; ``document`` is the division in leaderboard.json."""
    found: dict[str, dict[str, dict[int, RunRecord]]] = {task: {} for task in document["tasks"]}
    for label, method in document["methods"].items():
        named = [(task, run["run_id"]) for task, scores in method["tasks"].items() for run in scores["seeds"].values()]
        named += [(task, failure["run_id"]) for task, failures in method["failed"].items() for failure in failures]
        for task, run_id in named:
            run = by_id[run_id]
            found[task].setdefault(label, {})[run.seed] = run
    return {task: {label: dict(sorted(runs.items())) for label, runs in by_label.items()} for task, by_label in found.items()}


def fractions(task: str, labelled: Mapping[str, Sequence[RunRecord]]) -> dict[str, list[tuple[int, float]]]:
    """Return, per label with runs of several sizes of a task, pairs of training examples and mean score over seeds."""
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


def run_groups(document: Mapping[str, Any], labelled: Mapping[str, Sequence[RunRecord]], max_runs: int) -> tuple[RunGroup, ...]:
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
