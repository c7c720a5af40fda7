"""Records on disk: one file per run, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path

from pare_bench.config.run_config import RunConfig
from pare_bench.digests import files
from pare_bench.digests.locks import locked
from pare_bench.errors import EnvironmentFault, IntegrityError, UsageError
from pare_bench.records.migrations import NewerSchemaError
from pare_bench.records.record import RecordFault, RunRecord
from pare_bench.records.validation import contradictions, misplaced

#: Seconds after which a temporary file is what a killed process left behind.
_LEFT_BEHIND = 3600


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file below ``--out`` whole, or not at all (:func:`pare_bench.digests.files.write_atomically`).

    Raises:
        EnvironmentFault: the folder cannot be written.
    """
    try:
        files.write_atomically(path, content)
    except OSError as error:
        raise EnvironmentFault(f"cannot write '{path}': {error.strerror or error}", hint="choose a writable folder with --out DIR") from error


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait for one's turn with other processes; ``path`` is the file by which they take turns.

    Raises:
        EnvironmentFault: it cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path))
        except OSError as error:
            raise EnvironmentFault(f"cannot write '{path}': {error.strerror or error}", hint="choose a writable folder with --out DIR") from error
        yield


class Store:
    """The records below ``root/records``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.records_folder = root / "records"

    def check_writable(self) -> None:
        """Fail before any training when results could not be saved afterwards; sweep up what killed processes left half-written.

        Raises:
            EnvironmentFault: ``root`` cannot be created or written.
        """
        try:
            self.records_folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.records_folder):
                pass
            for path in self.root.rglob(".*.tmp"):
                if time.time() - path.stat().st_mtime > _LEFT_BEHIND:
                    path.unlink(missing_ok=True)
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
            IntegrityError: the file exists and is not a record, or contradicts itself.
        """
        path = self.path(suite, task, method, run_id)
        return sound_record(path) if path.exists() else None

    def find_or_set_aside(self, suite: str, task: str, method: str, run_id: str) -> tuple[RunRecord | None, Path | None]:
        """Return the record of a run, None when it has not been run, and where a damaged record of it has been moved, so that it can be run again.

        Raises:
            IntegrityError: the record has been written by a newer version of pare-bench.
            EnvironmentFault: a damaged record cannot be moved.
        """
        try:
            return self.find(suite, task, method, run_id), None
        except IntegrityError as error:
            # Another version's record is as good as ours.
            if isinstance(error.__cause__, RecordFault) and isinstance(error.__cause__.__cause__, NewerSchemaError):
                raise
            return None, self.set_aside(self.path(suite, task, method, run_id))

    def set_aside(self, path: Path) -> Path:
        """Move a damaged file to ``damaged/`` and return where it is now.

        Raises:
            EnvironmentFault: it cannot be moved.
        """
        place = self.root / "damaged" / path.relative_to(self.root)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            number = 1
            while (target := place.with_name(f"{place.name}.{number}")).exists():
                number += 1
            path.replace(target)
        except OSError as error:
            raise EnvironmentFault(f"cannot move the damaged '{path}' away: {error.strerror or error}", hint=f"rm '{path}'") from error
        return target

    def paths(self, suite: str = "*", task: str = "*", method: str = "*", run: str = "*") -> list[Path]:
        """Return the record files, sorted, whose names match; ``*`` and the like in a name are wildcards.

        Raises:
            EnvironmentFault: a folder cannot be read: what is in it must not be taken for missing, as ``glob`` does.
        """
        found = [self.records_folder]
        for pattern in (suite, task, method, f"{run}.json"):
            found = [folder / name for folder in found for name in _names(folder) if fnmatchcase(name, pattern)]
        return sorted(found)

    def of_method(self, suite: str, task: str, method: str) -> list[RunRecord]:
        """Return the readable records of a method on a task, in the order of their paths."""
        found = []
        for path in self.paths(escape(suite), escape(task), escape(method)):
            try:
                found.append(sound_record(path))
            except IntegrityError:
                continue
        return found

    def newest(self, config: RunConfig) -> RunRecord | None:
        """Return the newest record of exactly this configuration, whatever code and data it was made with; or of one that could not begin."""
        asked = (config.seed, config.tier, config.track, config.preset)
        same = [
            record
            for record in self.of_method(config.suite, config.task.name, config.method.name)
            if record.config == config or (not record.begun and asked == (record.seed, record.task.tier, record.track, record.preset))
        ]
        return max(same, key=lambda record: (record.finished, record.run_id), default=None)

    def locate(self, run: str) -> Path:
        """Return the record file of a run that is given as a path, a run id, or the first four or more digits of one.

        Raises:
            UsageError: there is no such run, or several.
        """
        if Path(run).is_file():
            return Path(run)
        plain = len(run) >= 4 and set(run) <= set("0123456789abcdef")
        found = self.paths(run=f"{run}*") if plain else []
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"there is no run '{run}' in '{self.root}'", hint=f"pare-bench status --out {self.root}")
        raise UsageError(
            f"run '{run}' is the beginning of {len(found)} run ids", hint="give more digits: " + ", ".join(path.stem for path in found[:5])
        )

    def save(self, record: RunRecord) -> Path:
        """Write a record and return its path.

        Raises:
            IntegrityError: it could not be read again.
            EnvironmentFault: the folder cannot be written.
        """
        path = self.path(record.suite, record.task.name, record.method.name, record.run_id)
        text = record.to_json()
        try:
            RunRecord.from_json(text)
        except RecordFault as error:
            raise IntegrityError(f"run '{record.run_id}' leaves a record that cannot be read: {error}", hint=None) from error
        write_atomically(path, text.encode())
        return path

    def records(self) -> Iterator[RunRecord]:
        """Yield all records, in the order of their paths.

        Raises:
            IntegrityError: a file is not a record.
        """
        for path in self.paths():
            yield read_record(path)


