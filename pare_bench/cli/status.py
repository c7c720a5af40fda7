"""``pare-bench status``: what of a suite is there, out of date, failed, running or missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pare_bench.cli import completion, output
from pare_bench.cli.options import (
    OutOption,
    SuiteOption,
    TasksOption,
    checked_preset,
    checked_tier,
    checked_track,
    chosen_names,
    chosen_tasks,
    parse_seeds,
)

if TYPE_CHECKING:
    from pare_bench.runs.inventory import Cell


class StatusFormat(StrEnum):
    """Formats of the overview."""

    TABLE = "table"
    JSON = "json"
    MD = "md"


def status_command(
    suite: SuiteOption = "nas360",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", help="Only these methods: a,b or repeated; also such that have not run.", autocompletion=completion.names("method")
        ),
    ] = None,
    task: TasksOption = None,
    seeds: Annotated[str | None, typer.Option(help="For example 0-4; default: the seeds that a method has.")] = None,
    preset: Annotated[str | None, typer.Option(help="Only runs with this preset.", autocompletion=completion.presets)] = None,
    tier: Annotated[str | None, typer.Option(help="Only runs on this tier.", autocompletion=completion.tiers)] = None,
    track: Annotated[str | None, typer.Option(help="Only runs on this track.", autocompletion=completion.tracks)] = None,
    out: OutOption = Path("leaderboard"),
    format: Annotated[StatusFormat | None, typer.Option("--format", help="Default: table on a terminal, md elsewhere.")] = None,  # noqa: A002
) -> None:
    """Show which runs of a suite are done, out of date (their code or libraries have changed), failed, running, interrupted or missing."""
    from pare_bench.records.glance import Glancer
    from pare_bench.records.store import Store
    from pare_bench.records.variants import method_name
    from pare_bench.registry.names import Registry
    from pare_bench.runs.inventory import STATES, Asked, inventory
    from pare_bench.runs.marks import RunningRuns

    registry = Registry.from_environment()
    store = Store(out)
    methods, tasks = chosen_names(method, registry.names("method"), "--method"), chosen_tasks(task, suite, registry.spec("suite", suite).tasks)
    division = checked_preset(preset), checked_tier(tier), checked_track(track)
    asked = Asked(suite, methods, tasks, parse_seeds(seeds) if seeds else (), *division)
    for name in asked.methods:
        registry.entry("method", method_name(name))
    records = Glancer().of_suite(store, suite, lambda _, message: output.note(f"left out: {message}"))
    cells = inventory(registry, records, RunningRuns(out).all(), asked)
    if format is StatusFormat.JSON:
        output.write_json([{**asdict(cell), "division": cell.division._asdict()} for cell in cells])
        return
    rows = [row for _, group in groupby(cells, key=lambda cell: (cell.division, cell.method)) for row in _rows(list(group))]
    columns = ("preset", "tier", "track", "method", "state", "seeds", "tasks", "detail")
    if rows:
        output.table(columns, rows, drawn=None if format is None else format is StatusFormat.TABLE)
    counts = Counter(cell.state for cell in cells)
    output.note(", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) or f"no runs of suite '{suite}' in '{out}'")


def _rows(cells: list[Cell]) -> list[tuple[str, ...]]:
    """Return a line for each state of a method: tasks of which the same seeds are in that state, with the same detail, share one."""
    from pare_bench.comparison.run_commands import seed_text

    seeds: dict[tuple[str, str, str], list[int]] = {}
    for cell in cells:
        seeds.setdefault((cell.state, cell.task, cell.detail), []).append(cell.seed)
    tasks: dict[tuple[str, str, str], list[str]] = {}
    for (state, task, detail), numbers in seeds.items():
        tasks.setdefault((state, seed_text(numbers), detail), []).append(task)
    place = (*cells[0].division[1:], cells[0].method)
    return [(place[2], place[0], place[1], place[3], state, numbers, " ".join(names), detail) for (state, numbers, detail), names in tasks.items()]
