"""A submission: the records of a store in one file with the SHA-256 of each, checked byte by byte, and added to a store that only grows.

The file is a zip archive without compression, its members sorted, dated 1980-01-01 and preceded by ``manifest.json``: the same records give the
same bytes on every machine. The digests show damage and careless edits. They are no signature: whoever rewrites a record can write its digests,
too. What shows that is doing runs again (:mod:`pare_bench.runs.verification`).
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError
from pare_bench.records.record import RecordFault, RunRecord
from pare_bench.records.store import Store, write_atomically

SCHEMA = "pare-bench/bundle/1"
MANIFEST = "manifest.json"
_WHEN = (1980, 1, 1, 0, 0, 0)
_DEPTH = {"records": 5, "predictions": 2}


@dataclass(frozen=True)
class Bundle:
    """A submission that holds what its manifest says. ``files`` are the contents by path, records and predictions."""

    path: Path
    sha256: str
    files: Mapping[str, bytes]
    records: tuple[RunRecord, ...]


def write_bundle(out: Path, path: Path, *, predictions: bool = False) -> Bundle:
    """Pack the records of the store ``out``, and its stored predictions if wanted, into ``path``.

    Raises:
        DataMissingError: the store has no records.
        IntegrityError: a record, or a file of predictions, is damaged.
        EnvironmentFault: a file cannot be read or written.
    """
    store = Store(out)
    contents = {path.relative_to(out).as_posix(): path for path in sorted(store.records_folder.glob("*/*/*/*.json"))}
    if not contents:
        raise DataMissingError(f"there are no records in '{out}'", hint=f"pare-bench run --method pare --out {out}")
    if predictions:
        wanted = {path.stem for path in contents.values()}
        contents |= {path.relative_to(out).as_posix(): path for path in sorted((out / "predictions").glob("*.npz")) if path.stem in wanted}
    try:
        files = {name: source.read_bytes() for name, source in contents.items()}
    except OSError as error:
        raise EnvironmentFault(f"'{error.filename}' cannot be read: {error.strerror}", hint=f"ls -l '{error.filename}'") from error
    records = _records(files, str(out))
    content = _archive(files, records)
    write_atomically(path, content)
    return Bundle(path, hashlib.sha256(content).hexdigest(), files, records)


def read_bundle(path: Path) -> Bundle:
    """Read a submission and check all of it: every byte of the file is accounted for.

    Raises:
        DataMissingError: there is no such file.
        IntegrityError: something in it is not what the manifest says; the message names the file inside.
    """
    if not path.is_file():
        raise DataMissingError(f"there is no submission '{path}'", hint=f"pare-bench leaderboard bundle {path}")
    content = path.read_bytes()
    members = _members(path, content)
    manifest = _manifest(path, members.pop(MANIFEST, b""))
    for name in sorted(members.keys() | manifest.keys()):
        if name not in members or name not in manifest:
            raise _refused(path, name, "is missing" if name not in members else "is not in the manifest")
        if hashlib.sha256(members[name]).hexdigest() != manifest[name]:
            raise _refused(path, name, "has another SHA-256 than the manifest says")
    records = _records(members, str(path))
    if (expected := _archive(members, records)) != content:
        raise _refused(path, _place(content, expected), "is not what pare-bench writes, though its content is intact")
    return Bundle(path, hashlib.sha256(content).hexdigest(), members, records)


def add_bundle(bundle: Bundle, out: Path) -> list[str]:
    """Put the files of a submission into the store ``out`` and return the paths of the new ones. Nothing that is there is changed.

    Raises:
        IntegrityError: a run is there already with another record; then nothing is added.
        EnvironmentFault: the store cannot be written.
    """
    new = []
    for name, content in sorted(bundle.files.items()):
        place = out / name
        if not place.exists():
            new.append(name)
        elif place.read_bytes() != content:
            raise IntegrityError(
                f"'{place}' is there already and another one than '{name}' in '{bundle.path}': records are added, never changed",
                hint="a new run, with its own run id, replaces an old one in the ranking",
            )
    for name in new:
        write_atomically(out / name, bundle.files[name])
    return new


def _archive(files: Mapping[str, bytes], records: tuple[RunRecord, ...]) -> bytes:
    manifest = {
        "schema": SCHEMA,
        "files": {name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} for name, content in files.items()},
        "predictions_sha256": {record.run_id: record.predictions_sha256 for record in records if record.predictions_sha256},
    }
    text = (json.dumps(manifest, sort_keys=True, indent=2) + "\n").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in [(MANIFEST, text), *sorted(files.items())]:
            entry = zipfile.ZipInfo(name, _WHEN)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _members(path: Path, content: bytes) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    name = "its list of files"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                name = entry.filename
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise _refused(path, name, "is not a file that a submission has")
                # Reading compares the two places where the name stands, so that a damaged one is told with the other.
                text = archive.read(entry)
                if name in members or not _belongs(name):
                    raise _refused(path, name, "is not a file that a submission has")
                members[name] = text
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError, OSError) as error:
        raise _refused(path, name, f"is damaged: {error}") from error
    return members


def _belongs(name: str) -> bool:
    parts = PurePosixPath(name).parts
    inside = "/".join(parts) == name and not any(part in ("", ".", "..") or part.startswith(".") or "\\" in part for part in parts)
    return name == MANIFEST or (inside and len(parts) == _DEPTH.get(parts[0]) and parts[-1].endswith((".json", ".npz")))


def _manifest(path: Path, text: bytes) -> dict[str, str]:
    try:
        manifest: Any = json.loads(text)
        if manifest["schema"] != SCHEMA:
            raise _refused(path, MANIFEST, f"is of schema '{manifest['schema']}', not '{SCHEMA}'")
        return {str(name): str(entry["sha256"]) for name, entry in manifest["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(path, MANIFEST, "is not a manifest") from error


def _records(files: Mapping[str, bytes], where: str) -> tuple[RunRecord, ...]:
    from pare_bench.records.validation import contradictions

    records = []
    for name, content in sorted(files.items()):
        if not name.startswith("records/"):
            continue
        try:
            record = RunRecord.from_json(content.decode())
        except (RecordFault, UnicodeDecodeError) as error:
            raise IntegrityError(f"'{name}' in '{where}' is not a run record: {error}", hint=f"pare-bench leaderboard validate {where}") from error
        if name != f"records/{record.suite}/{record.task.name}/{record.method.name}/{record.run_id}.json":
            raise IntegrityError(f"'{name}' in '{where}' is the record of another run", hint=f"pare-bench leaderboard validate {where}")
        for field, message in contradictions(record):
            raise IntegrityError(f"'{name}' in '{where}' contradicts itself: {field} {message}", hint=f"pare-bench leaderboard validate {where}")
        records.append(record)
    by_id = {record.run_id: record for record in records}
    for name, content in sorted(files.items()):
        if name.startswith("predictions/"):
            own = by_id.get(PurePosixPath(name).stem)
            if own is None or own.predictions is None or own.predictions.file_sha256 != hashlib.sha256(content).hexdigest():
                raise IntegrityError(f"'{name}' in '{where}' is not what its record says", hint="pare-bench leaderboard bundle FILE")
    return tuple(records)


def _place(content: bytes, expected: bytes) -> str:
    """Return the name of the member in whose header the first differing byte stands."""
    position = next((index for index, (a, b) in enumerate(zip(content, expected, strict=False)) if a != b), min(len(content), len(expected)))
    with zipfile.ZipFile(io.BytesIO(expected)) as archive:
        before = [entry.filename for entry in archive.infolist() if entry.header_offset <= position]
        return before[-1] if position < archive.start_dir and before else "its list of files"


def _refused(path: Path, name: str, problem: str) -> IntegrityError:
    return IntegrityError(f"submission '{path}': '{name}' {problem}", hint="ask for the file again; pare-bench leaderboard bundle writes one")