class RecordCache:
    """All records of a store, each file parsed again only when it has changed."""

    def __init__(self, store: Store, skip: Callable[[Path, str], None] | None = None) -> None:
        """Watch ``store``; a file whose score cannot count is told to ``skip`` (path, message) once and left out, or raised without it."""
        self._store = store
        self._skip = skip
        self._known: dict[Path, tuple[tuple[int, int], RunRecord | str]] = {}

    def records(self) -> list[RunRecord]:
        """Return the records as they are on disk now, in the order of their paths.

        Raises:
            IntegrityError: a file is not a record, contradicts itself or stands in another's place, and nobody wants to be told.
        """
        return [record for _, record in self.items()]

    def items(self) -> list[tuple[Path, RunRecord]]:
        """Return the :meth:`records` with their paths."""
        known: dict[Path, tuple[tuple[int, int], RunRecord | str]] = {}
        for path in self._store.paths():
            try:
                status = path.stat()
                state = (status.st_mtime_ns, status.st_size)
                seen = self._known.get(path)
                known[path] = seen if seen is not None and seen[0] == state else (state, self._read(path))
            except FileNotFoundError:  # moved away by another process
                continue
        self._known = known
        return [(path, found) for path, (_, found) in known.items() if isinstance(found, RunRecord)]

    def left_out(self) -> dict[Path, str]:
        """Return what was left out last time, and why."""
        return {path: found for path, (_, found) in self._known.items() if isinstance(found, str)}

    def _read(self, path: Path) -> RunRecord | str:
        try:
            return sound_record(path)
        except IntegrityError as error:
            if self._skip is None:
                raise
            self._skip(path, str(error))
            return str(error).removeprefix(f"'{path}' ")


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise EnvironmentFault(f"'{folder}' cannot be read: {error.strerror or error}", hint=f"ls -ld '{folder}'") from error


def store_of(path: Path) -> Store | None:
    """Return the store in which a record file stands, None where it stands alone."""
    folders = path.resolve().parents
    return Store(folders[4]) if len(folders) > 4 and folders[3].name == "records" else None


def sound_record(path: Path) -> RunRecord:
    """Read a record whose score is to count: it must also fit together and stand where it belongs.

    Raises:
        IntegrityError: it does not, or what :func:`read_record` raises; the message says what is wrong.
        EnvironmentFault: the file cannot be read.
    """
    record = read_record(path)
    for field, message in (*contradictions(record), *misplaced(path, record)):
        raise IntegrityError(f"'{path}' contradicts itself: {field}: {message}", hint=f"pare-bench leaderboard validate '{path}'")
    return record


def read_record(path: Path) -> RunRecord:
    """Read one record.

    Raises:
        IntegrityError: the file is not a record of a known schema, or has been changed since it was written.
        EnvironmentFault: the file cannot be read.
    """
    try:
        return RunRecord.from_json(path.read_text("utf-8"))
    except (RecordFault, UnicodeDecodeError) as error:
        raise IntegrityError(f"'{path}' is not a run record: {error}", hint="move the file away and run the command again") from error
    except OSError as error:
        raise EnvironmentFault(f"'{path}' cannot be read: {error.strerror or error}", hint=f"ls -l '{path}'") from error
