"""Unpack tar and zip archives from outside: members stay inside the folder, are plain files or folders, and are as large as they say."""

from __future__ import annotations

import errno
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pare_bench.errors import EnvironmentFault, IntegrityError

#: Decompressed bytes per byte of archive beyond which it is a bomb; deflate cannot exceed 1032, real data stay below 100.
LARGEST_RATIO = 200
#: Small archives may be compressed better than that.
ALWAYS_ALLOWED = 64 << 20

#: What the standard library raises for archives that are damaged, cut or made to harm.
DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, NotImplementedError, RuntimeError),
    *(FileExistsError, NotADirectoryError, IsADirectoryError),  # one name twice, or as a file and as a folder
    *(TypeError, IndexError, MemoryError),  # what the standard library raises for headers that are cut or announce more than there can be
)
#: Numbers of errors of the operating system that are damage, too: bzip2 gives none, and a place before the begin of the file is an invalid one.
DAMAGE_NUMBERS = (None, errno.EINVAL)


def unpack(archive: Path, folder: Path, expected: Sequence[str] = ()) -> list[str]:
    """Unpack a tar (plain or compressed) or zip archive into ``folder``; returns the member files' paths, sorted.

    Nothing is put in place before every member was checked and written: members are written to a folder beside, then moved. Where what is
    ``expected`` lies inside one top folder of the archive, the content of that folder is what is put in place.

    Raises:
        IntegrityError: a member leads out of the folder, is a link out of it or a device, the archive is damaged, or it is a bomb.
        EnvironmentFault: the folder cannot be written or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as temporary:
            names = _unzip(archive, temporary) if zipfile.is_zipfile(archive) else _untar(archive, temporary)
            top = _top_folder(temporary, expected)
            move_tree(temporary / top, folder)
        return sorted(name.removeprefix(f"{top}/") for name in names if name.startswith(f"{top}/" if top else ""))
    except DAMAGE as error:
        raise _refused(archive, str(error)) from error
    except OSError as error:
        if error.errno in DAMAGE_NUMBERS:
            raise _refused(archive, str(error)) from error
        raise EnvironmentFault(f"'{archive}' cannot be unpacked into '{folder}': {error.strerror}", hint=f"df -h '{folder}'") from error


@contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """Yield a new folder inside ``beside``, on the same disk, that is gone afterwards."""
    path = Path(tempfile.mkdtemp(dir=beside, prefix=".incoming."))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def move_tree(source: Path, target: Path) -> None:
    """Move every file below ``source`` to the same place below ``target``, over what is there."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir() and not path.is_symlink():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)


def _top_folder(unpacked: Path, expected: Sequence[str]) -> str:
    """Return the top folder that holds everything ``expected``, or the empty string if that lies at the top, or nowhere."""
    if all((unpacked / name).exists() for name in expected):
        return ""
    folders = sorted(path for path in unpacked.iterdir() if path.is_dir() and all((path / name).exists() for name in expected))
    return folders[0].name if folders else ""


def _untar(archive: Path, folder: Path) -> list[str]:
    names = []
    allowance = _Allowance(archive)
    with tarfile.open(archive) as members:
        for member in members:
            if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
                raise _refused(archive, f"member '{member.name}' is a device or another special file")
            _check_name(archive, member.name)
            if member.isreg() and member.issparse():
                raise _refused(archive, f"member '{member.name}' is sparse")
            allowance.take(member.size, member.name)
            try:
                # The filter refuses absolute names, names and links that lead out, and set-uid bits.
                members.extract(member, folder, filter="data")
            except tarfile.FilterError as error:
                raise _refused(archive, str(error)) from error
            if not member.isdir():
                names.append(member.name)
    return names


def _unzip(archive: Path, folder: Path) -> list[str]:
    names = []
    allowance = _Allowance(archive)
    with zipfile.ZipFile(archive) as members:
        for member in members.infolist():
            _check_name(archive, member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, f"member '{member.filename}' is a link or a special file")
            allowance.take(member.file_size, member.filename)
            place = folder / member.filename
            if member.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with members.open(member) as source, place.open("xb") as target:
                _copy(source, target, member.file_size, archive)
            names.append(member.filename)
    return names


def _copy(source: IO[bytes], target: IO[bytes], size: int, archive: Path) -> None:
    """Copy at most ``size`` bytes, whatever the stream would give."""
    while size >= 0 and (block := source.read(min(1 << 20, size + 1))):
        size -= len(block)
        if size < 0:
            raise _refused(archive, "a member is larger than it says")
        target.write(block)


class _Allowance:
    """How much an archive may still unpack to."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._left = max(LARGEST_RATIO * archive.stat().st_size, ALWAYS_ALLOWED)
        self._free = shutil.disk_usage(archive.parent).free

    def take(self, size: int, name: str) -> None:
        self._left -= size
        self._free -= size
        if self._left < 0:
            raise _refused(self._archive, f"up to member '{name}' it unpacks to more than {LARGEST_RATIO} times its size")
        if self._free < 0:
            folder = self._archive.parent
            raise EnvironmentFault(f"the disk of '{folder}' has no room for what '{self._archive.name}' unpacks to", hint=f"df -h '{folder}'")


def _check_name(archive: Path, name: str) -> None:
    if not name:
        raise _refused(archive, "a member has no name")
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        raise _refused(archive, f"member '{name}' leads out of the folder")


def _refused(archive: Path, why: str) -> IntegrityError:
    return IntegrityError(f"'{archive}' is not unpacked: {' '.join(why.split())}", hint=f"rm '{archive}' and fetch it again: pare-bench data fetch")
