"""``pare-bench compare``: a table of two or more methods from their records."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pare_bench.cli import output


class CompareFormat(StrEnum):
    """Formats of a comparison."""

    TABLE = "table"
    JSON = "json"
    MD = "md"
    CSV = "csv"


def compare_command(
    methods: Annotated[list[str], typer.Argument(metavar="METHOD METHOD...", help="Two or more methods, or labels of variants in quotes.")],
    *,
    suite: Annotated[str, typer.Option("--suite", "-s", help="Suite: pare-bench list suite.")] = "nas360",
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="Only these tasks (repeatable).")] = None,
    preset: Annotated[str | None, typer.Option(help="Default: the one that all methods were run with.")] = None,
    tier: Annotated[str | None, typer.Option(help="Default: the one that all methods were run on.")] = None,
    track: Annotated[str, typer.Option(help="Track of the runs.")] = "clean",
    out: Annotated[Path, typer.Option(help="Folder of the records.")] = Path("leaderboard"),
    format: Annotated[CompareFormat | None, typer.Option("--format", help="Default: table on a terminal, md elsewhere.")] = None,  # noqa: A002
) -> None:
    """Compare methods task by task, and say what so many tasks and seeds can show."""
    from pare_bench.comparison import compare
    from pare_bench.registry import Registry
    from pare_bench.store import Store
    from pare_bench.tables import as_csv, as_json, as_markdown, as_table

    registry = Registry.from_environment()
    comparison = compare(
        Store(out).records(),
        methods,
        suite,
        tier=tier,
        track=track,
        preset=preset,
        tasks=tuple(task or ()),
        suite_tasks=registry.spec("suite", suite).tasks,
        known_methods=registry.names("method"),
        out=str(out),
    )
    if format is CompareFormat.JSON:
        output.write_json(as_json(comparison))
    elif format is CompareFormat.CSV:
        output.write(as_csv(comparison))
        output.note(comparison.sentence)
    elif format is CompareFormat.MD or (format is None and not output.stdout_is_terminal()):
        output.write(as_markdown(comparison))
    else:
        output.render(as_table(comparison))
