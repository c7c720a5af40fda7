"""Generated data on disk: made once for each (task, version, code, parameters, seed, size), written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pare_bench.contracts.params import as_json
from pare_bench.contracts.task import SPLIT_NAMES, Split, Splits, Task, TaskSize
from pare_bench.datasets.npy import read_npy
from pare_bench.digests.closure import Code
from pare_bench.digests.files import ROOT_VARIABLE, cache_root, sha256_of
from pare_bench.digests.live import target_of
from pare_bench.digests.locks import locked
from pare_bench.digests.sealed import opened, sealed
from pare_bench.errors import EnvironmentFault, IntegrityError, PluginError

#: What task modules import to score outputs; it makes no data.
_SCORING = ("pare_bench.metrics", "pare_bench.scoring.released_metrics", "pare_bench.scoring.tracks")


@dataclass(frozen=True)
class Data:
    """The splits of a task, read when they are first asked for, and the SHA-256 over their bytes.

    ``folder`` is where they are kept, one file for each array; None for data that are not kept and would be costly to read again.
    """

    load: Callable[[], Splits]
    sha256: str
    folder: Path | None = None

    @classmethod
    def of(cls, splits: Splits, sha256: str) -> Data:
        """Return data that are there already."""
        return cls(lambda: splits, sha256)

    @cached_property
    def splits(self) -> Splits:
        """The splits.

        Raises:
            IntegrityError: they cannot be read, or have changed since their digest was looked up.
        """
        return self.load()

    def forget(self) -> None:
        """Let go of splits that can be read again; whoever asks for them next reads them."""
        if self.folder is not None:
            self.__dict__.pop("splits", None)


def generated_data(task: Task, seed: int, size: TaskSize, root: Path | None = None, code: Code | None = None) -> Data:
    """Return the generated tier of ``task`` from the cache, making it first where it is missing; arrays are read when they are asked for.

    Raises:
        EnvironmentFault: the cache cannot be written.
    """
    folder = _folder(task, seed, size, root, code)
    sha256 = _promised(folder) or _read_or_make(folder, task, seed, size).sha256

    def load() -> Splits:
        found = _read_or_make(folder, task, seed, size)
        if found.sha256 != sha256:
            raise IntegrityError(f"generated data in '{folder}' were made again with other bytes than before", hint="run the same command again")
        return found.splits

    return Data(load, sha256, folder)


def is_cached(task: Task, seed: int, size: TaskSize, root: Path | None = None, code: Code | None = None) -> bool:
    """Return whether :func:`generated_data` finds the data in the cache."""
    return _promised(_folder(task, seed, size, root, code)) is not None


def _folder(task: Task, seed: int, size: TaskSize, root: Path | None, code: Code | None) -> Path:
    return (root or cache_root()) / "generated" / task.name / _key(task, seed, size, code or Code())


def _promised(folder: Path) -> str | None:
    """Return the digest that the manifest of cached data has, None where there is none."""
    try:
        return str(opened((folder / "manifest.json").read_text("utf-8"), needs_seal=False)["sha256"])
    except (OSError, ValueError, KeyError):
        return None


def _read_or_make(folder: Path, task: Task, seed: int, size: TaskSize) -> Data:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_suffix(".lock")):
            if folder.exists():
                try:
                    return _read(folder)
                except IntegrityError as error:
                    # A damaged entry is set aside for whoever wants to know why; the data can be made again.
                    aside = folder.with_suffix(".damaged")
                    shutil.rmtree(aside, ignore_errors=True)
                    folder.replace(aside)
                    warnings.warn(f"{error}; it is now '{aside}', and the data are made again", stacklevel=2)
            _write(folder, _generated(task, seed, size))
            try:
                return _read(folder)
            except IntegrityError as error:
                # What has just been written was whole: somebody empties the cache, or its disk does not keep what it is given.
                hint = f"run the same command again, or set {ROOT_VARIABLE} to a folder on a sound disk"
                raise EnvironmentFault(f"the cache '{folder}' changes while it is used", hint=hint) from error
    except OSError as error:
        raise EnvironmentFault(
            f"the cache '{folder.parent}' cannot be used: {error.strerror or error}", hint=f"set {ROOT_VARIABLE} to a writable folder"
        ) from error


def _generated(task: Task, seed: int, size: TaskSize) -> Splits:
    try:
        return splits_of(task, task.generated(seed, size))
    except OSError as error:
        # A file that the task misses is no fault of the cache.
        raise PluginError(f"task '{task.name}' cannot make its data: {error}", hint=f"pare-bench check task:{task.name}") from error


def splits_of(task: Task, made: object) -> Splits:
    """Return what a task made, which must be splits.

    Raises:
        PluginError: it is something else.
    """
    if isinstance(made, Splits) and all(isinstance(getattr(made, name), Split) for name in SPLIT_NAMES):
        return made
    raise PluginError(f"task '{task.name}' gives {type(made).__name__}, not Splits of three Split", hint=f"pare-bench check task:{task.name}")


def digest(splits: Splits) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all arrays."""
    total = hashlib.sha256()
    for name, array in _arrays(splits):
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def _key(task: Task, seed: int, size: TaskSize, code: Code) -> str:
    params = json.dumps(as_json(task.params))
    # A simulator that was changed without a new version must not be served its old data.
    closure = code.closure([target_of(type(task))], without=_SCORING)
    files = [sha256_of(path) for path in task.generated_files()]
    text = f"{task.name} {task.version} {params} {seed} {size} {closure.sha256} {files}"
    return f"v{task.version}-s{seed}-{size.train}-{size.val}-{size.test}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _arrays(splits: Splits) -> list[tuple[str, np.ndarray]]:
    return [
        (f"{split_name}.{name}", array)
        for split_name in SPLIT_NAMES
        for split in [getattr(splits, split_name)]
        for name, array in [("inputs", split.inputs), ("targets", split.targets), *sorted(split.extras.items())]
    ]


def _write(folder: Path, splits: Splits) -> None:
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for name, array in _arrays(splits):
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        (temporary / "manifest.json").write_text(sealed({"arrays": [name for name, _ in _arrays(splits)], "sha256": digest(splits)}))
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(folder: Path) -> Data:
    try:
        manifest = opened((folder / "manifest.json").read_text("utf-8"), needs_seal=False)
        arrays = {str(name): _array(folder / f"{name}.npy") for name in manifest["arrays"]}
        splits = Splits(**{name: _split(name, arrays) for name in SPLIT_NAMES})
        promised = manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"generated data in '{folder}' cannot be read: {error}", hint=f"rm -r '{folder}'") from error
    if digest(splits) != promised:
        raise IntegrityError(f"generated data in '{folder}' have changed on disk", hint=f"rm -r '{folder}'")
    return Data.of(splits, promised)


def _array(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            return read_npy(file, path.stat().st_size)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _split(split: str, arrays: dict[str, np.ndarray]) -> Split:
    own = {name.partition(".")[2]: array for name, array in arrays.items() if name.partition(".")[0] == split}
    return Split(own.pop("inputs"), own.pop("targets"), own)
