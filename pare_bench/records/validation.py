"""Records checked one by one: schema, content, place, and whether what they say about themselves fits together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pare_bench.config.run_config import Slot
from pare_bench.errors import DataMissingError
from pare_bench.records.ranges import range_of
from pare_bench.records.record import ComponentRecord, RecordFault, RunRecord, id_without_data


@dataclass(frozen=True)
class Problem:
    """What is wrong in a file: ``field`` is a dotted path, empty for the whole file; ``line`` is where the field stands, 1 when unknown."""

    path: Path
    field: str
    message: str
    line: int = 1


@dataclass(frozen=True)
class Validation:
    """How many files were checked, and what is wrong in them."""

    checked: int
    problems: tuple[Problem, ...]


def validate(paths: Sequence[Path], evidence: Callable[[Path, RunRecord], tuple[str, str] | None] | None = None) -> Validation:
    """Check the records below ``paths``: files, folders of records, or stores (folders with a folder ``records``).

    ``evidence`` returns the field that is wrong by what lies beside the record, and why, None where nothing is; it is asked about records
    that are sound in themselves.

    Raises:
        DataMissingError: a path does not exist, or there is no record at all.
    """
    files = [file for path in paths for file in record_files(path)]
    if not files:
        raise DataMissingError(f"there are no records in {', '.join(repr(str(path)) for path in paths)}", hint="pare-bench run --method pare")
    problems: list[Problem] = []
    read: list[tuple[Path, str, RunRecord]] = []
    for file in files:
        text = ""
        try:
            text = file.read_text("utf-8")
            read.append((file, text, RunRecord.from_json(text)))
        except RecordFault as fault:
            problems.append(Problem(file, fault.field, fault.problem, line_of(text, fault.field)))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(file, "", str(error)))
    # Of two files with one run id the one that stands where it belongs is the run's.
    owners: dict[str, Path] = {}
    for file, _, record in sorted(read, key=lambda each: any(misplaced(each[0], each[2]))):
        owners.setdefault(record.run_id, file)
    for file, text, record in read:
        found = [*contradictions(record), *misplaced(file, record), *_wrong_predictions(file, record)]
        if (owner := owners[record.run_id]) != file:
            found.append(("run_id", f"'{record.run_id}' is also the run id of '{owner}'"))
        if evidence is not None and not found and (against := evidence(file, record)):
            found.append(against)
        problems += [Problem(file, field, message, line_of(text, field)) for field, message in found]
    problems.sort(key=lambda problem: problem.path)
    return Validation(len(files), tuple(problems))


def record_files(path: Path) -> list[Path]:
    """Return the record files that a path stands for, sorted.

    Raises:
        DataMissingError: the path does not exist.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataMissingError(f"'{path}' does not exist", hint="pare-bench leaderboard validate PATH")
    below = path / "records" if (path / "records").is_dir() else path
    return sorted(file for file in below.rglob("*.json") if not file.name.startswith("."))


def line_of(text: str, field: str) -> int:
    """Return the line on which a dotted field stands in a record's text, the last part of the path that is found; 1 where none is."""
    position = 0
    for part in field.split("."):
        found = text.find(f'"{part}":', position)
        position = found if found >= 0 else position
    return text.count("\n", 0, position) + 1


def contradictions(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield what in a record does not fit together: the field, and what is wrong with it."""
    config = record.config
    said = (
        ("suite", record.suite, config.suite),
        ("task.name", record.task.name, config.task.name),
        ("task.tier", record.task.tier, config.tier),
        ("method.name", record.method.name, config.method.name),
        ("method.params", record.method.params, config.method.params),
        ("slots", _named(record.slots), _named(config.slots())),
        ("track", record.track, config.track),
        ("preset", record.preset, config.preset),
        ("seed", record.seed, config.seed),
    )
    yield from ((field, f"is {here!r}, the configuration says {there!r}") for field, here, there in said if here != there)
    primary = sum(metric.primary for metric in record.metrics)
    if record.status == "ok" and primary != 1:
        yield "metrics", f"a run with status ok has one primary metric, this one has {primary}"
    if record.status != "ok" and record.metrics:
        yield "metrics", f"a run with status {record.status} has no scores"
    if record.status != "ok" and not record.reason:
        yield "reason", f"a run with status {record.status} says why"
    yield from _outside(record)
    yield from _wrong_times(record)
    if not record.begun:
        yield from _begun_nevertheless(record)
        return
    identity = record.identity
    if identity is None:
        return
    source = record.source.data_sha256 if record.source else None
    parts = (
        ("run_id", record.run_id, identity.run_id),
        ("config", config.digest(), identity.config),
        ("code_sha256", record.code_sha256, identity.code_sha256),
        ("task.data_sha256", record.task.data_sha256, identity.data),
        ("source", source, identity.source),
        ("weights_sha256", record.weights_sha256, identity.weights),
    )
    yield from ((field, f"is {here!r}, the parts of the identity give {there!r}") for field, here, there in parts if here != there)


def _begun_nevertheless(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield what a run that could not begin cannot have."""
    if record.status != "failed":
        yield "status", f"is {record.status}, but without code and data a run has failed"
    for field, value in (("identity", record.identity), ("task.data_sha256", record.task.data_sha256), ("predictions", record.predictions)):
        if value:
            yield field, "a run that could not begin has none"
    wanted = id_without_data(record.config, record.variant or ())
    if record.run_id != wanted:
        yield "run_id", f"is {record.run_id!r}, what was asked for gives {wanted!r}"


def _named(components: Mapping[str, ComponentRecord] | Mapping[str, Slot]) -> dict[str, tuple[str, dict[str, Any]]]:
    return {slot: (component.name, dict(component.params)) for slot, component in components.items()}


def _outside(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield the scores that no outputs can have."""
    primary = next((metric.name for metric in record.metrics if metric.primary), "")
    scores = [*(("metrics", metric.name, metric.value) for metric in record.metrics)]
    scores += [(name, primary, value) for name, value in (("floor", record.floor), ("persistence", record.persistence)) if value is not None]
    for field, name, value in scores:
        low, high = range_of(name)
        if not low <= value <= high:
            yield field, f"{name} is {value:g}, which is not between {low:g} and {high:g}"


def _wrong_times(record: RunRecord) -> Iterator[tuple[str, str]]:
    times = []
    for field in ("started", "finished"):
        try:
            times.append(datetime.fromisoformat(getattr(record, field)))
        except ValueError:
            yield field, f"'{getattr(record, field)}' is not a time in ISO 8601"
    if len(times) == 2 and (times[0].tzinfo is None) == (times[1].tzinfo is None) and times[1] < times[0]:
        yield "finished", "the run finished before it started"


def misplaced(file: Path, record: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield where in a store a record belongs, if it stands elsewhere: a copy of a run, or one in another's name."""
    if "records" in file.parts[:-4]:
        place = (record.suite, record.task.name, record.method.name, f"{record.run_id}.json")
        if file.parts[-5] == "records" and file.parts[-4:] != place:
            yield "run_id", f"the record belongs at '{'/'.join(('records', *place))}'"


def _wrong_predictions(file: Path, record: RunRecord) -> Iterator[tuple[str, str]]:
    """Check predictions that came along; a record without them is a whole record."""
    kept = record.predictions
    if kept is None or kept.file_sha256 is None or len(file.parts) < 6 or file.parts[-5] != "records":
        return
    path = file.parents[4] / "predictions" / f"{record.run_id}.npz"
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != kept.file_sha256:
        yield "predictions.file_sha256", f"'{path}' has another SHA-256"
