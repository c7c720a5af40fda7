"""``pare-bench check``: says whether components keep their contracts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from pare_bench.cli import completion, output
from pare_bench.cli.listing import FormatOption, ListFormat
from pare_bench.errors import DataMissingError, EnvironmentFault, ExitCode, OfflineError, unknown_name

if TYPE_CHECKING:
    from pare_bench.registry.names import Registry

_CLIENT = "huggingface_hub.constants"
_OFFLINE = ("PARE_BENCH_OFFLINE", "HF_HUB_OFFLINE")


def check_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME...]", help="Names, or kind:name where a name has two kinds; all when left out.", autocompletion=completion.any_name
        ),
    ] = None,
    format: FormatOption = None,  # noqa: A002
) -> int:
    """Check components against their contracts; ends with 6 when one does not conform. Without names no hub is asked."""
    from pare_bench.registry.names import Registry

    registry = Registry.from_environment()
    wanted = _wanted(registry, names or [])
    from pare_bench.conformance import check

    rows: list[tuple[str, str, str, list[str]]] = []
    with nullcontext() if names else _no_hub():
        for kind, name in wanted:
            try:
                problems = check(registry, kind, name)
                state = "problems" if problems else "conforms"
            except EnvironmentFault as error:
                if names:
                    raise
                # An executor of a cluster that is not here, for one; the others can be checked.
                problems, state = [str(error)], "cannot be checked here"
            except DataMissingError as error:
                problems, state = [str(error)], "cannot be checked here"
                if isinstance(error, OfflineError) and not names:
                    asked = f"pare-bench check {kind}:{name}"
                    problems, state = [f"needs files of a hub, which is asked only for components that are named: {asked}"], "skipped"
            rows.append((kind, name, state, problems))
            output.note(f"[{len(rows)}/{len(wanted)}] {kind} {name}: {state}")
    _print(rows, format)
    return ExitCode.GATE_NOT_MET if any(state == "problems" for _, _, state, _ in rows) else ExitCode.OK


@contextmanager
def _no_hub() -> Iterator[None]:
    """Let no component ask a hub: whoever checks everything has named no model, and may be without network.

    Our own components and the hub's client each heed a variable; the client reads its own when it is imported.
    """
    before = {name: os.environ.get(name) for name in _OFFLINE}
    was_offline = getattr(sys.modules.get(_CLIENT), "HF_HUB_OFFLINE", before["HF_HUB_OFFLINE"] not in (None, "", "0"))
    os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    try:
        if _CLIENT in sys.modules:
            vars(sys.modules[_CLIENT])["HF_HUB_OFFLINE"] = True
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        if _CLIENT in sys.modules:
            vars(sys.modules[_CLIENT])["HF_HUB_OFFLINE"] = was_offline


def _wanted(registry: Registry, names: list[str]) -> list[tuple[str, str]]:
    """Return (kind, name) of everything that ``names`` mean, in listing order.

    Raises:
        UnknownNameError: a name that nobody registers.
    """
    from pare_bench.conformance import observers

    known = [(kind, name) for kind in registry.kinds() for name in registry.names(kind)]
    known += [("observer", name) for name in observers(registry)]
    for name in names:
        if not any(name in (each, f"{kind}:{each}") for kind, each in known):
            raise unknown_name("component", name, {each for _, each in known}, hint=f"pare-bench list{registry.plugins.broken_hint()}")
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
