"""Records on disk: one file per run, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from pare_bench.errors import EnvironmentFault, IntegrityError
from pare_bench.records import RunRecord


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary file beside ``path``, flush it to disk and rename it: readers see the old file or the new one.

    Raises:
        EnvironmentFault: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise EnvironmentFault(f"cannot write '{path}': {error.strerror or error}", hint="choose a writable folder with --out DIR") from error


class Store:
    """The records below ``root/records``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.records_folder = root / "records"

    def check_writable(self) -> None:
        """Fail before any training when results could not be saved afterwards.

        Raises:
            EnvironmentFault: ``root`` cannot be created or written.
        """
        try:
            self.records_folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.records_folder):
                pass
        except OSError as error:
            raise EnvironmentFault(
                f"--out '{self.root}' cannot be written: {error.strerror or error}", hint="choose a writable folder with --out DIR"
            ) from error

    def path(self, suite: str, task: str, method: str, run_id: str) -> Path:
        """Return where the record of a run stands."""
        return self.records_folder / suite / task / method / f"{run_id}.json"

    def find(self, suite: str, task: str, method: str, run_id: str) -> RunRecord | None:
        """Return the record of a run, or None when it has not been run.

        Raises:
            IntegrityError: the file exists and is not a record.
        """
        path = self.path(suite, task, method, run_id)
        return read_record(path) if path.exists() else None

    def save(self, record: RunRecord) -> Path:
        """Write a record and return its path."""
        path = self.path(record.suite, record.task.name, record.method.name, record.run_id)
        write_atomically(path, record.to_json().encode())
        return path

    def records(self) -> Iterator[RunRecord]:
        """Yield all records, in the order of their paths.

        Raises:
            IntegrityError: a file is not a record.
        """
        for path in sorted(self.records_folder.glob("*/*/*/*.json")):
            yield read_record(path)


def read_record(path: Path) -> RunRecord:
    """Read one record.

    Raises:
        IntegrityError: the file is not a record of a known schema.
    """
    try:
        return RunRecord.from_json(path.read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        problem = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        where = ".".join(str(part) for part in problem["loc"])
        raise IntegrityError(
            f"'{path}' is not a run record: {where + ': ' if where else ''}{problem['msg']}", hint="move the file away and run the command again"
        ) from error
