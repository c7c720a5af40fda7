"""The closing table of ``pare-bench run``: a row for each run, and below it where the records are and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pare_bench.cli import output

if TYPE_CHECKING:
    from pare_bench.runs.single import Result


def print_results(results: Sequence[Result], out: Path, *, drawn: bool) -> None:
    """Write the closing table to stdout: drawn to fit the terminal, or as Markdown."""
    second = any(result.record.persistence is not None for result in results)
    floors = ("floor", "persistence") if second else ("floor",)
    columns = ("task", "seed", "status", "score", "metric", *floors, "seconds", "data")
    rows = [_row(result, floors) for result in results]
    if drawn:
        from pare_bench.comparison.screen import Fitted
        from pare_bench.comparison.table_parts import Table

        output.render(Fitted(Table(None, columns, tuple(rows), ("task", "status", "metric", "data"), "", less=("persistence", "data", "seconds"))))
    else:
        output.write(output.markdown_table(columns, rows) + "\n")
    for line in _below(results, out):
        output.write(line)


def _row(result: Result, floors: Sequence[str]) -> tuple[str, ...]:
    record = result.record
    scored = record.status == "ok" and record.floor is not None
    metric = record.primary if scored else None
    return (
        record.task.name,
        str(record.seed),
        "served" if result.served else record.status,
        "-" if metric is None else f"{metric.value:.4f}",
        "" if metric is None else f"{metric.name} {'↑' if metric.direction == 'maximise' else '↓'}",
        *(f"{value:.4f}" if scored and (value := getattr(record, name)) is not None else "-" for name in floors),
        f"{sum(record.seconds.values()):.1f}",
        record.task.tier,
    )


def _below(results: Sequence[Result], out: Path) -> list[str]:
    lines = []
    for result in results:
        record = result.record
        name = f"{record.task.name} seed {record.seed}"
        if record.status != "ok":
            lines.append(f"{record.status}: {name}: {record.reason}")
        lines += [f"warning: {name}: {text}" for text in record.warnings()]
    places = Counter(result.path.parent for result in results)
    if len(results) == 1:
        return [*lines, f"record: {results[0].path}"]
    if not places:
        return lines
    return [*lines, f"{len(results)} records below {out / 'records'}"]
