"""Read official files again and compare them with what was published or recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pare_bench.contracts.files import OfficialFile
from pare_bench.datasets.content import content_problem
from pare_bench.datasets.index import IndexEntry, read_index, record
from pare_bench.datasets.official import OfficialFiles
from pare_bench.digests.files import file_digests
from pare_bench.errors import EnvironmentFault


@dataclass(frozen=True)
class Check:
    """What became of one file: ``name`` is its path below the data root, ``result`` a phrase that follows the name."""

    task: str
    name: str
    size: int
    sha256: str
    good: bool
    result: str


def verify_files(root: Path, declarations: Mapping[str, Sequence[OfficialFile]], *, accept: bool = False) -> list[Check]:
    """Hash every declared or recorded file of the tasks in ``declarations``; a file without a digest is recorded, with ``accept`` every file is.

    Raises:
        EnvironmentFault: a file cannot be read, or the index cannot be written.
    """
    index = read_index(root)
    checks: list[Check] = []
    new: dict[str, IndexEntry] = {}
    for task, declared in declarations.items():
        files = OfficialFiles(root, task)
        promised = {found.relative_to(root).as_posix(): file for file in declared if (found := files.find(file.path)) is not None and found.is_file()}
        names = [*promised, *(name for name in index if name.startswith(f"{task}/") and name not in promised)]
        for name in names:
            try:
                check = _check(root, task, name, promised.get(name), index.get(name), accept)
            except OSError as error:
                raise EnvironmentFault(f"'{root / name}' cannot be read: {error.strerror or error}", hint=f"ls -l '{root / name}'") from error
            checks.append(check)
            if check.good and (accept or name not in index):
                new[name] = IndexEntry(check.size, check.sha256, index[name].source if name in index else "verify")
    if new:
        record(root, new)
    return checks


def _check(root: Path, task: str, name: str, file: OfficialFile | None, entry: IndexEntry | None, accept: bool) -> Check:
    path = root / name
    if not path.exists():
        return Check(task, name, 0, "", False, "is recorded and missing")
    digests = file_digests(path, md5=bool(file and file.md5), fresh=True)
    problem = content_problem(path)
    if file and (unlike := file.unlike(digests)):
        problem = unlike
    if problem is None and entry is not None and entry.sha256 != digests["sha256"] and not accept:
        problem = f"has sha256 {digests['sha256']}, recorded is {entry.sha256}"
    result = problem or ("as published" if file and (file.sha256 or file.md5) else "as recorded" if entry and not accept else "recorded now")
    return Check(task, name, path.stat().st_size, digests["sha256"], problem is None, result)
