"""``pare-bench compare``: tables of two or more methods from their records."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pare_bench.cli import completion, output
from pare_bench.cli.options import OutOption, SuiteOption, TasksOption, TrackOption, checked_preset, checked_tier, checked_track, chosen_tasks
from pare_bench.errors import ExitCode

if TYPE_CHECKING:
    from pare_bench.comparison.compare import Comparison
    from pare_bench.records.record import RunRecord
    from pare_bench.records.store import Store


class CompareFormat(StrEnum):
    """Formats of a comparison."""

    TABLE = "table"
    JSON = "json"
    MD = "md"
    CSV = "csv"
    LATEX = "latex"


class Stats(StrEnum):
    """How much is said."""

    BASIC = "basic"
    ALL = "all"


class Missing(StrEnum):
    """Policies for methods without a score on a task."""

    ERROR = "error"
    DROP_TASK = "drop-task"
    WORST_RANK = "worst-rank"


def compare_command(
    methods: Annotated[
        list[str],
        typer.Argument(
            metavar="METHOD METHOD...", help="Two or more methods, or labels of variants in quotes.", autocompletion=completion.names("method")
        ),
    ],
    *,
    suite: SuiteOption = "nas360",
    task: TasksOption = None,
    preset: Annotated[str | None, typer.Option(help="Default: the one that all methods were run with.", autocompletion=completion.presets)] = None,
    tier: Annotated[str | None, typer.Option(help="Default: the one that all methods were run on.", autocompletion=completion.tiers)] = None,
    track: TrackOption = "clean",
    out: OutOption = Path("leaderboard"),
    stats: Annotated[Stats, typer.Option(help="all: Friedman, tie groups, Bayesian test, gains, profiles.")] = Stats.BASIC,
    reference: Annotated[str | None, typer.Option(help="Also test each method against this one, corrected for those pairs alone.")] = None,
    missing: Annotated[Missing, typer.Option(help="What to do where a method has no score on a task.")] = Missing.ERROR,
    rope: Annotated[float, typer.Option(help="Practically equal: within this share of the way from floor to perfect score.")] = 0.01,
    published: Annotated[bool, typer.Option("--published/--no-published", help="Show printed numbers of the field beside ours.")] = False,
    test_sampling: Annotated[
        bool | None,
        typer.Option(
            "--test-sampling/--no-test-sampling",
            help="Intervals of tasks with the choice of test examples, from stored predictions; or without. Default: by what records keep.",
        ),
    ] = None,
    fail_if: Annotated[str | None, typer.Option(metavar="CONDITION", help="Exit code 6 when 'worse(p=0.05, effect=0.01)' holds.")] = None,
    format: Annotated[CompareFormat | None, typer.Option("--format", help="Default: table on a terminal, md elsewhere.")] = None,  # noqa: A002
) -> int:
    """Compare methods task by task, and say what so many tasks and seeds can show."""
    from pare_bench.comparison.gate import parse_condition, passed_sentence, violations
    from pare_bench.comparison.stored import compare_stored
    from pare_bench.records.store import Store
    from pare_bench.registry.names import Registry

    condition = parse_condition(fail_if) if fail_if is not None else None
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
        stats=stats.value,
        reference=reference,
        missing=missing.value,
        rope=rope,
        published=published,
        test_sampling=test_sampling,
    )
    failures = violations(condition, comparison) if condition is not None else []
    _show(comparison, format)
    for failure in failures:
        output.error(f"gate not met: {failure}", None)
    if condition is not None and not failures:
        output.note(passed_sentence(comparison))
    return ExitCode.GATE_NOT_MET if failures else ExitCode.OK


def records_of(store: Store, suite: str, methods: Sequence[str]) -> list[RunRecord]:
    """Return the records of these methods on this suite: the others need not be read.

    Raises:
        IntegrityError: one of them does not count, by itself or by what ``leaderboard build`` has found.
    """
    from pare_bench.comparison import stored

    records = stored.records_of(store, suite, methods)
    # They stay until the end. The collector would go through the millions of objects of 100,000 records again and again: a fifth of the time.
    gc.freeze()
    return records


def _show(comparison: Comparison, chosen: CompareFormat | None) -> None:
    from pare_bench.comparison.tables import as_csv, as_json, as_latex, as_markdown, as_table

    if chosen is CompareFormat.JSON:
        output.write_json(as_json(comparison))
    elif chosen is CompareFormat.CSV:
        output.write(as_csv(comparison))
        output.note(comparison.sentence)
        if comparison.overall is not None or comparison.reference is not None or comparison.printed is not None:
            output.note("csv has the scores alone; statistics, pairs and printed numbers are in --format json")
    elif chosen is CompareFormat.LATEX:
        output.write(as_latex(comparison))
    elif chosen is CompareFormat.MD or (chosen is None and not output.stdout_is_terminal()):
        output.write(as_markdown(comparison))
    else:
        output.render(as_table(comparison))
