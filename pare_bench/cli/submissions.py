"""``pare-bench leaderboard export|bundle|verify|add``: records for others, and from others."""

from __future__ import annotations

import secrets
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pare_bench.cli import output
from pare_bench.cli.board import all_records
from pare_bench.cli.options import OutOption, TextFormat, TextOption
from pare_bench.errors import DataMissingError, ExitCode, UsageError

if TYPE_CHECKING:
    from pare_bench.leaderboard.submission import Bundle
    from pare_bench.runs.verification import Rerun


class ExportFormat(StrEnum):
    """What the records can be written as."""

    CSV = "csv"
    PARQUET = "parquet"
    HF = "hf"
    EEE = "eee"


class VerifyFormat(StrEnum):
    """Formats of what verify found."""

    TEXT = "text"
    JSON = "json"


def export_command(
    kind: Annotated[
        ExportFormat,
        typer.Argument(
            metavar="FORMAT", help="csv, parquet: a row for each run; hf: Hugging Face eval results; eee: Every Eval Ever.", show_default=False
        ),
    ],
    *,
    out: OutOption = Path("leaderboard"),
    to: Annotated[
        Path | None, typer.Option("--to", help="File (csv, parquet) or folder (hf, eee); default: below OUT/exports. csv: - is stdout.")
    ] = None,
    dataset: Annotated[str, typer.Option(help="hf: id of the benchmark's dataset on the Hub.")] = "pare-bench/{suite}",
    organisation: Annotated[str, typer.Option(help="eee: who made the runs.")] = "unknown",
    format: TextOption = TextFormat.TEXT,  # noqa: A002
) -> int:
    """Write the records in the formats of others. The same records give the same files."""
    from pare_bench.exports import every_eval_ever, hub, table
    from pare_bench.records.store import write_atomically

    on_stdout = to == Path("-") and kind is ExportFormat.CSV
    if on_stdout and format is TextFormat.JSON:
        raise UsageError("--to - writes CSV to stdout, where --format json wants one document", hint="--to FILE, or leave --format out")
    records, left_off = all_records(out)
    if not records:
        raise DataMissingError(f"there are no records in '{out}'", hint=f"pare-bench run --method pare --out {out}")
    if kind in (ExportFormat.CSV, ExportFormat.PARQUET):
        content = table.as_csv(records).encode() if kind is ExportFormat.CSV else table.as_parquet(records)
        if on_stdout:
            output.write(content.decode())
            return ExitCode.INTEGRITY if left_off else ExitCode.OK
        written = {to or out / "exports" / f"runs.{kind}": content}
    else:
        folder = to or out / "exports" / str(kind)
        files = hub.files(records, dataset) if kind is ExportFormat.HF else every_eval_ever.files(records, organisation)
        written = {folder / name: text.encode() for name, text in files.items()}
    for path, content in written.items():
        write_atomically(path, content)
        if format is TextFormat.TEXT:
            output.write(str(path))
    if format is TextFormat.JSON:
        output.write_json({"records": len(records), "left_off": len(left_off), "files": list(map(str, written))})
    return ExitCode.INTEGRITY if left_off else ExitCode.OK


def bundle_command(
    file: Annotated[Path, typer.Argument(help="The file to write, for example submission.zip.")],
    out: OutOption = Path("leaderboard"),
    predictions: Annotated[
        bool, typer.Option("--predictions/--no-predictions", help="Take the stored predictions along, not only their digests.")
    ] = False,
    format: TextOption = TextFormat.TEXT,  # noqa: A002
) -> None:
    """Pack all records into one file with the SHA-256 of each. The same records give the same bytes."""
    from pare_bench.leaderboard.submission import write_bundle

    bundle = write_bundle(out, file, predictions=predictions)
    if format is TextFormat.JSON:
        output.write_json({"path": str(file), "sha256": bundle.sha256, "records": len(bundle.records), "files": len(bundle.files)})
    else:
        output.write(f"{bundle.sha256}  {file}")
    output.note(f"{len(bundle.records)} records, {len(bundle.files)} files")


