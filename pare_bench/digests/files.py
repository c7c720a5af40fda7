"""SHA-256 of files, remembered as long as a file's size and times stay the same: published files have gigabytes and are read at every run."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import platformdirs

from pare_bench.digests.sealed import remembered, sealed

ROOT_VARIABLE = "PARE_BENCH_CACHE"
DATA_VARIABLE = "PARE_BENCH_DATA"
_BLOCK = 1 << 20
#: Times that a folder is made again because another process has removed it meanwhile.
_ATTEMPTS = 100
#: Bytes below which reading a file is as quick as looking its digest up; some data sets have a hundred thousand such files.
SMALL = 1 << 20


def cache_root() -> Path:
    """Return the folder of what can be made again: ``PARE_BENCH_CACHE`` or the user's cache folder."""
    return Path(os.environ.get(ROOT_VARIABLE) or platformdirs.user_cache_dir("pare-bench"))


def data_root() -> Path:
    """Return the folder of what comes from elsewhere and cannot be made again: ``PARE_BENCH_DATA`` or the user's data folder."""
    return Path(os.environ.get(DATA_VARIABLE) or platformdirs.user_data_dir("pare-bench"))


def file_digests(path: Path, *, md5: bool = False, fresh: bool = False) -> dict[str, str]:
    """Return ``{"sha256": ...}`` (and ``"md5"`` on request) of a file.

    ``fresh`` reads the file even if its digest is remembered (the memory trusts size and times, ``pare-bench data verify`` does not).

    Raises:
        OSError: the file cannot be read.
    """
    path = path.resolve()
    names = ("sha256", "md5") if md5 else ("sha256",)
    stamp = stamp_of(path)
    if stamp[0] < SMALL:
        return _hash(path, names)
    memory = cache_root() / "digests" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"
    if not fresh:
        entry = remembered(memory)
        if entry is not None and entry["stamp"] == stamp and (entry["digests"].get("md5") or not md5):
            return dict(entry["digests"])
    digests = _hash(path, names)
    # A memory that cannot be written costs time, not truth; a file that changed while it was read is not remembered.
    with suppress(OSError):
        if stamp_of(path) == stamp:
            write_atomically(memory, sealed({"path": str(path), "stamp": stamp, "digests": digests}), durable=False)
    return digests


def sha256_of(path: Path) -> str:
    """Return the (remembered) SHA-256 of a file; see :func:`file_digests`."""
    return file_digests(path)["sha256"]


@contextmanager
def beside(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a temporary file in the folder of ``path``, which is made where it is missing, even if another process removes it at the same moment.

    Yields the open file and its path; the file is gone afterwards unless it was renamed.
    """
    for attempt in range(_ATTEMPTS):
        try:
            # pathlib says that a folder exists, as an error, when it was there and is gone before it has looked whether it is a folder.
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
            break
        except (FileNotFoundError, FileExistsError):
            if attempt == _ATTEMPTS - 1:
                raise
    try:
        with os.fdopen(handle, "wb") as file:
            yield file, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder unless something is in it, or another process was quicker."""
    with suppress(OSError):
        folder.rmdir()


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write ``content`` (text as UTF-8) to a file beside ``path`` and rename it: readers see the old content or the new one.

    ``durable`` keeps that so after a power cut, too, which costs milliseconds. Everybody may read the file.

    Raises:
        OSError: the folder cannot be written.
    """
    with beside(path) as (stream, temporary):
        stream.write(content.encode("utf-8") if isinstance(content, str) else content)
        stream.flush()
        if durable:
            os.fsync(stream.fileno())
        stream.close()
        temporary.chmod(0o644)
        temporary.replace(path)
        if durable:
            _flush_folder(path.parent)


def stamp_of(path: Path) -> list[int]:
    """Return size, modification and change time of a file: while they stay the same, so does its content."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power failure, where the operating system can flush folders."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hash(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    totals = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            for total in totals.values():
                total.update(block)
    return {name: total.hexdigest() for name, total in totals.items()}
