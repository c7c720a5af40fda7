"""Records to ``leaderboard.json``: a pure function, the same bytes whatever the order of the records."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pare_bench import statistics
from pare_bench.records.record import MetricRecord, RunRecord
from pare_bench.records.variants import Division, age, counted, data_of, division_of, label_records, overcome, preferred_data

SCHEMA = "pare-bench/leaderboard/1"
#: Levels of the text that have lines of their own: divisions, division, its parts, methods, method, its parts, tasks.
_DEPTH = 7


class LeftOff(NamedTuple):
    """A file of a store that does not count: its path below the store, and why.

    ``record_sha256`` is the SHA-256 of the file where the record itself is whole and something else speaks against it.
    """

    path: str
    reason: str
    record_sha256: str | None = None


def build(records: Iterable[RunRecord], left_off: Iterable[LeftOff] = ()) -> dict[str, Any]:
    """Return the leaderboard of all records.

    Divisions (suite, tier, track, preset) are ranked apart. In a division a method, or a variant of it
    (:func:`pare_bench.records.variants.label_records`), is ``complete`` when it has a score, and no failed or skipped run, on every task that any
    record of the division has; ranks are taken among complete methods. Records that do not count are listed: ``superseded`` by a newer run of the
    same setting and seed, or by any run where they could not even begin, or made on ``other_data`` than the division's
    (:func:`pare_bench.records.variants.preferred_data`). Files that are no sound records are listed with the reason, ``left_off``, where there are
    any.
    """
    divisions: dict[Division, list[RunRecord]] = defaultdict(list)
    for record in unique(records):
        divisions[division_of(record)].append(record)
    document: dict[str, Any] = {"schema": SCHEMA, "divisions": [_division(key, divisions[key]) for key in sorted(divisions)]}
    if off := sorted(left_off):
        document["left_off"] = [{name: value for name, value in each._asdict().items() if value is not None} for each in off]
    return document


def to_json(document: Mapping[str, Any]) -> str:
    """Return the leaderboard as text: sorted keys, two-space indent, the seeds of a method on a task in one line, one final newline."""
    return _text(document, _DEPTH, "\n") + "\n"


def _text(value: Any, depth: int, newline: str) -> str:
    # json's own indentation is written in Python and takes ten times as long as all the rest of the leaderboard.
    if not depth or not value or not isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, allow_nan=False)
    inner = newline + "  "
    if isinstance(value, dict):
        body = f",{inner}".join(f"{json.dumps(key)}: {_text(value[key], depth - 1, inner)}" for key in sorted(value))
        return f"{{{inner}{body}{newline}}}"
    return f"[{inner}{f',{inner}'.join(_text(item, depth - 1, inner) for item in value)}{newline}]"


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
    tasks: dict[str, Any] = {}
    foreign: list[RunRecord] = []
    for task in sorted(by_task):
        data = preferred_data(by_task[task])
        own: list[RunRecord] = []
        for record in by_task[task]:
            (own if data_of(record) == data or not record.begun else foreign).append(record)
        tasks[task] = _task(own)
        # A metric that was exchanged without a new task version would be pooled silently: such scores are foreign too.
        measure = tasks[task]["metric"], tasks[task]["direction"]
        foreign += [record for record in own if record.status == "ok" and _measure(record.primary) != measure]
    foreign_ids = {record.run_id for record in foreign}
    methods: dict[str, Any] = {}
    superseded: list[RunRecord] = overcome(records)
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
    newest = max([record for record in records if record.begun] or records, key=age)
    scored = max((record for record in records if record.status == "ok"), key=age, default=None)
    return {
        "version": newest.task.version,
        "data_sha256": newest.task.data_sha256,
        "sizes": newest.task.sizes,
        "real": newest.task.real,
        "metric": scored.primary.name if scored else None,
        "direction": scored.primary.direction if scored else None,
        "floor": scored.floor if scored else None,
        "persistence": scored.persistence if scored else None,
    }


def _measure(metric: MetricRecord) -> tuple[str, str]:
    return metric.name, metric.direction


def _method(records: Sequence[RunRecord], tasks: Mapping[str, Any]) -> dict[str, Any]:
    scored: dict[str, dict[int, RunRecord]] = defaultdict(dict)
    failed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        if record.status == "ok":
            scored[record.task.name][record.seed] = record
    for record in sorted((record for record in records if record.status != "ok"), key=_place):
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
    values = {seed: records[seed].primary.value for seed in sorted(records)}
    return {
        "mean": statistics.mean(list(values.values())),
        "spread": statistics.sample_sd(list(values.values())),
        "n": len(values),
        "seeds": {str(seed): {"value": value, "run_id": records[seed].run_id} for seed, value in values.items()},
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