def verify_command(
    file: Annotated[Path, typer.Argument(help="A file that pare-bench leaderboard bundle wrote.")],
    *,
    rerun: Annotated[int, typer.Option("--rerun", min=0, help="Do so many runs again, drawn at random, and compare the predictions.")] = 0,
    seed: Annotated[int | None, typer.Option(min=0, help="Draws the runs; default: a new one, which is said.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Other predictions fail, even where the score is within the noise of the seeds.")] = False,
    format: Annotated[VerifyFormat, typer.Option("--format", help="text: a line for each run done again.")] = VerifyFormat.TEXT,  # noqa: A002
) -> int:
    """Check every byte of a submission (exit code 4 names the file that is wrong) and do some of its runs again (6: a run came out otherwise)."""
    from pare_bench.leaderboard.submission import read_bundle

    bundle = read_bundle(file)
    counts = {status: sum(record.status == status for record in bundle.records) for status in ("ok", "failed", "skipped")}
    output.note(f"'{file}' is intact: {len(bundle.records)} records ({', '.join(f'{number} {status}' for status, number in counts.items())})")
    drawn = secrets.randbelow(2**32) if seed is None else seed
    results = _rerun(bundle, rerun, drawn) if rerun else []
    wrong = [result for result in results if result.verdict == "different" or (exact and not result.same_predictions)]
    if format is VerifyFormat.JSON:
        runs = [
            {"run_id": each.record.run_id, "verdict": each.verdict, "same_predictions": each.same_predictions, "sentence": each.sentence}
            for each in results
        ]
        output.write_json(
            {"sha256": bundle.sha256, "records": len(bundle.records), "counts": counts, "seed": drawn if rerun else None, "rerun": runs}
        )
    else:
        output.write(f"{bundle.sha256}  {file}")
        for each in results:
            output.write(f"{each.record.run_id} ({each.record.config.label()}): {each.sentence}")
    if wrong:
        output.note(f"{len(wrong)} of {len(results)} runs came out otherwise: " + ", ".join(each.record.run_id for each in wrong))
    return ExitCode.GATE_NOT_MET if wrong else ExitCode.OK


def _rerun(bundle: Bundle, count: int, seed: int) -> list[Rerun]:
    from pare_bench.cli.progress import progress_display
    from pare_bench.records.record import RunRecord
    from pare_bench.registry.names import Registry
    from pare_bench.runs.verification import choose
    from pare_bench.runs.verification import rerun as again
    from pare_bench.training.progress import Reporter

    chosen = choose(bundle.records, count, seed)
    output.note(f"doing {len(chosen)} runs again, drawn with --seed {seed}")
    with progress_display(len(chosen)) as display:

        def begin(record: RunRecord) -> Reporter:
            display.begin(record.config)
            return display

        return again(Registry.from_environment(), chosen, bundle.records, begin, command=shlex.join(["pare-bench", *sys.argv[1:]]))


def add_command(
    file: Annotated[Path, typer.Argument(help="A file that pare-bench leaderboard bundle wrote.")],
    out: OutOption = Path("leaderboard"),
    format: TextOption = TextFormat.TEXT,  # noqa: A002
) -> None:
    """Add the records of a submission to a store and rebuild leaderboard.json. Records that are there never change: exit code 4 where one would."""
    from pare_bench.leaderboard.file import LeaderboardFile
    from pare_bench.leaderboard.submission import add_bundle, read_bundle
    from pare_bench.records.store import Store

    bundle = read_bundle(file)
    new = add_bundle(bundle, out)
    board = LeaderboardFile(Store(out), output.note)
    board.update()
    board.finish()
    if format is TextFormat.JSON:
        output.write_json({"out": str(out), "added": list(new), "present": len(bundle.files) - len(new)})
    for name in new if format is TextFormat.TEXT else ():
        output.write(name)
    output.note(f"{len(new)} files are new, {len(bundle.files) - len(new)} were there already")
