"""The only module that prints: data on stdout, everything else on stderr, and no escape sequence where nobody looks.

Of several processes that do one run together only the main one prints; errors are told by whoever has them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from pare_bench.training.launched import is_main_process

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def stdout_is_terminal() -> bool:
    """Return whether a person looks at stdout."""
    return _is_terminal(sys.stdout)


def stderr_is_terminal() -> bool:
    """Return whether a person looks at stderr."""
    return _is_terminal(sys.stderr)


def console(stream: TextIO) -> Console:
    """Return a rich console that honours NO_COLOR and writes no escapes into files, not even where CI variables would force them."""
    from rich.console import Console

    terminal = _is_terminal(stream)
    return Console(
        file=stream, force_terminal=terminal, no_color=True if os.environ.get("NO_COLOR") else None, highlight=False, soft_wrap=not terminal
    )


def write(text: str) -> None:
    """Write plain data to stdout, ending with a newline."""
    if not is_main_process():
        return
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def write_json(document: Any) -> None:
    """Write one JSON document to stdout."""
    write(json.dumps(document, indent=2, sort_keys=True, allow_nan=False))


def render(renderable: RenderableType) -> None:
    """Draw a rich table or text on stdout."""
    if is_main_process():
        console(sys.stdout).print(renderable)


def note(text: str) -> None:
    """Say something on stderr."""
    if is_main_process():
        _say(text)


def error(message: str, hint: str | None) -> None:
    """Say what is wrong in one line, and how to go on in a second one."""
    _say(f"error: {message}")
    if hint:
        _say(f"hint: {hint}")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; bars inside cells are escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None, right: Sequence[str] = ()) -> Table:
    """Return a rich table of plain text cells; columns named in ``right`` are right-aligned."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title and escape(title), box=box.SIMPLE_HEAD, title_justify="left")
    for name in columns:
        table.add_column(escape(name), justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None, right: Sequence[str] = (), drawn: bool | None = None
) -> None:
    """Write a table to stdout: drawn or as Markdown; by default drawn on a terminal, Markdown elsewhere."""
    if stdout_is_terminal() if drawn is None else drawn:
        render(rich_table(columns, rows, title=title, right=right))
    else:
        write(markdown_table(columns, rows))
