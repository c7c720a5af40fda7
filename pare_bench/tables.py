"""A comparison as a table for a terminal, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pare_bench.comparison import Cell, Comparison, TaskRow

if TYPE_CHECKING:
    from rich.console import Group

SCHEMA = "pare-bench/comparison/1"
_PAIR_COLUMNS = ("pair", "wins", "ties", "losses", "p", "p (Holm)")
_GAP_COLUMNS = ("task", "method", "clean", "paper", "optimism gap")
_GAP_LEGEND = "optimism gap: how much better the score of track paper is than that of track clean; ± half width of its 95% interval over seeds"
_LEGEND = "cells: mean ± sample standard deviation over seeds (number of seeds)"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as one JSON document, schema ``pare-bench/comparison/1``."""
    return {
        "schema": SCHEMA,
        **comparison.division._asdict(),
        "methods": list(comparison.methods),
        "tasks": [_row_json(row) for row in comparison.tasks],
        "mean_ranks": dict(comparison.mean_ranks),
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                **pair.result._asdict(),
                "differences": dict(pair.differences),
                "test": pair.test,
                "p": pair.p,
                "p_holm": pair.p_holm,
            }
            for pair in comparison.pairs
        ],
        "optimism": [asdict(gap) for gap in comparison.optimism],
        "sentence": comparison.sentence,
        "notes": list(comparison.notes),
    }


def _row_json(row: TaskRow) -> dict[str, Any]:
    return {
        "task": row.task,
        "version": row.version,
        "data_sha256": row.data_sha256,
        "real": row.real,
        "metric": row.metric,
        "direction": row.direction,
        "floor": row.floor,
        "leaders": list(row.leaders),
        "best": row.best,
        "verdict": row.verdict,
        "methods": {
            method: {
                "mean": cell.mean,
                "spread": cell.spread,
                "interval": None if cell.interval is None else list(cell.interval),
                "n": cell.n,
                "seeds": {str(seed): value for seed, value in cell.seeds.items()},
                "failed": {str(seed): reason for seed, reason in cell.failed.items()},
                "rank": row.ranks[method],
                "run_ids": list(cell.run_ids),
            }
            for method, cell in row.cells.items()
        },
    }


def as_csv(comparison: Comparison) -> str:
    """Return one line per task and method, with a header; numbers in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    place = ("suite", "tier", "track", "preset")
    writer.writerow(
        [*place, "task", "version", "data_sha256", "metric", "direction", "method", "mean", "spread", "n", "failed", "rank", "floor", "verdict"]
    )
    for row in comparison.tasks:
        for method, cell in row.cells.items():
            numbers = [cell.mean, "" if cell.spread is None else cell.spread, cell.n, len(cell.failed), row.ranks[method]]
            named = [row.task, row.version, row.data_sha256, row.metric, row.direction, method]
            writer.writerow([*comparison.division, *named, *numbers, "" if row.floor is None else row.floor, row.verdict])
    return text.getvalue()


def as_markdown(comparison: Comparison) -> str:
    """Return the comparison as Markdown: scores, pairs, what it can show, notes."""
    lines = [f"**{_title(comparison)}**", "", *_markdown(_score_columns(comparison), _score_rows(comparison)), "", _LEGEND, ""]
    lines += [*_markdown(_PAIR_COLUMNS, _pair_rows(comparison)), "", _tests(comparison), ""]
    if comparison.optimism:
        lines += [*_markdown(_GAP_COLUMNS, _gap_rows(comparison)), "", _GAP_LEGEND, ""]
    lines.append(_capital(comparison.sentence))
    if comparison.notes:
        lines += ["", *(f"- {note}" for note in comparison.notes)]
    return "\n".join(lines) + "\n"


def as_table(comparison: Comparison) -> Group:
    """Return the comparison as rich tables and lines for a terminal."""
    from rich.console import Group
    from rich.text import Text

    scores = _rich(_title(comparison), _score_columns(comparison), _score_rows(comparison), left=("task", "metric", "direction", "verdict"))
    pairs = _rich(None, _PAIR_COLUMNS, _pair_rows(comparison), left=("pair",))
    last = [Text(_capital(comparison.sentence), style="bold"), *(Text(f"note: {note}") for note in comparison.notes)]
    gaps: list[Any] = []
    if comparison.optimism:
        gaps = [_rich(None, _GAP_COLUMNS, _gap_rows(comparison), left=("task", "method")), Text(_GAP_LEGEND, style="dim")]
    return Group(scores, Text(_LEGEND, style="dim"), pairs, Text(_tests(comparison), style="dim"), *gaps, *last)


def _title(comparison: Comparison) -> str:
    suite, tier, track, preset = comparison.division
    return f"{' vs '.join(comparison.methods)} on {suite}, tier {tier}, track {track}, preset {preset}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _score_columns(comparison: Comparison) -> tuple[str, ...]:
    return ("task", "metric", "direction", *comparison.methods, "floor", "verdict")


def _score_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    rows = [
        (row.task, row.metric, row.direction_text, *(_cell(row.cells[method]) for method in comparison.methods), _number(row.floor), row.verdict)
        for row in comparison.tasks
    ]
    ranks = (f"{comparison.mean_ranks[method]:.2f}" for method in comparison.methods)
    return [*rows, ("mean rank", "", "lower is better", *ranks, "", "")]


def _pair_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    return [(f"{pair.first} vs {pair.second}", *map(str, pair.result), f"{pair.p:.3g}", f"{pair.p_holm:.3g}") for pair in comparison.pairs]


def _gap_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for gap in comparison.optimism:
        interval = "" if gap.half_width is None else f" ± {_number(gap.half_width)}"
        rows.append((gap.task, gap.method, _number(gap.clean), _number(gap.paper), f"{gap.gap:+.4f}{interval}"))
    return rows


def _tests(comparison: Comparison) -> str:
    return f"wins, ties, losses: tasks on which the first mean is better, equal, worse; p: {comparison.pairs[0].test}, two-sided"


def _cell(cell: Cell) -> str:
    spread = "" if cell.spread is None else f" ± {_number(cell.spread)}"
    failed = f", {len(cell.failed)} failed" if cell.failed else ""
    return f"{_number(cell.mean)}{spread} ({cell.n}{failed})"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (columns, ["---"] * len(columns), *rows)]


def _rich(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[str]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # Text, not str: rich would read a label's brackets as markup.
    table = Table(title=Text(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left")
    for name in columns:
        table.add_column(Text(name), justify="left" if name in left else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
