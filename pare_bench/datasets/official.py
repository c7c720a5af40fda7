"""The published files of a task: found, checked, converted where their format is not safe, and counted into the run's identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.params import as_json
from pare_bench.contracts.task import Task, Track
from pare_bench.datasets.cache import Data
from pare_bench.datasets.content import check_content
from pare_bench.datasets.index import read_index
from pare_bench.digests.files import data_root, file_digests, sha256_of
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError

State = Literal["present", "partial", "missing", "none"]


def official_data(task: Task, root: Path | None = None, track: Track = "clean", seed: int = 0) -> Data:
    """Return the official tier of ``task`` on ``track``; its digest covers task, version, parameters, track and every file that was read.

    ``seed`` is that of the split where none is published, and counts in the digest there.

    Raises:
        DataMissingError: files are missing, or the task has no official tier.
        IntegrityError: a file is not what its format or digest promises.
    """
    files = OfficialFiles(root or data_root(), task.name, task.official_files)
    splits = task.official_at(files, track, seed)
    facts = [task.name, task.version, as_json(task.params), track, files.sha256]
    if type(task).official_at is not Task.official_at:
        facts.append(seed)
    if others := task.generated_files():
        facts.append([sha256_of(path) for path in others])
    return Data.of(splits, hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest())


def is_present(root: Path, task: str, file: OfficialFile) -> bool:
    """Return whether a published file is there, itself or everything it unpacks to; without reading it."""
    files = OfficialFiles(root, task)
    return files.find(file.path) is not None or (bool(file.members) and all(files.find(member) for member in file.members))


def state_of(root: Path, task: str, declared: Sequence[OfficialFile]) -> State:
    """Return whether the published files of a task are there: ``present`` is what tier ``auto`` asks for.

    All files that are not optional must be there; where all are optional they are several ways to have the data, and one is enough.
    A task that declares no files has state ``none``.
    """
    if not declared:
        return "none"
    needed = [is_present(root, task, file) for file in declared if not file.optional]
    optional = [is_present(root, task, file) for file in declared if file.optional]
    if all(needed) if needed else any(optional):
        return "present"
    return "partial" if any(needed + optional) else "missing"


class OfficialFiles:
    """The published files of one task: the only way a task reads them. Everything handed out enters :attr:`sha256`.

    A file is looked for at ``<root>/<task>/<name>``, then at ``<root>/<name>`` (the flat folder of the released code). ``declared`` are the task's
    :class:`~pare_bench.contracts.task.OfficialFile` entries; the digests they print are checked.
    """

    def __init__(self, root: Path, task: str, declared: Sequence[OfficialFile] = ()) -> None:
        self.root = root
        self.task = task
        self._declared = {file.path: file for file in declared}
        self._read: dict[str, str] = {}
        #: Files that were handed out.
        self.handed: set[Path] = set()
        self._index: dict[str, str] | None = None

    def path(self, name: str) -> Path:
        """Return the file ``name``, which must exist and be what it promises.

        Raises:
            DataMissingError: it is not there.
            IntegrityError: it is empty, a web page, of another format than its name says, or has another digest than declared.
        """
        found = self.find(name)
        if found is None or not found.is_file():
            raise self._missing(f"file '{name}'")
        try:
            check_content(found, self.task)
            declared = self._declared.get(name)
            digests = file_digests(found, md5=bool(declared and declared.md5))
        except OSError as error:
            raise EnvironmentFault(f"'{found}' cannot be read: {error.strerror or error}", hint=f"ls -l '{found}'") from error
        self._compare(found, digests, declared)
        self._read[self._counted(name)] = digests["sha256"]
        self.handed.add(found)
        return found

    def find(self, *names: str) -> Path | None:
        """Return the first of ``names`` that exists (file or folder), or None; it does not count as read."""
        for name in names:
            for candidate in (self.root / self.task / name, self.root / name):
                if candidate.exists():
                    return candidate
        return None

    def tree(self, name: str, pattern: str) -> list[Path]:
        """Return all files below folder ``name`` that match the glob ``pattern``, sorted; their names and sizes enter the digest.

        Raises:
            DataMissingError: there is no such folder, or nothing in it matches.
        """
        folder = self.find(name)
        if folder is None or not folder.is_dir():
            raise self._missing(f"folder '{name}'")
        files = sorted((path for path in folder.rglob(pattern) if path.is_file()), key=lambda path: path.relative_to(folder).as_posix())
        if not files:
            raise self._missing(f"any file '{pattern}' in folder '{name}'")
        total = hashlib.sha256()
        for path in files:
            total.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\n".encode())
        self._read[self._counted(f"{name}/{pattern}")] = total.hexdigest()
        self.handed.update(files)
        return files

    def converted(self, names: str | Sequence[str], converter: str, *, memory_mb: int = 4096, seconds: int = 3600) -> dict[str, NDArray[Any]]:
        """Return what ``converter`` (``"module:function"``) makes of the files ``names``: read-only memory maps by name.

        See :func:`pare_bench.datasets.convert.converted`; raises what :meth:`path` raises, too.
        """
        from pare_bench.datasets.convert import converted

        sources = [self.path(name) for name in ([names] if isinstance(names, str) else names)]
        return converted(self.task, sources, converter, memory_mb=memory_mb, seconds=seconds)

    def of(self, task: str, declared: Sequence[OfficialFile] = ()) -> OfficialFiles:
        """Return the files of another task (Spherical reads CIFAR-100's); what is read there counts here, too."""
        other = OfficialFiles(self.root, task, declared)
        other._read, other.handed = self._read, self.handed
        return other

    @property
    def sha256(self) -> str:
        """Digest over name and SHA-256 of everything read so far, in whatever order."""
        return hashlib.sha256("".join(f"{name}\0{digest}\n" for name, digest in sorted(self._read.items())).encode()).hexdigest()

    def _compare(self, found: Path, digests: dict[str, str], declared: OfficialFile | None) -> None:
        again = f"rm '{found}' && pare-bench data fetch {self.task}"
        if declared and (problem := declared.unlike(digests)):
            raise IntegrityError(f"'{found}' {problem}", hint=again)
        if self._index is None:
            self._index = {name: entry.sha256 for name, entry in read_index(self.root).items()}
        # A file that is named by its absolute path may lie elsewhere; the index knows none of those.
        recorded = self._index.get(found.relative_to(self.root).as_posix()) if found.is_relative_to(self.root) else None
        if recorded and recorded != digests["sha256"]:
            raise IntegrityError(f"'{found}' has sha256 {digests['sha256']}, recorded when it came was {recorded}", hint=again)

    def _counted(self, name: str) -> str:
        return f"{self.task}/{name}"

    def _missing(self, what: str) -> DataMissingError:
        hint = f"pare-bench data fetch {self.task}"
        return DataMissingError(f"task '{self.task}' needs official {what}, not found below '{self.root / self.task}'", hint=hint)
