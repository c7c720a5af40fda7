"""``pare-bench power``: what more seeds would see of two methods, before they are trained."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pare_bench.cli import completion, output
from pare_bench.cli.options import OutOption, SuiteOption, TasksOption, TrackOption, checked_preset, checked_tier, checked_track, chosen_tasks
from pare_bench.errors import ExitCode, UsageError


class PowerFormat(StrEnum):
    """Formats of what designs would see."""

    TABLE = "table"
    JSON = "json"
    MD = "md"


def power_command(
    methods: Annotated[
        list[str],
        typer.Argument(
            metavar="METHOD METHOD", help="Two methods with records, or labels of variants in quotes.", autocompletion=completion.names("method")
        ),
    ],
    *,
    suite: SuiteOption = "nas360",
    task: TasksOption = None,
    preset: Annotated[str | None, typer.Option(help="Default: the one that both methods were run with.", autocompletion=completion.presets)] = None,
    tier: Annotated[str | None, typer.Option(help="Default: the one that both methods were run on.", autocompletion=completion.tiers)] = None,
    track: TrackOption = "clean",
    seeds: Annotated[str, typer.Option(metavar="N,N...", help="Numbers of seeds to tell of, two or more each.")] = "3,5,8,16",
    out: OutOption = Path("leaderboard"),
    format: Annotated[PowerFormat | None, typer.Option("--format", help="Default: table on a terminal, md elsewhere.")] = None,  # noqa: A002
) -> int:
    """Say which differences of two methods so many seeds would see, by the variances of the records."""
    from pare_bench.cli.compare import records_of
    from pare_bench.comparison.contrasts import ROPE
    from pare_bench.comparison.power import as_document, designs, power_parts
    from pare_bench.comparison.screen import drawn
    from pare_bench.comparison.stored import compare_stored
    from pare_bench.comparison.tables import markdown
    from pare_bench.records.store import Store
    from pare_bench.registry.names import Registry

    counts = _counts(seeds)
    if len(methods) != 2:
        raise UsageError(f"power takes two methods, got '{' '.join(methods)}'", hint="pare-bench power pare orca")
    registry = Registry.from_environment()
    comparison = compare_stored(
        registry,
        records_of(Store(out), suite, methods),
        methods,
        suite,
        out,
        output.note,
        tasks=chosen_tasks(task, suite, registry.spec("suite", suite).tasks),
        preset=checked_preset(preset),
        tier=checked_tier(tier),
        track=str(checked_track(track)),
        rope=ROPE,
    )
    found = designs(comparison.pairs[0], counts)
    if format is PowerFormat.JSON:
        output.write_json(as_document(comparison, found))
    elif format is PowerFormat.MD or (format is None and not output.stdout_is_terminal()):
        output.write(markdown(power_parts(comparison, found)))
    else:
        output.render(drawn(power_parts(comparison, found)))
    return ExitCode.OK


def _counts(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 2 <= int(part) <= 1000 for part in parts):
        raise UsageError(f"--seeds '{text}' is not a list of numbers of seeds from 2 to 1000", hint="--seeds 3,5,8,16")
    return sorted({int(part) for part in parts})
