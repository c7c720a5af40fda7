"""Which files a task reads, and which of them nobody would notice if they changed: data are known by what they are made of."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pare_bench.digests.files import cache_root

_CODE = frozenset({".py", ".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib", ".pth"})
#: What belongs to the machine, not to the data.
_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/opt")


@dataclass
class Reads:
    """Files that were opened: for reading only, and those that were written (reading one's own file back tells nothing new)."""

    read: set[Path] = field(default_factory=set)
    written: set[Path] = field(default_factory=set)

    def undeclared(self, declared: Collection[Path], folders: Collection[Path]) -> list[Path]:
        """Return what was read and is neither ``declared`` nor below one of ``folders``.

        Code, and what belongs to Python, to installed packages or to the system, is left out.
        """
        installed = {Path(path).resolve() for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib", "purelib", "platlib")}
        installed |= {Path(folder).resolve() for folder in sys.path if folder and Path(folder).name in ("site-packages", "dist-packages")}
        known = {path.resolve() for path in declared} | {path.resolve() for path in self.written}
        below = [*installed, cache_root().resolve(), *(folder.resolve() for folder in folders), *map(Path, _SYSTEM)]
        found = {path.resolve() for path in self.read}
        return sorted(path for path in found - known if path.suffix not in _CODE and path.is_file() and not any(map(path.is_relative_to, below)))


_listening: list[Reads] = []
_hooked = False


@contextmanager
def reads() -> Iterator[Reads]:
    """Inside, every file that Python or h5py opens in this process is noted; what a library opens on its own is not seen."""
    global _hooked  # noqa: PLW0603 - an audit hook stays for the life of the process
    if not _hooked:
        sys.addaudithook(_note)
        _hooked = True
    seen = Reads()
    _listening.append(seen)
    try:
        with _hdf5(seen):
            yield seen
    finally:
        _listening.remove(seen)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _listening:
        return
    path, mode, flags = arguments
    if not isinstance(path, str | bytes | os.PathLike):
        return
    writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool((flags or 0) & (os.O_WRONLY | os.O_RDWR))
    for seen in _listening:
        (seen.written if writes else seen.read).add(Path(os.fsdecode(path)).absolute())


@contextmanager
def _hdf5(seen: Reads) -> Iterator[None]:
    """HDF5 opens files on its own, so Python's audit does not see them."""
    import h5py

    opens = h5py.File.__init__

    def noted(file: Any, name: Any, mode: str = "r", *rest: Any, **options: Any) -> None:
        if isinstance(name, str | bytes | os.PathLike):
            (seen.read if mode == "r" else seen.written).add(Path(os.fsdecode(name)).absolute())
        opens(file, name, mode, *rest, **options)

    h5py.File.__init__ = noted
    try:
        yield
    finally:
        h5py.File.__init__ = opens
