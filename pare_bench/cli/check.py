"""``pare-bench check``: says whether components keep their contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pare_bench.cli import output
from pare_bench.cli.listing import FormatOption, ListFormat
from pare_bench.errors import DataMissingError, ExitCode, unknown_name

if TYPE_CHECKING:
    from pare_bench.registry.names import Registry


def check_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Names, or kind:name where a name has two kinds; all when left out.")
    ] = None,
    format: FormatOption = None,  # noqa: A002
) -> int:
    """Check components against their contracts; ends with 6 when one does not conform."""
    from pare_bench.registry.names import Registry

    registry = Registry.from_environment()
    wanted = _wanted(registry, names or [])
    from pare_bench.conformance import check

    rows: list[tuple[str, str, str, list[str]]] = []
    for kind, name in wanted:
        try:
            problems = check(registry, kind, name)
            state = "problems" if problems else "conforms"
        except DataMissingError as error:
            problems, state = [str(error)], "cannot be checked here"
        rows.append((kind, name, state, problems))
        output.note(f"[{len(rows)}/{len(wanted)}] {kind} {name}: {state}")
    _print(rows, format)
    return ExitCode.GATE_NOT_MET if any(state == "problems" for _, _, state, _ in rows) else ExitCode.OK


def _wanted(registry: Registry, names: list[str]) -> list[tuple[str, str]]:
    """Return (kind, name) of everything that ``names`` mean, in listing order.

    Raises:
        UnknownNameError: a name that nobody registers.
    """
    known = [(kind, name) for kind in registry.kinds() for name in registry.names(kind)]
    for name in names:
        if not any(name in (each, f"{kind}:{each}") for kind, each in known):
            raise unknown_name("component", name, {each for _, each in known}, hint="pare-bench list")
    return [(kind, name) for kind, name in known if not names or {name, f"{kind}:{name}"} & set(names)]


def _print(rows: list[tuple[str, str, str, list[str]]], chosen: ListFormat | None) -> None:
    if chosen is ListFormat.JSON:
        output.write_json([{"kind": kind, "name": name, "state": state, "problems": problems} for kind, name, state, problems in rows])
        return
    columns = ("kind", "name", "state", "problem")
    cells = [(kind, name, state, problem) for kind, name, state, problems in rows for problem in problems or [""]]
    if chosen is ListFormat.MD or (chosen is None and not output.stdout_is_terminal()):
        output.write(output.markdown_table(columns, cells))
    else:
        output.render(output.rich_table(columns, cells))
