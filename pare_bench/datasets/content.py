"""What a file really is: web pages, other formats and cut-off files are found before anything is read from them."""

from __future__ import annotations

import gzip
import lzma
import math
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pare_bench.errors import IntegrityError

_MAGIC = {".npz": b"PK", ".zip": b"PK", ".npy": b"\x93NUMPY", ".gz": b"\x1f\x8b", ".tgz": b"\x1f\x8b"}
_HTML = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<error>", b"<body")
_BLOCK = 1 << 20
_HDF5 = b"\x89HDF\r\n\x1a\n"


def check_content(path: Path, task: str) -> None:
    """Refuse a file that cannot be what its name says: empty, a web page, another format, an archive without its end.

    Raises:
        IntegrityError: one of these.
        OSError: the file cannot be read.
    """
    problem = content_problem(path)
    if problem:
        raise IntegrityError(f"'{path}' {problem}", hint=f"rm '{path}' && pare-bench data fetch {task}")


def is_web_page(start: bytes, name: str) -> bool:
    """Return whether the first bytes of a file called ``name`` are those of a web page (an error, a log-in, a warning about viruses)."""
    return Path(name).suffix.lower() not in (".html", ".htm", ".xml") and start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_HTML)


def content_problem(path: Path, name: str | None = None) -> str | None:
    """Say what is wrong with the start and the end of ``path``, judged by the suffix of ``name`` (default: its own), or None; takes no time."""
    name = name or path.name
    suffix = Path(name).suffix.lower()
    with path.open("rb") as stream:
        start = stream.read(512)
    if not start:
        return "is empty"
    if is_web_page(start, name):
        return "is a web page, not the file it is named after"
    magic = _MAGIC.get(suffix)
    if magic and not start.startswith(magic):
        return f"is no {suffix} file: it starts with {start[:8]!r}"
    if magic == b"PK" and not zipfile.is_zipfile(path):
        return "is truncated: the end of the archive is missing"
    return None


def whole_problem(path: Path, name: str | None = None) -> str | None:
    """Say what is wrong with ``path``, or None, reading all of it where its format has checksums or a length; for what was just downloaded."""
    name = name or path.name
    problem = content_problem(path, name)
    if problem:
        return problem
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    last = ".tar" if suffixes[-2:] == [".tar", ".gz"] else suffixes[-1] if suffixes else ""
    check = _CHECKS.get(last)
    try:
        return check(path) if check else None
    except (
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        tarfile.TarError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        return f"is damaged or truncated: {error}"


def _zip_problem(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    return f"is damaged: member '{damaged}' has another checksum" if damaged else None


def _gzip_problem(path: Path) -> str | None:
    with gzip.open(path) as stream:
        while stream.read(_BLOCK):
            pass
    return None


def _tar_problem(path: Path) -> str | None:
    with tarfile.open(path) as archive:
        end = max((member.offset_data + member.size for member in archive), default=0)
        # tarfile stops quietly where the file stops. An empty block must follow the last member; reading on checks the checksum of gzip.
        stream = archive.fileobj
        assert stream is not None  # noqa: S101 - it is open
        stream.seek(end)
        rest = 0
        while block := stream.read(_BLOCK):
            rest += len(block)
    return "is truncated: the end of the archive is missing" if rest < -end % 512 + 512 else None


def _npy_problem(path: Path) -> str | None:
    with path.open("rb") as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        held = path.stat().st_size - stream.tell()
    needed = math.prod(shape) * dtype.itemsize
    return f"holds {held} bytes of elements, its header promises {needed}" if not dtype.hasobject and held != needed else None


def _mat_problem(path: Path) -> str | None:
    """Walk the elements of a version 5 file, or let HDF5 compare its end with its header (version 7.3)."""
    with path.open("rb") as stream:
        header = stream.read(520)
        if _HDF5 in (header[:8], header[512:520]):
            import h5py

            h5py.File(path, "r").close()
            return None
        if not header.startswith(b"MATLAB 5.0"):
            return None  # version 4 has neither a signature nor a length
        size, position = path.stat().st_size, 128
        order = "little" if header[126:128] == b"IM" else "big"
        while position < size:
            stream.seek(position)
            tag = stream.read(8)
            position += 8 + int.from_bytes(tag[4:8], order)  # type: ignore[arg-type]
    return None if position == size else "is truncated: its last element is cut off"


_CHECKS: dict[str, Callable[[Path], str | None]] = {
    ".zip": _zip_problem,
    ".npz": _zip_problem,
    ".tar": _tar_problem,
    ".tgz": _tar_problem,
    ".gz": _gzip_problem,
    ".npy": _npy_problem,
    ".mat": _mat_problem,
}
