"""What the tables of a comparison are made of, before they are drawn in some format."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from pare_bench.comparison.task_rows import Cell, TaskRow


@dataclass(frozen=True)
class Table:
    """A table; columns named in ``left`` are texts, ``legend`` says how to read it and under which policy it was made."""

    title: str | None
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[str, ...]
    legend: str


@dataclass(frozen=True)
class Sentence:
    """A sentence, or a note."""

    text: str
    kind: Literal["main", "note"] = "main"


def number(value: float | None) -> str:
    """Return a score with four decimals, or three digits where those would hide it."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def many(count: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def many_between(counts: Collection[int], noun: str) -> str:
    """Return counts that may differ in words: ``3 seeds``, or ``1 to 3 seeds``."""
    least, most = min(counts), max(counts)
    return many(least, noun) if least == most else f"{least} to {most} {noun}s"


def design_text(rows: Sequence[TaskRow]) -> str:
    """Return how many tasks and seeds there are; a method without a score on a task has no seeds there."""
    return f"{many(len(rows), 'task')}, {many_between([cell.n for row in rows for cell in row.cells.values()], 'seed')}"


def ends(interval: tuple[float, float] | None) -> str:
    """Return the ends of an interval."""
    return "-" if interval is None else f"{number(interval[0])} to {number(interval[1])}"


def cell_text(cell: Cell) -> str:
    """Return mean, spread and number of seeds of a method on a task."""
    spread = "" if cell.spread is None else f" ± {number(cell.spread)}"
    failed = f", {len(cell.failed)} failed" if cell.failed else ""
    return f"{number(cell.mean)}{spread} ({cell.n}{failed}{', last' if cell.last else ''})"
