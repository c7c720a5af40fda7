"""A comparison on a terminal: tables that fit its width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.parts import parts
from pare_bench.comparison.table_parts import Sentence, Table

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group

#: A heading breaks at underlines where it would be wider than its column, but not below this width: `darcy_flow` stays whole.
_HEADING = 10


def as_table(comparison: Comparison) -> Group:
    """Return the comparison as rich tables and lines for a terminal: the answer first."""
    return drawn(parts(comparison, compact=True))


def drawn(shown: Iterable[Table | Sentence]) -> Group:
    """Return tables and sentences as rich tables and lines for a terminal."""
    from rich.console import Group
    from rich.text import Text

    lines: list[Any] = []
    for part in shown:
        if isinstance(part, Table):
            lines += [Fitted(part), Text(part.legend, style="dim")]
        elif part.kind == "note":
            lines.append(Text(f"note: {part.text}"))
        else:
            lines.append(Text(part.text, style="bold" if part.kind == "answer" else ""))
    return Group(*lines)


class Fitted:
    """Draws a table that leaves out columns and goes on below where the console is too narrow for it."""

    def __init__(self, part: Table) -> None:
        self._part = part

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        from rich.text import Text

        if self._part.title:
            yield Text(self._part.title, style="italic")
        for columns in blocks(self._part, options.max_width):
            yield _drawn(self._part, columns)


def blocks(part: Table, width: int) -> list[list[int]]:
    """Return which columns stand together in tables that are at most ``width`` wide, the first column in each."""
    widths = [max(_heading_width(part, place), *(len(row[place]) for row in part.rows), 1) for place in range(len(part.columns))]
    kept = list(range(len(part.columns)))
    for name in reversed(part.less):
        if _needed(widths, kept) > width:
            kept.remove(part.columns.index(name))
    made: list[list[int]] = [[kept[0]]]
    for place in kept[1:]:
        if len(made[-1]) > 1 and _needed(widths, [*made[-1], place]) > width:
            made.append([kept[0]])
        made[-1].append(place)
    return made


def _needed(widths: Sequence[int], places: Sequence[int]) -> int:
    # One blank between columns.
    return sum(widths[place] for place in places) + len(places) - 1


def _heading_width(part: Table, place: int) -> int:
    return max(map(len, _heading(part.columns[place], max((len(row[place]) for row in part.rows), default=0)).split("\n")))


def _heading(name: str, width: int) -> str:
    """Return a heading in lines that break at underlines and blanks."""
    lines = [""]
    for piece in name.replace("_", "_\0").replace(" ", " \0").split("\0"):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > max(width, _HEADING):
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _drawn(part: Table, places: Sequence[int]) -> Any:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for place in places:
        name, left = part.columns[place], part.columns[place] in part.left
        width = max((len(row[place]) for row in part.rows), default=0)
        # Text, not str: rich would read a label's brackets as markup.
        table.add_column(
            Text(_heading(name, width)), justify="left" if left else "right", overflow="fold", no_wrap=place != places[0], vertical="bottom"
        )
    for number, row in enumerate(part.rows):
        table.add_row(*(Text(row[place], style="bold" if (number, place) in part.bold else "") for place in places))
    return table
