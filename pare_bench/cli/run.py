"""``pare-bench run``: from a command to records."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pare_bench.cli import output
from pare_bench.cli.device import checked_device
from pare_bench.cli.execution import execution_of, megabytes_of, seconds_of, split_options
from pare_bench.cli.run_results import print_results
from pare_bench.errors import ExitCode, IntegrityError, UsageError

if TYPE_CHECKING:
    from pare_bench.config.run_config import RunConfig
    from pare_bench.records.store import Store
    from pare_bench.registry.names import Registry
    from pare_bench.runs.single import Result


#: Seeds of one command; more are a slip of the finger.
_SEEDS = 100_000


class RunFormat(StrEnum):
    """Formats of the closing table."""

    TABLE = "table"
    JSON = "json"
    MD = "md"


class Predictions(StrEnum):
    """How much of the predictions is kept beside the records."""

    NONE = "none"
    COMPACT = "compact"
    FULL = "full"


class Fresh(StrEnum):
    """What is run again although it would be served."""

    LIBRARIES = "libraries"


def run_command(
    method: Annotated[str, typer.Option("--method", "-m", help="Method: pare-bench list method.")],
    suite: Annotated[str, typer.Option("--suite", "-s", help="Suite: pare-bench list suite.")] = "nas360",
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="Only these tasks of the suite (repeatable).")] = None,
    preset: Annotated[str, typer.Option(help="auto, cpu, smoke or paper; auto: paper on a GPU with official data, else cpu.")] = "auto",
    tier: Annotated[str, typer.Option(help="auto, generated, bundled or official data; auto: official where the files are.")] = "auto",
    track: Annotated[str, typer.Option(help="clean: validation apart, test opened once; paper: as the released code does.")] = "clean",
    seeds: Annotated[str, typer.Option(help="For example 0, 0-4 or 0,2,5.")] = "0",
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="PATH=VALUE", help="Set any field, for example -o recipe.learning_rate=0.0005.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs at a time, each in a process of its own; they share cores and GPUs.")
    ] = None,
    executor: Annotated[str | None, typer.Option(help="How several runs are carried out: pare-bench list executor.")] = None,
    time_limit: Annotated[str | None, typer.Option(help="Longest time of one run, for example 90s, 15m, 2h; beyond it has failed.")] = None,
    memory_limit: Annotated[str | None, typer.Option(help="Most memory of one run, for example 800MB, 4GB; beyond it has failed.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the runs and stop.")] = False,
    format: Annotated[RunFormat | None, typer.Option("--format", help="Default: table on a terminal, md elsewhere.")] = None,  # noqa: A002
) -> int:
    """Run a method on a suite; runs that are already in the store are served from it."""
    from pare_bench.config.rates import PATH, rate_notes
    from pare_bench.config.resolution import Planned, Request, Unresolved, config_of, resolve, resolve_each
    from pare_bench.records.store import Store
    from pare_bench.registry.names import Registry
    from pare_bench.runs.plans import Plans

    registry = Registry.from_environment()
    options, of_executor = split_options(option or ())
    execution = execution_of(registry, executor, jobs, of_executor)
    seconds, megabytes = seconds_of(time_limit), megabytes_of(memory_limit)
    wanted = [name for name in registry.spec("suite", suite).tasks if not task or name in task]
    tiers = _tiers(registry, wanted) if tier == "auto" else {}
    device = _device(device)
    request = Request(
        method=method,
        suite=suite,
        tasks=tuple(task or ()),
        preset=_preset(registry, device, wanted, tiers, tier) if preset == "auto" else preset,
        tier="generated" if tier == "auto" else tier,
        tiers=tiers,
        track=track,
        seeds=parse_seeds(seeds),
        device=device,
        overrides=(*options, *(["compile=true"] if compiled else [])),
    )
    plans = Plans()
    planned: Sequence[Planned] = resolve(registry, request, plans.one) if fail_fast else resolve_each(registry, request, plans.one)
    plans.save()
    if not any(text.startswith(f"{PATH}=") for text in request.overrides):
        for line in rate_notes(registry, (each for each in planned if not isinstance(each, Unresolved))):
            output.note(line)
    store = Store(out)
    if only_failed:
        asked = len(planned)
        planned = [each for each in planned if (newest := store.newest(config_of(each))) is not None and newest.status == "failed"]
        output.note(f"{len(planned)} of {asked} runs have failed" + ("" if planned else "; nothing to do"))
    if dry_run:
        for each in planned:
            if isinstance(each, Unresolved):
                output.note(f"{each.config.label()} cannot begin: {each.error}")
        begun = [each for each in planned if not isinstance(each, Unresolved)]
        _print_plan(begun, format)
        _tell_power(store, begun)
        return ExitCode.OK
    store.check_writable()

    from pare_bench.cli.progress import progress_display
    from pare_bench.leaderboard.file import LeaderboardFile
    from pare_bench.runs.campaign import run_all
    from pare_bench.runs.interruption import ended_by_signal
    from pare_bench.runs.single import Manner

    command = shlex.join(["pare-bench", *sys.argv[1:]])
    with ended_by_signal() as ended, progress_display(len(planned)) as display:
        summary = LeaderboardFile(store, display.note)
        manner = Manner(resume, predictions.value, fresh is Fresh.LIBRARIES, fail_fast, wait, seconds, megabytes)
        results = run_all(registry, planned, store, display, summary, command=command, execution=execution, manner=manner)
    if display.interrupted:
        output.note(f"interrupted: {len(results)} of {len(planned)} runs are saved in '{out}'; the same command goes on with the rest")
    _print_results(results, out, format)
    if display.interrupted:
        return ExitCode.TERMINATED if ended.by_signal else ExitCode.INTERRUPTED
    return _exit_code(results)


def _exit_code(results: Sequence[Result]) -> ExitCode:
    """Return the code of a command: where nothing else came out, what all runs failed for."""
    codes = {result.exit_code for result in results}
    return codes.pop() if len(codes) == 1 else ExitCode.SOME_RUNS_FAILED if codes else ExitCode.OK


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of ``0``, ``0-4`` or ``0,2,5-7``, each once, in order.

    Raises:
        UsageError: the text is none of these.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise UsageError(f"--seeds '{text}' is not a list of seeds", hint="write --seeds 0, --seeds 0-4 or --seeds 0,2,5")
        if len(seeds) + int(last or first) - int(first) >= _SEEDS:
            raise UsageError(f"--seeds '{text}' are more than {_SEEDS:,} seeds", hint="--seeds 0-4")
        seeds += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(seeds))


def _tiers(registry: Registry, tasks: Sequence[str]) -> dict[str, str]:
    from pare_bench.runs.asked import auto_tiers

    return auto_tiers(registry, tasks, output.note)


def _preset(registry: Registry, device: str, tasks: Sequence[str], tiers: dict[str, str], tier: str) -> str:
    from pare_bench.runs.asked import auto_preset

    return auto_preset(registry, device, tasks, tiers, tier, output.note)


def _device(name: str) -> str:
    from pare_bench.runs.asked import auto_device

    return auto_device() if name == "auto" else checked_device(name, "auto")


def _tell_power(store: Store, configs: list[RunConfig]) -> None:
    """Say what the planned runs would see, where the store has other methods on the same tasks to take variances from."""
    from pare_bench.comparison.power import expected_sentence
    from pare_bench.records.store import read_record
    from pare_bench.records.variants import Division

    for key in dict.fromkeys(Division(each.suite, each.tier, each.track, each.preset) for each in configs):
        own = [each for each in configs if Division(each.suite, each.tier, each.track, each.preset) == key]
        tasks = list(dict.fromkeys(each.task.name for each in own))
        records = []
        for path in store.paths(escape(key.suite)) if store.records_folder.is_dir() else ():
            with suppress(IntegrityError):
                records.append(read_record(path))
        text = expected_sentence(records, key, tasks, len({each.seed for each in own}))
        if text is not None:
            output.note(text)


def _print_plan(configs: list[RunConfig], chosen: RunFormat | None) -> None:
    if chosen is RunFormat.JSON:
        output.write_json([config.model_dump(mode="json") for config in configs])
        return
    columns = ("task", "method", "seed", "tier", "preset", "train examples", "epochs", "components")
    rows = [
        (
            config.task.name,
            config.method.name,
            str(config.seed),
            config.tier,
            config.preset,
            str(config.size.train) if config.size else "published",
            str(config.budget.epochs),
            " ".join(slot.name for slot in config.slots().values()),
        )
        for config in configs
    ]
    _print_table(columns, rows, chosen, title=f"{len(configs)} runs")


def _print_results(results: list[Result], out: Path, chosen: RunFormat | None) -> None:
    if chosen is RunFormat.JSON:
        output.write_json(
            [{"served": result.served, "path": str(result.path), **result.record.model_dump(mode="json", by_alias=True)} for result in results]
        )
        return
    print_results(results, out, drawn=output.stdout_is_terminal() if chosen is None else chosen is RunFormat.TABLE)


def _print_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], chosen: RunFormat | None, *, title: str | None) -> None:
    if chosen is RunFormat.MD or (chosen is None and not output.stdout_is_terminal()):
        output.write(output.markdown_table(columns, rows))
    else:
        output.render(output.rich_table(columns, rows, title=title, right=("seed", "epochs", "train examples")))
