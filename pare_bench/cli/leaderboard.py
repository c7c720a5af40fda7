"""``pare-bench leaderboard``: what is made from records, and whether they are records."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pare_bench.cli import board, output, submissions
from pare_bench.errors import ExitCode

if TYPE_CHECKING:
    from pare_bench.records.validation import Problem

leaderboard_app = typer.Typer(
    help="Records and what is made from them.", no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
)


class ValidateFormat(StrEnum):
    """Formats of what is wrong with records."""

    TABLE = "table"
    RICH = "rich"
    JSON = "json"
    MD = "md"
    GITHUB = "github"


class SchemaFormat(StrEnum):
    """The format of the schema."""

    JSON = "json"


@leaderboard_app.command("validate")
def validate_command(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="Record files, folders or stores; default: leaderboard.")] = None,
    format: Annotated[  # noqa: A002
        ValidateFormat | None,
        typer.Option("--format", help="Default: table on a terminal, md elsewhere; rich: a table; github: annotations."),
    ] = None,
    scores: board.ScoresOption = board.Scores.HERE,
) -> int:
    """Check records: schema, seal, place, whether their parts fit together, and their scores. Exit code 4 when something is wrong."""
    from pare_bench.leaderboard.evidence import Evidence
    from pare_bench.records.validation import validate
    from pare_bench.registry.names import Registry

    evidence = None if scores is board.Scores.NONE else Evidence(Registry.from_environment(), board.DEPTHS[scores])
    result = validate(paths or [Path("leaderboard")], None if evidence is None else evidence.problem)
    if format is ValidateFormat.JSON:
        problems = [
            {"path": str(problem.path), "field": problem.field, "line": problem.line, "message": problem.message} for problem in result.problems
        ]
        output.write_json({"checked": result.checked, "problems": problems})
    elif format is ValidateFormat.GITHUB:
        for problem in result.problems:
            output.write(annotation(problem))
    elif result.problems:
        columns = ("file", "line", "field", "problem")
        rows = [(str(problem.path), str(problem.line), problem.field, problem.message) for problem in result.problems]
        output.table(columns, rows, drawn=None if format is None else format is not ValidateFormat.MD)
    if evidence is not None and evidence.checked + len(evidence.unchecked):
        output.note(evidence.sentence())
    files = "1 record" if result.checked == 1 else f"{result.checked} records"
    wrong = len({problem.path for problem in result.problems})
    output.note(f"{files} checked, " + (f"{wrong} with something wrong" if wrong else "all valid"))
    return ExitCode.INTEGRITY if result.problems else ExitCode.OK


def annotation(problem: Problem) -> str:
    """Return a problem as a GitHub workflow command."""
    properties = {"file": str(problem.path), "line": str(problem.line), "title": f"record: {problem.field or 'whole file'}"}
    shown = ",".join(f"{name}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}" for name, value in properties.items())
    return f"::error {shown}::{_escaped(problem.message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


@leaderboard_app.command("schema")
def schema_command(
    format: Annotated[SchemaFormat, typer.Option("--format", help="A JSON Schema is JSON.")] = SchemaFormat.JSON,  # noqa: A002, ARG001
) -> None:
    """Print the JSON Schema (draft 2020-12) of records."""
    from pare_bench.records.schema import as_text, record_schema

    output.write(as_text(record_schema()))


leaderboard_app.command("build")(board.build_command)
leaderboard_app.command("show")(board.show_command)
leaderboard_app.command("site")(board.site_command)
leaderboard_app.command("export")(submissions.export_command)
leaderboard_app.command("bundle")(submissions.bundle_command)
leaderboard_app.command("verify")(submissions.verify_command)
leaderboard_app.command("add")(submissions.add_command)
