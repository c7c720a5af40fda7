"""``pare-bench run``: from a command to records."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pare_bench.cli import completion, output
from pare_bench.cli.config_file import ConfigOption, with_options
from pare_bench.cli.device import chosen_device
from pare_bench.cli.execution import execution_of, megabytes_of, seconds_of, split_options
from pare_bench.cli.options import (
    Fresh,
    Predictions,
    SuiteOption,
    checked_preset,
    checked_tier,
    checked_track,
    chosen_names,
    chosen_tasks,
    parse_seeds,
)
from pare_bench.cli.run_results import print_results
from pare_bench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from pare_bench.config.resolution import Planned, Request
    from pare_bench.records.store import Store
    from pare_bench.registry.names import Registry
    from pare_bench.runs.campaign import Execution
    from pare_bench.runs.single import Manner, Result


class RunFormat(StrEnum):
    """Formats of the closing table."""

    TABLE = "table"
    JSON = "json"
    MD = "md"


def run_command(
    ctx: typer.Context,
    *,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Methods: a,b or repeated; wildcards.", autocompletion=completion.names("method"), show_default=False),
    ] = None,
    suite: SuiteOption = "nas360",
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="Only these tasks of the suite: a,b or repeated; wildcards.", autocompletion=completion.tasks),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(help="auto, cpu, smoke or paper; auto: paper on a GPU with official data, else cpu.", autocompletion=completion.presets_or_auto),
    ] = "auto",
    tier: Annotated[
        str,
        typer.Option(help="auto, generated, bundled or official data; auto: official where the files are.", autocompletion=completion.tiers_or_auto),
    ] = "auto",
    track: Annotated[
        str, typer.Option(help="clean: validation apart, test opened once; paper: as the released code does.", autocompletion=completion.tracks)
    ] = "clean",
    seeds: Annotated[str, typer.Option(help="For example 0, 0-4 or 0,2,5.")] = "0",
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="PATH=VALUE", help="Set any field, for example -o recipe.learning_rate=0.0005.")
    ] = None,
    config: ConfigOption = None,  # noqa: ARG001 - its callback has read the file
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs at a time, each in a process of its own; they share cores and GPUs.")
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(help="How several runs are carried out: pare-bench list executor.", autocompletion=completion.names("executor")),
    ] = None,
    time_limit: Annotated[str | None, typer.Option(help="Longest time of one run, for example 90s, 15m, 2h; beyond it has failed.")] = None,
    memory_limit: Annotated[str | None, typer.Option(help="Most memory of one run, for example 800MB, 4GB; beyond it has failed.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps (untested).")] = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the network (torch.compile); short for -o compile=true.")] = False,
    resume: Annotated[bool, typer.Option("--resume/--no-resume", help="Go on from the checkpoint of an interrupted run.")] = True,
    fresh: Annotated[
        Fresh | None, typer.Option(help="libraries: run again what was made with other versions of libraries, instead of serving it.")
    ] = None,
    only_failed: Annotated[bool, typer.Option("--only-failed", help="Only the runs whose newest record says that they failed.")] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End with the first run that fails; by default it is recorded and the others go on.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for runs that another process is working on, or leave them to it.")] = True,
    predictions: Annotated[
        Predictions, typer.Option(help="Outputs on the test split to keep: none, compact (halved where no metric moves) or full.")
    ] = Predictions.COMPACT,
    out: Annotated[Path, typer.Option(help="Folder of records and leaderboard.json.")] = Path("leaderboard"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be served and run, how long it may take, which files are missing, and stop.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes: errors and the closing table alone.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="A line for each stage and epoch, too.")] = False,
    log: Annotated[Path | None, typer.Option("--log", metavar="FILE", help="Append a line for each epoch to this file.")] = None,
    format: Annotated[RunFormat | None, typer.Option("--format", help="Default: table on a terminal, md elsewhere.")] = None,  # noqa: A002
) -> int:
    """Run methods on a suite; runs that are already in the store are served from it."""
    from pare_bench.config.resolution import config_of
    from pare_bench.records.store import Store
    from pare_bench.registry.names import Registry
    from pare_bench.runs.asked import planned_of
    from pare_bench.runs.single import Manner

    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other", hint="give one of them")
    output.set_volume(output.Volume.QUIET if quiet else output.Volume.VERBOSE if verbose else output.Volume.NORMAL)
    registry = Registry.from_environment()
    options, of_executor = split_options(with_options(ctx, option or ()))
    execution = execution_of(registry, executor, jobs, of_executor)
    limits = seconds_of(time_limit), megabytes_of(memory_limit)
    asked_for = {"method": method, "suite": suite, "task": task, "preset": preset, "tier": tier, "track": track, "seeds": seeds}
    requests = requests_of(registry, {**asked_for, "option": options, "device": device, "compiled": compiled})
    planned = planned_of(registry, requests, output.note, fail_fast=fail_fast)
    store = Store(out)
    if only_failed:
        asked = len(planned)
        planned = [each for each in planned if (newest := store.newest(config_of(each))) is not None and newest.status == "failed"]
        output.note(f"{len(planned)} of {asked} runs have failed" + ("" if planned else "; nothing to do"))
    drawn = None if format is None else format is RunFormat.TABLE
    kept = None if log is None else str(log.resolve())
    manner = Manner(resume, predictions.value, fresh is Fresh.LIBRARIES, fail_fast, wait, *limits, kept)
    if dry_run:
        from pare_bench.cli.planning import print_plan

        print_plan(registry, store, planned, fresh_libraries=fresh is Fresh.LIBRARIES, drawn=drawn, as_json=format is RunFormat.JSON)
        _print_script(registry, planned, store, execution, manner, format)
        return ExitCode.OK
    store.check_writable()

    from pare_bench.cli.progress import progress_display
    from pare_bench.leaderboard.file import LeaderboardFile
    from pare_bench.runs.campaign import run_all
    from pare_bench.runs.epoch_log import check_log
    from pare_bench.runs.interruption import ended_by_signal

    if log is not None:
        check_log(log)
    command = shlex.join(["pare-bench", *sys.argv[1:]])
    with ended_by_signal() as ended, progress_display(len(planned)) as display:
        summary = LeaderboardFile(store, display.note)
        results = run_all(registry, planned, store, display, summary, command=command, execution=execution, manner=manner)
    if display.interrupted:
        output.note(f"interrupted: {len(results)} of {len(planned)} runs are saved in '{out}'; the same command goes on with the rest")
    _print_results(results, out, format)
    if display.interrupted:
        return ExitCode.TERMINATED if ended.by_signal else ExitCode.INTERRUPTED
    return _exit_code(results)


def requests_of(registry: Registry, given: Mapping[str, Any]) -> list[Request]:
    """Return what a command asks for, a request for each method; ``given`` are the parameters of :func:`run_command` by name.

    Raises:
        UsageError: a name, tier, track, preset, seed or device that is none, or no method.
    """
    from pare_bench.runs import asked

    if not given["method"]:
        raise UsageError("missing option '--method' / '-m'", hint="pare-bench run --method pare, or pare-bench list method")
    methods = chosen_names(given["method"], registry.names("method"), "--method")
    suite, tier, preset = given["suite"], str(checked_tier(given["tier"], "auto")), str(checked_preset(given["preset"], "auto"))
    checked_track(given["track"])
    tasks = chosen_tasks(given["task"], suite, registry.spec("suite", suite).tasks)
    seeds, device = parse_seeds(given["seeds"]), chosen_device(given["device"])
    overrides = (*given["option"], *(["compile=true"] if given["compiled"] else []))
    return asked.requests_of(registry, methods, suite, tasks, seeds, preset, tier, given["track"], device, overrides, output.note)


def _exit_code(results: Sequence[Result]) -> ExitCode:
    """Return the code of a command: where nothing else came out, what all runs failed for."""
    codes = {result.exit_code for result in results}
    return codes.pop() if len(codes) == 1 else ExitCode.SOME_RUNS_FAILED if codes else ExitCode.OK


def _print_script(
    registry: Registry, planned: Sequence[Planned], store: Store, execution: Execution, manner: Manner, chosen: RunFormat | None
) -> None:
    """Show what the executor would hand to another system; beside a JSON document, on stderr."""
    from pare_bench.config.resolution import Unresolved
    from pare_bench.runs.campaign import described

    begun = [each for each in planned if not isinstance(each, Unresolved)]
    text = described(registry, begun, store, command=shlex.join(["pare-bench", *sys.argv[1:]]), execution=execution, manner=manner)
    if text:
        (output.note if chosen is RunFormat.JSON else output.write)(text)


def _print_results(results: list[Result], out: Path, chosen: RunFormat | None) -> None:
    if chosen is RunFormat.JSON:
        output.write_json(
            [{"served": result.served, "path": str(result.path), **result.record.model_dump(mode="json", by_alias=True)} for result in results]
        )
        return
    print_results(results, out, drawn=output.stdout_is_terminal() if chosen is None else chosen is RunFormat.TABLE)
