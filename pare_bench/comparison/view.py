"""A comparison in Python: its text, its document, its table, and how a notebook shows it."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.parts import parts
from pare_bench.comparison.table_parts import Table
from pare_bench.comparison.tables import as_json, as_markdown
from pare_bench.records.results import frame

if TYPE_CHECKING:
    import pandas

_COLUMNS = (
    "suite", "tier", "track", "preset", "task", "method", "mean", "spread", "low", "high", "n", "failed", "rank", "gain", "floor", "metric",
    "direction", "verdict",
)  # fmt: skip


class ComparisonView:
    """What :func:`pare_bench.compare` returns. ``comparison`` has it in full (:class:`pare_bench.comparison.compare.Comparison`)."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    @property
    def answer(self) -> tuple[str, ...]:
        """Who is ahead, in sentences, with what so many tasks and seeds would have seen."""
        return self.comparison.answer

    @property
    def text(self) -> str:
        """What ``pare-bench compare --format md`` writes."""
        return as_markdown(self.comparison)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``pare-bench compare --format json`` writes, parsed."""
        document: dict[str, Any] = json.loads(json.dumps(as_json(self.comparison), allow_nan=False))
        return document

    def to_frame(self) -> pandas.DataFrame:
        """Return a row for each task and method; ``low`` and ``high`` are the interval of the mean, ``gain`` the share of the way from the floor.

        Raises:
            EnvironmentFault: pandas is not installed.
        """
        return frame(self.to_dicts(), _COLUMNS)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows of :meth:`to_frame` as plain values by column."""
        document = self.to_dict()
        rows = []
        for task in document["tasks"]:
            for method, cell in task["methods"].items():
                low, high = cell["interval"] or (None, None)
                row = {**document, **task, **cell, "method": method, "low": low, "high": high, "failed": len(cell["failed"])}
                rows.append({name: row[name] for name in _COLUMNS})
        return rows

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return "".join(_table(part) if isinstance(part, Table) else f"<p>{html.escape(part.text)}</p>" for part in parts(self.comparison))


def _table(part: Table) -> str:
    title = f"<caption>{html.escape(part.title)}</caption>" if part.title else ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in part.columns)
    rows = "".join("<tr>" + "".join(_cell(part, number, place) for place in range(len(row))) + "</tr>" for number, row in enumerate(part.rows))
    legend = f"<p>{html.escape(part.legend)}</p>" if part.legend else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{legend}"


def _cell(part: Table, number: int, place: int) -> str:
    text = html.escape(part.rows[number][place])
    return f"<td><b>{text}</b></td>" if (number, place) in part.bold else f"<td>{text}</td>"
