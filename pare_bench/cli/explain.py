"""``pare-bench explain``: what makes a stored run the run it is, and what the same command would do now."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pare_bench.cli import output
from pare_bench.cli.options import OutOption

if TYPE_CHECKING:
    from pare_bench.provenance.explanation import Explanation


class ExplainFormat(StrEnum):
    """Formats of an explanation."""

    TABLE = "table"
    JSON = "json"
    MD = "md"


def explain_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its first digits, or the path of a record.")],
    out: OutOption = Path("leaderboard"),
    format: Annotated[ExplainFormat | None, typer.Option("--format", help="Default: table on a terminal, md elsewhere.")] = None,  # noqa: A002
) -> None:
    """Show each part of a run's identity, why it was carried out, and whether the same command would be served now."""
    from pare_bench.provenance.explanation import explain
    from pare_bench.records.store import Store, read_record, store_of
    from pare_bench.registry.names import Registry

    path = Store(out).locate(run)
    record = read_record(path)
    others = (store_of(path) or Store(out)).of_method(record.suite, record.task.name, record.method.name)
    explanation = explain(Registry.from_environment(), record, others)
    if format is ExplainFormat.JSON:
        output.write_json(_document(explanation, path))
        return
    drawn = None if format is None else format is ExplainFormat.TABLE
    output.table(("part", "recorded", "now"), _rows(explanation), drawn=drawn)
    output.write("")
    for line in _sentences(explanation):
        output.write(line)


def _rows(explanation: Explanation) -> list[tuple[str, str, str]]:
    record, identity = explanation.record, explanation.record.identity
    changed = explanation.changed
    config = record.config
    split = f"track {config.track}, data seed {config.data_seed}, " + ", ".join(f"{count} {name}" for name, count in record.task.sizes.items())

    def state(part: str) -> str:
        if changed is None:
            return "unknown"
        names = [f"{each.name} ({each.stored} -> {each.now})".strip() for each in changed if each.part == part]
        return "changed: " + ", ".join(names) if names else "same"

    architecture = identity.architecture if identity else None
    libraries = ", ".join(f"{name} {version}" for name, version in identity.libraries.items()) if identity else "not kept"
    later = "compared when it runs"
    return [
        ("config", f"{(identity.config if identity else config.digest())[:12]}: {config.label()}, preset {config.preset}", later),
        ("code", f"{record.code_sha256[:12]}: {len(identity.code)} modules" if identity else f"{record.code_sha256[:12]}", state("code")),
        ("data", f"{record.task.data_sha256[:12]}: {record.task.name} version {record.task.version}, {record.task.tier}; {split}", later),
        ("source", f"{record.source.data_sha256[:12]}: {record.source.name}" if record.source else "none", later if record.source else "none"),
        ("weights", record.weights_sha256[:12] if record.weights_sha256 else "none", later if record.weights_sha256 else "none"),
        ("architecture", architecture[:12] if architecture else "none", later if architecture else "none"),
        ("libraries", libraries, state("libraries")),
    ]


def _sentences(explanation: Explanation) -> list[str]:
    from pare_bench.provenance.explanation import sentence

    record = explanation.record
    lines = [f"{record.status}" + (f": {record.reason}" if record.reason else "") + f", {record.finished}: {record.command}"]
    lines.append("why it was carried out: " + (record.cause or "not kept"))
    lines += [f"warning: {each}" for each in record.warnings()]
    lines += [f"scores computed again {each.when}" for each in record.rescored]
    if explanation.neighbour is None:
        lines.append("nearest stored run: none of this method on this task")
    else:
        other, differing = explanation.neighbour
        lines.append(f"nearest stored run: {other.run_id}, which differs in {sentence(differing) or 'nothing that is kept'}")
    return [*lines, explanation.verdict]


def _document(explanation: Explanation, path: Path) -> dict[str, Any]:
    record, neighbour = explanation.record, explanation.neighbour
    return {
        "run_id": record.run_id,
        "path": str(path),
        "status": record.status,
        "reason": record.reason,
        "cause": record.cause,
        "warnings": record.warnings(),
        "identity": record.identity.model_dump(mode="json") if record.identity else None,
        "changed": None if explanation.changed is None else [asdict(each) for each in explanation.changed],
        "unknown": explanation.unknown,
        "nearest": {"run_id": neighbour[0].run_id, "differences": [asdict(each) for each in neighbour[1]]} if neighbour else None,
        "verdict": explanation.verdict,
    }
