"""``pare-bench inspect``: pictures of single samples, and what the splits of a task hold."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pare_bench.cli import completion, output
from pare_bench.cli.inspected import print_drawn, print_splits
from pare_bench.cli.listing import FormatOption, ListFormat
from pare_bench.cli.options import OutOption, checked_preset, checked_tier
from pare_bench.errors import ExitCode, UsageError, unknown_name

if TYPE_CHECKING:
    from pare_bench.pictures.inspection import Choice
    from pare_bench.pictures.sample import Sample
    from pare_bench.records.record import RunRecord
    from pare_bench.registry.names import Registry

#: Samples in one picture.
MOST_SAMPLES = 20


class SplitName(StrEnum):
    """The splits of a task."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class TrackName(StrEnum):
    """The tracks."""

    CLEAN = "clean"
    PAPER = "paper"


def inspect_command(
    what: Annotated[
        str | None, typer.Argument(metavar="[TASK|RUN]", help="A task, or a run: id, first digits, or path.", autocompletion=completion.tasks)
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", "-s", help="One picture for each task of this suite.", autocompletion=completion.names("suite"))
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", "-m", help="The newest run of this method with kept predictions.", autocompletion=completion.names("method")),
    ] = None,
    index: Annotated[int, typer.Option(help="Which sample of the split, from 0.")] = 0,
    count: Annotated[int, typer.Option(min=1, max=MOST_SAMPLES, help="So many samples from --index on, in one picture.")] = 1,
    split: Annotated[SplitName | None, typer.Option(help="Default: train; of a run always test.")] = None,
    tier: Annotated[
        str | None,
        typer.Option(help="auto, generated, bundled or official data; auto: official where the files are.", autocompletion=completion.tiers_or_auto),
    ] = None,
    track: Annotated[TrackName | None, typer.Option(help="clean or paper: as the released code reads and splits.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Whose size and parameters of generated data: cpu (default), smoke or paper.", autocompletion=completion.presets),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="PATH=VALUE", help="A parameter of the task (-o points=64), or data_seed.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="The .png or .svg file, with --suite a folder; default: inspect-NAME.png here.")] = None,
    out: OutOption = Path("leaderboard"),
    summary: Annotated[bool, typer.Option("--summary", help="Draw nothing: shapes, ranges and class counts of the splits as a table.")] = False,
    format: FormatOption = None,  # noqa: A002
) -> int:
    """Draw samples: input and target, of a run also its prediction and error. The picture says which tier of data it shows."""
    from pare_bench.pictures.inspection import Choice
    from pare_bench.registry.names import Registry

    checked_tier(tier, "auto")
    checked_preset(preset)
    registry, indices = Registry.from_environment(), range(index, index + count)
    if (what is None) == (suite is None):
        raise UsageError("inspect takes a task, a run or --suite, one of them", hint="pare-bench inspect ecg, or pare-bench inspect --suite pdebench")
    tasks = registry.spec("suite", suite).tasks if suite is not None else (what or "",)
    choice = Choice(tier or "auto", "paper" if track is TrackName.PAPER else "clean", preset or "cpu", tuple(option or ()))
    if what is not None and what not in registry.names("task"):
        asked = {"--method": method, "--tier": tier, "--track": track, "--preset": preset, "-o": option, "--summary": summary or None}
        refused = [name for name, value in asked.items() if value is not None]
        path = _record_path(registry, what, out)
        if refused:
            raise UsageError(f"'{what}' is a run: its data are what its record says, without {', '.join(refused)}", hint=f"pare-bench inspect {what}")
        return _draw_runs(registry, [path], indices, split, [to or Path(f"inspect-{path.stem}.png")], format)
    if method is not None:
        wanted = None if tier is None or tier == "auto" else tier, None if track is None else str(track), preset
        paths = [_newest(registry, out, task, method, wanted) for task in tasks]
        return _draw_runs(registry, paths, indices, split, _places(to, tasks, suite), format)
    if summary:
        _summarise(registry, tasks, choice, format)
        return ExitCode.OK
    return _draw_tasks(registry, tasks, choice, indices, split, _places(to, tasks, suite), format)


def _record_path(registry: Registry, what: str, out: Path) -> Path:
    from pare_bench.records.store import Store

    hexadecimal = len(what) >= 4 and set(what) <= set("0123456789abcdef")
    if not hexadecimal and not Path(what).is_file():
        raise unknown_name("task", what, registry.names("task"), hint="pare-bench list task, or pare-bench status for the ids of runs")
    return Store(out).locate(what)


def _newest(registry: Registry, out: Path, task: str, method: str, wanted: Sequence[str | None]) -> Path:
    """Return the newest record of a method on a task that has predictions; ``wanted`` are tier, track and preset, None where all will do."""
    from pare_bench.errors import DataMissingError
    from pare_bench.records.store import Store, read_record

    registry.entry("method", method)
    found = []
    for path in Store(out).paths(task=task, method=method):
        record = read_record(path)
        division = (record.task.tier, record.track, record.preset)
        kept = record.predictions is not None and record.predictions.kept != "no"
        if record.status == "ok" and kept and all(want in (None, own) for want, own in zip(wanted, division, strict=True)):
            found.append((record.finished, record.run_id, path))
    if not found:
        options = "".join(f" --{name} {want}" for name, want in zip(("tier", "track", "preset"), wanted, strict=True) if want is not None)
        suite = next((name for name in registry.names("suite") if task in registry.spec("suite", name).tasks), "SUITE")
        command = f"pare-bench run --method {method} --suite {suite} --task {task}{options} --out {out}"
        raise DataMissingError(f"there is no run of '{method}' on task '{task}' with kept predictions in '{out}'", hint=command)
    return max(found)[2]


def _places(to: Path | None, tasks: Sequence[str], suite: str | None) -> list[Path]:
    if suite is None:
        return [to or Path(f"inspect-{tasks[0]}.png")]
    return [(to or Path(f"inspect-{suite}")) / f"{task}.png" for task in tasks]


def _draw_tasks(
    registry: Registry,
    tasks: Sequence[str],
    choice: Choice,
    indices: range,
    split: SplitName | None,
    places: Sequence[Path],
    chosen: ListFormat | None,
) -> int:
    from pare_bench.errors import DataMissingError
    from pare_bench.pictures.inspection import chosen_data, samples_of_task

    _check(places)
    drawn, missing = [], None
    for task, place in zip(tasks, places, strict=True):
        _tell(task, tasks)
        try:
            data = chosen_data(registry, task, choice)
            samples = samples_of_task(data, (split or SplitName.TRAIN).value, indices)
        except DataMissingError as error:
            # Of a suite the tasks whose files are not there do not keep the others away.
            if len(tasks) == 1:
                raise
            output.note(f"{task}: {error}")
            missing = error
            continue
        drawn.append((_save(samples, place), samples))
    if missing is not None and not drawn:
        raise missing
    print_drawn(drawn, chosen)
    return int(missing.exit_code) if missing is not None else int(ExitCode.OK)


def _draw_runs(
    registry: Registry, paths: Sequence[Path], indices: range, split: SplitName | None, places: Sequence[Path], chosen: ListFormat | None
) -> int:
    from pare_bench.pictures.inspection import samples_of_run
    from pare_bench.records.predictions import PredictionsFolder
    from pare_bench.records.store import Store, read_record, store_of

    if split not in (None, SplitName.TEST):
        raise UsageError(f"a run has predictions of the test split alone, not of --split {split}", hint="--split test, or leave it out")
    _check(places)
    drawn = []
    for path, place in zip(paths, places, strict=True):
        record: RunRecord = read_record(path)
        folder = PredictionsFolder((store_of(path) or Store(path.parent)).root / "predictions")
        samples = samples_of_run(registry, record, folder, indices)
        drawn.append((_save(samples, place), samples))
    print_drawn(drawn, chosen)
    return int(ExitCode.OK)


def _tell(task: str, tasks: Sequence[str]) -> None:
    """Say which task of several is next: where its data are not in the cache, making them takes minutes."""
    if len(tasks) > 1:
        output.note(f"[{tasks.index(task) + 1}/{len(tasks)}] {task}: making or reading its data")


def _check(places: Sequence[Path]) -> None:
    """Fail before any data are made when nothing could be drawn."""
    from pare_bench.pictures.figures import check_installed, check_suffix

    check_installed()
    for place in places:
        check_suffix(place)


def _save(samples: Sequence[Sample], place: Path) -> Path:
    from pare_bench.pictures.figures import content_of, figure_of
    from pare_bench.records.store import write_atomically

    write_atomically(place, content_of(figure_of(samples), place.suffix))
    output.note(f"drawn: {place}")
    return place


def _summarise(registry: Registry, tasks: Sequence[str], choice: Choice, chosen: ListFormat | None) -> None:
    from pare_bench.pictures.inspection import chosen_data, splits_of
    from pare_bench.pictures.split_summary import summary

    described = []
    for task in tasks:
        _tell(task, tasks)
        data = chosen_data(registry, task, choice)
        described += [(task, data.tier, each) for each in summary(splits_of(data))]
    print_splits(described, chosen)
