"""The only module that prints: data on stdout, everything else on stderr, and no escape sequence where nobody looks.

Of several processes that do one run together only the main one prints; errors are told by whoever has them.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TextIO, TypeVar

from pare_bench.errors import EnvironmentFault
from pare_bench.training.launched import is_main_process

Call = ParamSpec("Call")
Result = TypeVar("Result")
#: Width of a terminal that does not say how wide it is.
_COLUMNS = 80

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


class Volume(IntEnum):
    """How much is said on stderr: errors alone, a line per run, a line per stage and epoch."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


_volume = [Volume.NORMAL]


def set_volume(volume: Volume) -> None:
    """Say so much from now on."""
    _volume[0] = volume


def volume() -> Volume:
    """Return how much is said."""
    return _volume[0]


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def stdout_is_terminal() -> bool:
    """Return whether a person looks at stdout."""
    return _is_terminal(_data())


def stderr_is_terminal() -> bool:
    """Return whether a person looks at stderr."""
    return _is_terminal(sys.stderr)


class _Nowhere(io.TextIOWrapper):
    """Takes the place of a stdout that is closed: other libraries flush it, and a file that is opened later must not get its number."""

    def __init__(self) -> None:
        super().__init__(open(os.devnull, "wb"), encoding="utf-8")  # noqa: SIM115, PTH123 - for the rest of the process


def prepare() -> None:
    """Let no character fail that the encoding of a stream lacks, it is written out as an escape; and let there be a stdout and a stderr."""
    set_volume(Volume.NORMAL)
    sys.stdout = sys.stdout or _Nowhere()
    sys.stderr = sys.stderr or _Nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def own_stdout() -> None:
    """Keep the process's stdout for this module: what libraries write to it from C, and what child processes write, goes to stderr.

    LightGBM, for one, prints with ``printf``; a JSON document must not have that in it.
    """
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(sys.stderr, io.TextIOWrapper):
        return
    with suppress(OSError, ValueError):
        stream.flush()
        kept = os.dup(stream.fileno())
        os.dup2(sys.stderr.fileno(), stream.fileno())
        sys.stdout = io.TextIOWrapper(
            open(kept, "wb"),  # noqa: SIM115, PTH123 - for the rest of the process
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
        )


#: The stdout that data go to, while foreign code finds stderr in its place.
_kept: list[TextIO] = []


def data_alone(verb: Callable[Call, Result]) -> Callable[Call, Result]:
    """Return a verb during which stdout takes data alone: what plugins and libraries print goes to stderr."""

    @wraps(verb)
    def call(*args: Call.args, **kwargs: Call.kwargs) -> Result:
        _kept.append(sys.stdout)
        sys.stdout = sys.stderr
        try:
            return verb(*args, **kwargs)
        finally:
            sys.stdout = _kept.pop()

    return call if not hasattr(verb, "__wrapped__") else verb


def _data() -> TextIO:
    return _kept[-1] if _kept else sys.stdout


def _stdout() -> TextIO:
    stream = _data()
    if isinstance(stream, _Nowhere):
        raise EnvironmentFault("stdout is closed", hint="what was computed is kept; run it again with stdout open to see it")
    return stream


def give_up_stdout() -> None:
    """Send the rest nowhere: what is left in the buffer would be tried again, and complained about, when Python ends."""
    if _kept:
        _kept[-1] = _Nowhere()
    else:
        sys.stdout = _Nowhere()


@contextmanager
def _written() -> Iterator[None]:
    """Turn a stdout that takes nothing more into one clear line; a reader that has left is for :func:`pare_bench.cli.main`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        give_up_stdout()
        raise EnvironmentFault(f"stdout cannot be written: {reason}", hint="what was computed is kept; write it elsewhere") from error


def console(stream: TextIO) -> Console:
    """Return a rich console that honours NO_COLOR and writes no escapes into files, not even where CI variables would force them."""
    from rich.console import Console

    terminal = _is_terminal(stream)
    # A terminal that says it has no columns would be sent nothing at all.
    width = None if shutil.get_terminal_size().columns > 0 and os.environ.get("COLUMNS", "1") != "0" else _COLUMNS
    return Console(
        width=width,
        file=stream,
        force_terminal=terminal,
        no_color=True if os.environ.get("NO_COLOR") else None,
        highlight=False,
        soft_wrap=not terminal,
    )


def write(text: str) -> None:
    """Write plain data to stdout, ending with a newline."""
    if not is_main_process():
        return
    stream = _stdout()
    with _written():
        stream.write(text if text.endswith("\n") else text + "\n")
        stream.flush()


def write_json(document: Any) -> None:
    """Write one JSON document to stdout."""
    write(json.dumps(document, indent=2, sort_keys=True, allow_nan=False))


def render(renderable: RenderableType) -> None:
    """Draw a rich table or text on stdout."""
    if is_main_process():
        stream = _stdout()
        with _written():
            console(stream).print(renderable)


def note(text: str) -> None:
    """Say something on stderr, unless only errors are wanted."""
    if is_main_process() and _volume[0] > Volume.QUIET:
        _say(text)


def error(message: str, hint: str | None) -> None:
    """Say what is wrong in one line, and how to go on in a second one."""
    _say(f"error: {message}")
    if hint:
        _say(f"hint: {hint}")


def _say(text: str) -> None:
    # Who has closed it, or has no room for it, does not want to know.
    with suppress(OSError, ValueError):
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
