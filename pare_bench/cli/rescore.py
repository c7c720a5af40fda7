"""``pare-bench rescore``: metrics as they are now, on the predictions of earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pare_bench.cli import completion, output
from pare_bench.cli.options import OutOption, chosen_names, chosen_tasks
from pare_bench.errors import ExitCode, PareBenchError, UsageError

if TYPE_CHECKING:
    from pare_bench.records.record import RunRecord
    from pare_bench.runs.rescoring import Rescored


class RescoreFormat(StrEnum):
    """Formats of old and new scores."""

    TABLE = "table"
    JSON = "json"
    MD = "md"


def rescore_command(
    runs: Annotated[list[str] | None, typer.Argument(metavar="[RECORD]...", help="Run ids, their first digits, or paths of records.")] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", "-s", help="All runs of this suite that have scores.", autocompletion=completion.names("suite"))
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="With --suite: only these methods: a,b or repeated.", autocompletion=completion.names("method")),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="With --suite: only these tasks: a,b or repeated.", autocompletion=completion.tasks),
    ] = None,
    out: OutOption = Path("leaderboard"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show old and new scores and save nothing.")] = False,
    format: Annotated[RescoreFormat | None, typer.Option("--format", help="Default: table on a terminal, md elsewhere.")] = None,  # noqa: A002
) -> int:
    """Compute scores again from stored predictions, without training; the record keeps the old scores and the code that had computed them."""
    from pare_bench.leaderboard.file import LeaderboardFile
    from pare_bench.records.predictions import PredictionsFolder
    from pare_bench.records.store import Store, read_record, store_of, write_atomically
    from pare_bench.registry.names import Registry
    from pare_bench.runs.rescoring import rescore

    store, registry = Store(out), Registry.from_environment()
    if bool(runs) == bool(suite):
        raise UsageError("rescore takes records or --suite, one of the two", hint="pare-bench rescore --suite nas360")
    methods = chosen_names(method, registry.names("method"), "--method")
    tasks = chosen_tasks(task, suite, registry.spec("suite", suite).tasks) if suite else ()
    paths = [store.locate(run) for run in runs] if runs else sorted(store.records_folder.glob(f"{suite}/*/*/*.json"))
    done: list[tuple[Path, Rescored]] = []
    failures: list[tuple[Path, PareBenchError]] = []
    for path in paths:
        try:
            record = read_record(path)
            if suite and not _is_wanted(record, methods, tasks):
                continue
            home = store_of(path) or store
            result = rescore(registry, record, PredictionsFolder(home.root / "predictions"))
            if result.changed and not dry_run:
                write_atomically(path, result.after.to_json().encode())
            done.append((path, result))
        except PareBenchError as error:
            output.note(f"{path}: {error}")
            failures.append((path, error))
    if not dry_run:
        for root in {(store_of(path) or store).root for path, _ in done}:
            leaderboard = LeaderboardFile(Store(root), output.note)
            # Those of a rescore that was killed before it wrote the leaderboard are newer than it, too.
            for path, _ in done:
                if (store_of(path) or store).root == root:
                    leaderboard.served(path)
            leaderboard.finish()
    _print(done, failures, format)
    changed = sum(result.changed for _, result in done)
    output.note(f"{changed} of {len(done)} runs {'would have' if dry_run else 'have'} other scores or other code behind them")
    return max((int(error.exit_code) for _, error in failures), default=int(ExitCode.OK))


def _is_wanted(record: RunRecord, methods: Sequence[str], tasks: Sequence[str]) -> bool:
    return record.status == "ok" and (not methods or record.method.name in methods) and (not tasks or record.task.name in tasks)


def _print(done: list[tuple[Path, Rescored]], failures: list[tuple[Path, PareBenchError]], chosen: RescoreFormat | None) -> None:
    if chosen is RescoreFormat.JSON:
        output.write_json(
            {
                "runs": [_document(path, result) for path, result in done],
                "failed": [{"path": str(path), "problem": str(error)} for path, error in failures],
            }
        )
        return
    rows = []
    for _, result in done:
        old = {metric.name: metric.value for metric in result.before.metrics}
        new = {metric.name: metric.value for metric in result.after.metrics}
        record = result.after
        for name in dict.fromkeys([*old, *new]):
            change = "gone" if name not in new else "new" if name not in old else "changed" if old[name] != new[name] else "same"
            values = [f"{values[name]:.6f}" if name in values else "-" for values in (old, new)]
            rows.append((record.run_id, record.method.name, record.task.name, str(record.seed), name, *values, change))
    if rows:
        columns = ("run", "method", "task", "seed", "metric", "before", "now", "score")
        output.table(columns, rows, right=("seed", "before", "now"), drawn=None if chosen is None else chosen is RescoreFormat.TABLE)


def _document(path: Path, result: Rescored) -> dict[str, Any]:
    def values(record: RunRecord) -> dict[str, Any]:
        return {"metrics": [metric.model_dump(mode="json") for metric in record.metrics], "floor": record.floor, "scoring": record.scoring}

    before, after = values(result.before), values(result.after)
    return {"run_id": result.after.run_id, "path": str(path), "changed": result.changed, "before": before, "now": after}
