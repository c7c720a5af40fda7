"""What ``pare-bench inspect`` prints: which samples were drawn where, and what the splits of a task hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pare_bench.cli import output
from pare_bench.cli.listing import ListFormat

if TYPE_CHECKING:
    from pare_bench.pictures.sample import Sample
    from pare_bench.pictures.split_summary import SplitSummary


def print_drawn(drawn: Sequence[tuple[Path, Sequence[Sample]]], chosen: ListFormat | None) -> None:
    """Print a line for each sample (file, samples in it) that was drawn, or all as one document."""
    documents = [{"path": str(path), **_document(sample)} for path, samples in drawn for sample in samples]
    if chosen is ListFormat.JSON:
        output.write_json({"pictures": documents})
        return
    rows = []
    for each in documents:
        scores = ", ".join(f"{name} {value:.4g}" for name, value in each["scores"].items())
        place = (each["task"], each["split"], str(each["index"]), each["tier"], each["track"])
        rows.append((*place, each["method"] or "-", scores or "-", each["path"]))
    columns = ("task", "split", "sample", "tier", "track", "method", "scores of the sample", "picture")
    output.table(columns, rows, right=("sample",), drawn=_drawn(chosen))


def _document(sample: Sample) -> dict[str, Any]:
    prediction = sample.prediction
    return {
        "task": sample.task,
        "split": sample.split,
        "index": sample.index,
        "of": sample.count,
        "tier": sample.tier,
        "track": sample.track,
        "input_shape": list(sample.inputs.shape),
        "target_shape": list(sample.truth.shape),
        "method": prediction.method if prediction else None,
        "run_id": prediction.run_id if prediction else None,
        "scores": dict(prediction.scores) if prediction else {},
    }


def print_splits(described: Sequence[tuple[str, str, SplitSummary]], chosen: ListFormat | None) -> None:
    """Print what the splits of tasks (task, tier, summary) hold."""
    if chosen is ListFormat.JSON:
        output.write_json({"splits": [{"task": task, "tier": tier, **_facts(each)} for task, tier, each in described]})
        return
    columns = ("task", "tier", "split", "samples", "input", "input values", "target", "target values", "classes or labels")
    rows = []
    for task, tier, each in described:
        ends = (_shape(each.inputs), _range(each.input_range), _shape(each.targets), _range(each.target_range))
        rows.append((task, tier, each.split, _seen(each), *ends, _classes(each)))
    output.table(columns, rows, right=("samples",), drawn=_drawn(chosen))


def _facts(each: SplitSummary) -> dict[str, Any]:
    return {
        "split": each.split,
        "samples": each.count,
        "seen": each.seen,
        "input_shape": list(each.inputs),
        "target_shape": list(each.targets),
        "input_range": list(each.input_range),
        "target_range": list(each.target_range),
        "classes": {str(number): count for number, count in each.classes.items()},
    }


def _seen(each: SplitSummary) -> str:
    return str(each.count) if each.seen == each.count else f"{each.count} (first {each.seen} seen)"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}"


def _classes(each: SplitSummary) -> str:
    if not each.classes:
        return "-"
    return f"{len(each.classes)}, {min(each.classes.values())} to {max(each.classes.values())} samples each"


def _drawn(chosen: ListFormat | None) -> bool | None:
    return None if chosen is None else chosen is ListFormat.TABLE
