"""Records to ``leaderboard.json``: a pure function, the same bytes whatever the order of the records."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pare_bench import statistics
from pare_bench.records import MetricRecord, RunRecord
from pare_bench.variants import Data, Division, age, counted, data_of, division_of, label_records, preferred_data

SCHEMA = "pare-bench/leaderboard/1"


def build(records: Iterable[RunRecord]) -> dict[str, Any]:
    """Return the leaderboard of all records.

    Divisions (suite, tier, track, preset) are ranked apart. In a division a method, or a variant of it
    (:func:`pare_bench.variants.label_records`), is ``complete`` when it has a score, and no failed or skipped run, on every task that any
    record of the division has; ranks are taken among complete methods. Records that do not count are listed: ``superseded`` by a newer run
    of the same setting and seed, or made on ``other_data`` than the division's (:func:`pare_bench.variants.preferred_data`).
    """
    divisions: dict[Division, list[RunRecord]] = defaultdict(list)
    for record in unique(records):
        divisions[division_of(record)].append(record)
    return {"schema": SCHEMA, "divisions": [_division(key, divisions[key]) for key in sorted(divisions)]}


def to_json(document: Mapping[str, Any]) -> str:
    """Return the leaderboard as text: sorted keys, two-space indent, one final newline."""
    return json.dumps(document, sort_keys=True, indent=2, allow_nan=False) + "\n"


def unique(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Return each run once, the newest record of it, sorted by run id."""
    by_id: dict[str, RunRecord] = {}
    for record in records:
        other = by_id.get(record.run_id)
        if other is None or (record.finished, record.to_json()) > (other.finished, other.to_json()):
            by_id[record.run_id] = record
    return [by_id[run_id] for run_id in sorted(by_id)]


def _division(key: Division, records: Sequence[RunRecord]) -> dict[str, Any]:
    by_task: dict[str, list[RunRecord]] = defaultdict(list)
    for record in records:
        by_task[record.task.name].append(record)
    data = {task: preferred_data(by_task[task]) for task in sorted(by_task)}
    tasks = {task: _task([record for record in by_task[task] if data_of(record) == data[task]]) for task in data}
    foreign = [record for record in records if _is_foreign(record, data, tasks)]
    foreign_ids = {record.run_id for record in foreign}
    methods: dict[str, Any] = {}
    superseded: list[RunRecord] = []
    for label, group in label_records(records).items():
        chosen, older = counted(record for record in group if record.run_id not in foreign_ids)
        superseded += older
        if chosen:
            methods[label] = _method(list(chosen.values()), tasks)
    complete = [label for label in methods if methods[label]["status"] == "complete"]
    scores = {label: [methods[label]["tasks"][task]["mean"] for task in tasks] for label in complete}
    ranks = statistics.mean_ranks(scores, [tasks[task]["direction"] for task in tasks])
    for label, method in methods.items():
        method["mean_rank"] = ranks.get(label)
    return {
        **key._asdict(),
        "tasks": tasks,
        "methods": methods,
        "superseded": [_mention(record) for record in sorted(superseded, key=_place)],
        "other_data": [_mention(record) for record in sorted(foreign, key=_place)],
    }


def _task(records: Sequence[RunRecord]) -> dict[str, Any]:
    newest = max(records, key=age)
    scored = max((record for record in records if record.status == "ok"), key=age, default=None)
    return {
        "version": newest.task.version,
        "data_sha256": newest.task.data_sha256,
        "sizes": newest.task.sizes,
        "real": newest.task.real,
        "metric": scored.primary.name if scored else None,
        "direction": scored.primary.direction if scored else None,
        "floor": scored.floor if scored else None,
    }


def _is_foreign(record: RunRecord, data: Mapping[str, Data], tasks: Mapping[str, Any]) -> bool:
    # A metric that was exchanged without a new task version would be pooled silently: such scores are foreign too.
    task = tasks[record.task.name]
    return data_of(record) != data[record.task.name] or (record.status == "ok" and _measure(record.primary) != (task["metric"], task["direction"]))


def _measure(metric: MetricRecord) -> tuple[str, str]:
    return metric.name, metric.direction


def _method(records: Sequence[RunRecord], tasks: Mapping[str, Any]) -> dict[str, Any]:
    scored: dict[str, dict[int, RunRecord]] = defaultdict(dict)
    failed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in sorted(records, key=_place):
        if record.status == "ok":
            scored[record.task.name][record.seed] = record
        else:
            failed[record.task.name].append({"seed": record.seed, "status": record.status, "reason": record.reason, "run_id": record.run_id})
    missing = [task for task in tasks if task not in scored and task not in failed]
    return {
        "method": records[0].method.name,
        "status": "partial" if missing or failed else "complete",
        "missing": missing,
        "failed": dict(failed),
        "tasks": {task: _scores(scored[task]) for task in sorted(scored)},
    }


def _scores(records: Mapping[int, RunRecord]) -> dict[str, Any]:
    values = [records[seed].primary.value for seed in sorted(records)]
    return {
        "mean": statistics.mean(values),
        "spread": statistics.sample_sd(values),
        "n": len(values),
        "seeds": {str(seed): {"value": records[seed].primary.value, "run_id": records[seed].run_id} for seed in sorted(records)},
    }


def _mention(record: RunRecord) -> dict[str, Any]:
    return {
        "run_id": record.run_id,
        "method": record.method.name,
        "task": record.task.name,
        "seed": record.seed,
        "finished": record.finished,
        "version": record.task.version,
        "data_sha256": record.task.data_sha256,
    }


def _place(record: RunRecord) -> tuple[str, str, int, str]:
    return record.task.name, record.method.name, record.seed, record.run_id
