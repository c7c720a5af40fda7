"""``pare-bench plugins``: what is installed, and a new one to begin with."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pare_bench.cli import output, plugin_kit
from pare_bench.cli.listing import FormatOption, ListFormat, plugins_command

plugins_app = typer.Typer(
    help="List the plugins that were found, the broken ones with their error; new: write one.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: The kinds, for Typer's choices.
Kind = StrEnum("Kind", [(kind.upper(), kind) for kind in plugin_kit.KINDS])  # type: ignore[misc]


@plugins_app.callback(invoke_without_command=True)
def list_unless_new(context: typer.Context, format: FormatOption = None) -> None:  # noqa: A002
    """List the plugins that were found, the broken ones with their error; new: write one."""
    if context.invoked_subcommand is None:
        plugins_command(format)


@plugins_app.command("new")
def new_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is registered as, for example largest_norm.")],
    kind: Annotated[Kind, typer.Option("--kind", "-k", help="What it adds.")],
    to: Annotated[Path | None, typer.Option(help="Folder to write, which must not exist; default: pare-bench-NAME.")] = None,
    format: FormatOption = None,  # noqa: A002
) -> None:
    """Write a distribution with one working component, its test included, that installs, passes check and runs as it is."""
    from pare_bench.registry.names import Registry

    made = plugin_kit.kit(kind.value, name)
    plugin_kit.check_free(kind.value, name, Registry.from_environment())
    folder = Path(made.distribution) if to is None else to
    plugin_kit.write(made, folder)
    steps = made.steps(str(folder))
    if format is ListFormat.JSON:
        output.write_json({"folder": str(folder), "files": sorted(made.texts), "next": list(steps)})
        return
    output.note(f"wrote {len(made.texts)} files to '{folder}'; next:")
    for step in steps:
        output.write(step)
