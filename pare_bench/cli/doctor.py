"""``pare-bench doctor``: what is here, in a form that can be pasted into a report, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pare_bench.cli import output
from pare_bench.cli.listing import FormatOption, ListFormat
from pare_bench.errors import ExitCode
from pare_bench.registry.versions import __version__


def doctor_command(
    out: Annotated[Path, typer.Option(help="Folder of records that is looked at.")] = Path("leaderboard"),
    format: FormatOption = None,  # noqa: A002
) -> int:
    """Tell what is installed and set, and what is wrong with it; ends with 5 when something would keep runs from working. Opens no connection."""
    from pare_bench.cli.doctor_facts import all_facts

    facts = list(all_facts(out))
    problems = [fact for fact in facts if fact.state == "problem"]
    if format is ListFormat.JSON:
        output.write_json({"pare_bench": __version__, "problems": len(problems), "facts": [asdict(fact) for fact in facts]})
    else:
        marks = {"ok": "", "note": "note", "problem": "PROBLEM"}
        rows = [(fact.topic, fact.name, fact.value, marks[fact.state]) for fact in facts]
        output.table(("topic", "what", "value", "state"), rows, drawn=None if format is None else format is ListFormat.TABLE)
        output.write("")
        for fact in facts:
            if fact.state != "ok" and fact.hint:
                output.write(f"{fact.state}: {fact.topic}, {fact.name}: {fact.hint}")
        output.write("no problems" if not problems else f"{len(problems)} problem{'s' if len(problems) > 1 else ''}")
    return ExitCode.ENVIRONMENT if problems else ExitCode.OK
