"""What the tables of a comparison are made of, before they are drawn in some format."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pare_bench.comparison.task_rows import Cell, TaskRow


@dataclass(frozen=True)
class Table:
    """A table; columns named in ``left`` are texts, ``legend`` says how to read it and under which policy it was made.

    ``bold`` are cells (row, column, from 0) that stand out. On a screen that is too narrow the columns of ``less`` are left out, the last one first,
    and what still does not fit goes into further tables with the first column in each.
    """

    title: str | None
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[str, ...]
    legend: str
    bold: frozenset[tuple[int, int]] = field(default_factory=frozenset)
    less: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sentence:
    """A sentence, a note, or the answer to what was asked."""

    text: str
    kind: Literal["main", "note", "answer"] = "main"


def number(value: float | None) -> str:
    """Return a score with four decimals, or three digits where those would hide it."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def short(value: float | None) -> str:
    """Return a score for a narrow column: ``.823``, ``8.26``, ``-.012``, ``1.2e-05``; no more digits than a score over some hundred examples has."""
    if value is None:
        return "-"
    size = abs(value)
    if size and not 5e-4 <= size < 999.5:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    text = f"{value:.3f}" if size < 1 else f"{value:.2f}" if size < 10 else f"{value:.3g}"
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def points(value: float) -> str:
    """Return a share of the way from floor to perfect score in points, hundredths of the way, with a decimal; a digit where that would hide it."""
    shown = 100 * value
    text = f"{shown:.1f}" if shown == 0 or abs(shown) >= 0.095 else f"{shown:.1g}"
    return "0.0" if float(text) == 0 else text


def signed_points(value: float | None) -> str:
    """Return a gain in points with its sign; none where it is 0."""
    if value is None:
        return "-"
    text = points(value)
    return f"+{text}" if float(text) > 0 else text


def points_between(interval: tuple[float, float] | None) -> str:
    """Return an interval of gains in points."""
    return "-" if interval is None else f"{points(interval[0])} to {points(interval[1])}"


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


def p_text(value: float | None) -> str:
    """Return a p value with three digits, ``-`` where there is none."""
    return "-" if value is None else f"{value:.3g}"


def cell_text(cell: Cell) -> str:
    """Return mean, spread and number of seeds of a method on a task."""
    spread = "" if cell.spread is None else f" ± {number(cell.spread)}"
    failed = f", {len(cell.failed)} failed" if cell.failed else ""
    return f"{number(cell.mean)}{spread} ({cell.n}{failed}{', last' if cell.last else ''})"


def short_cell(cell: Cell, seeds: int | None) -> str:
    """Return the same for a narrow column; the number of seeds only where it is not ``seeds``, which all others have."""
    spread = "" if cell.spread is None else f"±{short(cell.spread)}"
    said = [*([] if cell.n == seeds else [str(cell.n)]), *([f"{len(cell.failed)} failed"] if cell.failed else []), *(["last"] if cell.last else [])]
    return f"{short(cell.mean)}{spread}" + (f" ({', '.join(said)})" if said else "")
