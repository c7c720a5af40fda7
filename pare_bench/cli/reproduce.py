"""``pare-bench reproduce``: one run again, from its record alone."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pare_bench.cli import output
from pare_bench.cli.device import checked_device
from pare_bench.cli.options import OutOption
from pare_bench.errors import ExitCode

if TYPE_CHECKING:
    from pare_bench.runs.reproduction import Reproduction


class ReproduceFormat(StrEnum):
    """Formats of the verdict."""

    TEXT = "text"
    JSON = "json"


def reproduce_command(
    run: Annotated[str, typer.Argument(metavar="RECORD", help="Path of a record, a run id, or its first digits.")],
    out: OutOption = Path("leaderboard"),
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or mps (untested); default: as recorded.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="Share of the recorded score that counts as noise; default: twice the spread over the stored seeds.")
    ] = None,
    format: Annotated[ReproduceFormat, typer.Option("--format", help="text: one sentence.")] = ReproduceFormat.TEXT,  # noqa: A002
) -> int:
    """Do a run again as its record says, save nothing, and say: identical, within noise (exit code 0), or different (exit code 6)."""
    from pare_bench.cli.progress import progress_display
    from pare_bench.records.store import Store, read_record, store_of
    from pare_bench.registry.names import Registry
    from pare_bench.runs.reproduction import reproduce

    if device is not None:
        checked_device(device)
    path = Store(out).locate(run)
    record = read_record(path)
    others = (store_of(path) or Store(out)).of_method(record.suite, record.task.name, record.method.name)
    with progress_display(1) as display:
        display.begin(record.config)
        command = shlex.join(["pare-bench", *sys.argv[1:]])
        result = reproduce(Registry.from_environment(), record, others, display, command=command, device=device, tolerance=tolerance)
    if format is ReproduceFormat.JSON:
        output.write_json(_document(result, path))
    else:
        output.write(f"{record.run_id} ({record.config.label()}): {result.sentence}")
    return ExitCode.GATE_NOT_MET if result.outcome == "different" else ExitCode.OK


def _document(result: Reproduction, path: Path) -> dict[str, Any]:
    return {
        "run_id": result.record.run_id,
        "path": str(path),
        "outcome": result.outcome,
        "sentence": result.sentence,
        "changed": [asdict(each) for each in result.changed],
        "noise": asdict(result.noise) if result.noise else None,
        "recorded": [metric.model_dump(mode="json") for metric in result.record.metrics],
        "again": result.again.model_dump(mode="json", by_alias=True) if result.again else None,
    }
