"""One tar file of published files and their digests, for a machine without network: written deterministically, believed only after checks."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.models import Progress
from pare_bench.datasets.archive import move_tree, temporary_folder
from pare_bench.datasets.fetch import check_room
from pare_bench.datasets.index import FILE_NAME, IndexEntry, dump_index, is_inside, parse_index, read_index, record
from pare_bench.digests.files import file_digests
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError, UsageError

_BLOCK = 1 << 20
_LONGEST_INDEX = 256 << 20


def files_of(root: Path, task: str, declared: Sequence[OfficialFile]) -> list[str]:
    """Return the paths below ``root`` of everything in a task's folder and of its declared files in the flat layout, sorted.

    What an archive that is there unpacks to is left out: it is unpacked again where it arrives.
    """
    found: set[str] = set()
    again: list[Path] = []
    for file in declared:
        place = next((place for place in (root / task / file.path, root / file.path) if place.is_file()), None)
        members = [folder / member for member in file.members for folder in (root / task, root)]
        if place is not None:
            found.add(place.relative_to(root).as_posix())
            again += members
        else:
            found |= {path.relative_to(root).as_posix() for member in members for path in _files_below(member)}
    found |= {path.relative_to(root).as_posix() for path in _files_below(root / task) if not any(path.is_relative_to(member) for member in again)}
    return sorted(name for name in found if is_inside(name))


def _files_below(place: Path) -> Iterator[Path]:
    """Yield ``place`` if it is a file, or the files below it that are not being written."""
    for path in place.rglob("*") if place.is_dir() else [place]:
        if path.is_file() and not any(part.startswith(".incoming.") for part in path.parts):
            yield path


def export_files(root: Path, names: Iterable[str], target: Path, progress: Progress) -> Mapping[str, IndexEntry]:
    """Write the files ``names`` (paths below ``root``) and their index to the tar file ``target``; the same files give the same bytes.

    Raises:
        DataMissingError: there is nothing to export.
        EnvironmentFault: the file cannot be written.
    """
    known = read_index(root)
    names = sorted(names)
    if not names:
        raise DataMissingError(f"there are no official files below '{root}' to export", hint="pare-bench data status")
    entries: dict[str, IndexEntry] = {}
    try:
        for name in names:
            path = root / name
            entries[name] = IndexEntry(path.stat().st_size, file_digests(path)["sha256"], known[name].source if name in known else "export")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            try:
                _write(stream, root, entries, progress)
                stream.close()
                temporary.chmod(0o644)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"'{target}' cannot be written: {error.strerror or error}", hint=f"df -h '{target.parent}'") from error
    return entries


def import_files(root: Path, source: Path, progress: Progress, *, replace: bool = False) -> Mapping[str, IndexEntry]:
    """Put the files of an exported tar file below ``root``; nothing is put in place before every path, size and digest was checked.

    Raises:
        DataMissingError: there is no such file.
        IntegrityError: it is damaged, holds other files than its index says, or a path that leads out.
        UsageError: a file is there already with another content, and ``replace`` is False.
        EnvironmentFault: the data root cannot be written.
    """
    if not source.is_file():
        raise DataMissingError(f"there is no file '{source}'", hint="pare-bench data export FILE on the machine that has the data")
    try:
        with tarfile.open(source) as archive:
            members = iter(archive)
            entries = _read_index_member(archive, next(members, None), source)
            check_room(root, sum(entry.size for entry in entries.values()))
            with temporary_folder(root) as incoming:
                _take(archive, members, entries, incoming, source, progress)
                if not replace:
                    _refuse_changes(root, entries)
                move_tree(incoming, root)
    except (tarfile.TarError, EOFError, ValueError, TypeError, IndexError, MemoryError) as error:
        raise _damaged(source, str(error)) from error
    except OSError as error:
        if error.errno is None:
            raise _damaged(source, str(error)) from error
        raise EnvironmentFault(f"'{root}' cannot be written: {error.strerror or error}", hint=f"df -h '{root}'") from error
    record(root, entries)
    return entries


def _write(stream: IO[bytes], root: Path, entries: Mapping[str, IndexEntry], progress: Progress) -> None:
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        index = dump_index(entries).encode()
        with tempfile.SpooledTemporaryFile() as text:
            text.write(index)
            text.seek(0)
            archive.addfile(_member(FILE_NAME, len(index)), text)
        for name, entry in entries.items():
            progress.begin(name, entry.size, 0)
            with (root / name).open("rb") as content:
                archive.addfile(_member(name, entry.size), _Counted(content, progress))
            progress.end()


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Return a header without owner and time, so that the same content gives the same bytes."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


class _Counted:
    def __init__(self, stream: IO[bytes], progress: Progress) -> None:
        self._stream, self._progress = stream, progress

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._progress.advance(len(block))
        return block


def _read_index_member(archive: tarfile.TarFile, member: tarfile.TarInfo | None, source: Path) -> dict[str, IndexEntry]:
    if member is None or member.name != FILE_NAME or not member.isreg() or member.size > _LONGEST_INDEX:
        raise _damaged(source, f"its first member is not '{FILE_NAME}'")
    stream = archive.extractfile(member)
    text = stream.read() if stream else b""
    return parse_index(text.decode("utf-8"), f"{source}:{FILE_NAME}")


def _take(
    archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo], entries: Mapping[str, IndexEntry], incoming: Path, source: Path, progress: Progress
) -> None:
    left = dict(entries)
    for member in members:
        entry = left.pop(member.name, None)
        if entry is None or not member.isreg() or member.issparse() or member.size != entry.size:
            raise _damaged(source, f"member '{member.name}' is not what its index says")
        place = incoming / member.name
        place.parent.mkdir(parents=True, exist_ok=True)
        total = hashlib.sha256()
        stream = archive.extractfile(member)
        progress.begin(member.name, entry.size, 0)
        with place.open("xb") as target:
            while stream is not None and (block := stream.read(_BLOCK)):
                total.update(block)
                target.write(block)
                progress.advance(len(block))
        progress.end()
        if total.hexdigest() != entry.sha256:
            raise _damaged(source, f"'{member.name}' has sha256 {total.hexdigest()}, its index says {entry.sha256}")
    if left:
        raise _damaged(source, f"'{min(left)}' is missing" + (f" (and {len(left) - 1} more)" if len(left) > 1 else ""))


def _refuse_changes(root: Path, entries: Mapping[str, IndexEntry]) -> None:
    for name, entry in entries.items():
        place = root / name
        if place.exists() and (not place.is_file() or file_digests(place)["sha256"] != entry.sha256):
            raise UsageError(f"'{place}' is there already with another content", hint="pare-bench data import FILE --replace")


def _damaged(source: Path, why: str) -> IntegrityError:
    return IntegrityError(f"'{source}' is not imported: {' '.join(why.split())}", hint=f"sha256sum '{source}' on both machines, then copy it again")
