"""One row for each run: CSV and Parquet."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pare_bench.errors import EnvironmentFault
from pare_bench.leaderboard.build import build, unique
from pare_bench.records.record import RunRecord
from pare_bench.records.variants import Division, division_of, label_records

#: Columns and the type of their values; every value but the texts of the identity may be absent.
COLUMNS: dict[str, type] = {
    **dict.fromkeys(("suite", "tier", "track", "preset", "method", "label", "task"), str),
    "version": int,
    "data_sha256": str,
    **dict.fromkeys(("train", "val", "test", "seed"), int),
    **dict.fromkeys(("run_id", "status", "reason"), str),
    "counts": bool,
    **dict.fromkeys(("metric", "direction"), str),
    **dict.fromkeys(("value", "floor", "persistence"), float),
    **dict.fromkeys(("parameters_total", "parameters_trained"), int),
    **dict.fromkeys(("seconds", "peak_memory_mb"), float),
    **dict.fromkeys(("device", "started", "finished", "predictions_sha256", "command"), str),
}


def rows(records: Iterable[RunRecord]) -> list[dict[str, Any]]:
    """Return a row for each run, ordered by division, label, task, seed and age. ``counts`` is false for superseded runs and other data."""
    records = unique(records)
    aside = {mention["run_id"] for division in build(records)["divisions"] for part in ("superseded", "other_data") for mention in division[part]}
    divisions: dict[Division, list[RunRecord]] = defaultdict(list)
    for record in records:
        divisions[division_of(record)].append(record)
    return [
        _row(label, record, record.run_id not in aside)
        for division in sorted(divisions)
        for label, group in label_records(divisions[division]).items()
        for record in group
    ]


def _row(label: str, record: RunRecord, counts: bool) -> dict[str, Any]:
    scored = record.primary if record.status == "ok" else None
    same = (
        "run_id",
        "seed",
        "status",
        "reason",
        "floor",
        "persistence",
        "parameters_total",
        "parameters_trained",
        "peak_memory_mb",
        "started",
        "finished",
        "command",
    )
    values: dict[str, Any] = {
        **division_of(record)._asdict(),
        **{name: getattr(record, name) for name in (*same, "predictions_sha256")},
        **{split: record.task.sizes.get(split) for split in ("train", "val", "test")},
        **{name: getattr(scored, name, None) for name in ("direction", "value")},
        "metric": getattr(scored, "name", None),
        "method": record.method.name,
        "label": label,
        "task": record.task.name,
        "version": record.task.version,
        "data_sha256": record.task.data_sha256,
        "counts": counts,
        "seconds": sum(record.seconds.values()) if record.seconds else None,
        "device": record.environment.device,
    }
    return {column: values[column] for column in COLUMNS}


def as_csv(records: Iterable[RunRecord]) -> str:
    """Return the runs as CSV: a line of column names, empty fields for absent values, ``true`` and ``false``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows(records):
        writer.writerow(["" if value is None else str(value).lower() if isinstance(value, bool) else _inert(value) for value in row.values()])
    return text.getvalue()


def _inert(value: Any) -> Any:
    """Keep a spreadsheet from taking a text of a record for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def as_parquet(records: Iterable[RunRecord]) -> bytes:
    """Return the runs as a Parquet file.

    Raises:
        EnvironmentFault: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise EnvironmentFault("Parquet files need the package 'pyarrow'", hint="pip install 'pare-bench[parquet]'") from error
    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows(records), schema=schema), sink)
    return bytes(sink.getvalue().to_pybytes())
