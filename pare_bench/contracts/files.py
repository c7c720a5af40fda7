"""The contract of published files: what a task declares, and the only way in which it reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from numpy.typing import NDArray


@dataclass(frozen=True)
class OfficialFile:
    """A published file: where it lies below the task's folder and where it can be had.

    ``size`` is in bytes, as published where that is known; ``sha256`` and ``md5`` only where a trustworthy source prints them (what is not known is
    recorded on first use). ``members`` names what an archive unpacks to, so that an unpacked copy is recognised. ``optional`` files are
    one of several ways to have the data, or serve one track alone. ``replaced`` are files that were once published under this name, as pairs (MD5,
    why they were replaced), so that one who still has such a file is told.
    """

    path: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    members: tuple[str, ...] = ()
    optional: bool = False
    replaced: tuple[tuple[str, str], ...] = ()

    def unlike(self, digests: Mapping[str, str]) -> str | None:
        """Say how ``digests`` (``sha256``, and ``md5`` where one is published) differ from the published ones, or None."""
        for kind, published in (("sha256", self.sha256), ("md5", self.md5)):
            if published and digests[kind] != published.lower():
                why = dict(self.replaced).get(digests.get("md5", ""))
                return f"is the file that was replaced, {why}" if why else f"has {kind} {digests[kind]}, published is {published}"
        return None


class Files(Protocol):
    """The published files of one task, as its reader is handed them; everything that they hand out enters the run's identity.

    :class:`pare_bench.datasets.official.OfficialFiles` says what each method raises.
    """

    @property
    def root(self) -> Path:
        """Folder of all published files."""
        ...

    def path(self, name: str) -> Path:
        """Return the file ``name``, checked."""
        ...

    def find(self, *names: str) -> Path | None:
        """Return the first of ``names`` that exists (file or folder), or None; it does not count as read."""
        ...

    def tree(self, name: str, pattern: str) -> list[Path]:
        """Return all files below folder ``name`` that match the glob ``pattern``, sorted."""
        ...

    def converted(self, names: str | Sequence[str], converter: str, *, memory_mb: int = 4096, seconds: int = 3600) -> dict[str, NDArray[Any]]:
        """Return what ``converter`` (``"module:function"``) makes of the files ``names`` in a process apart: read-only memory maps by name."""
        ...

    def of(self, task: str, declared: Sequence[OfficialFile] = ()) -> Self:
        """Return the files of another task; what is read there counts here, too."""
        ...
