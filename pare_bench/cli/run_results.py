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
    several = len({result.record.method.name for result in results}) > 1
    first = ("method", "task") if several else ("task",)
    columns = (*first, "seed", "status", "score", "metric", *floors, "seconds", "data")
    rows = [(*((result.record.method.name,) if several else ()), *_row(result, floors)) for result in results]
    if drawn:
        from pare_bench.comparison.screen import Fitted
        from pare_bench.comparison.table_parts import Table

        output.render(
            Fitted(Table(None, columns, tuple(rows), ("method", "task", "status", "metric", "data"), "", less=("persistence", "data", "seconds")))
        )
    else:
        output.write(output.markdown_table(columns, rows) + "\n")
    for line in _below(results, out, several=several):
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


def _directions(results: Sequence[Result]) -> list[str]:
    """Say in words what the arrows mean, for the metrics that are there."""
    metrics = [result.record.primary for result in results if result.record.status == "ok"]
    words = []
    for direction, better in (("maximise", "higher"), ("minimise", "lower")):
        names = dict.fromkeys(metric.name for metric in metrics if metric.direction == direction)
        if names:
            words.append(f"{', '.join(names)}: {better} is better")
    return ["; ".join(words)] if words else []


def _below(results: Sequence[Result], out: Path, *, several: bool) -> list[str]:
    lines = _directions(results)
    for result in results:
        record = result.record
        name = record.config.label() if several else f"{record.task.name} seed {record.seed}"
        if record.status != "ok":
            lines.append(f"{record.status}: {name}: {record.reason}")
        lines += [f"warning: {name}: {text}" for text in record.warnings()]
    places = Counter(result.path.parent for result in results)
    if len(results) == 1:
        return [*lines, f"record: {results[0].path}"]
    if not places:
        return lines
    return [*lines, f"{len(results)} records below {out / 'records'}"]
