"""Generated data on disk: made once for each (task, version, code, parameters, seed, size), written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from filelock import FileLock

from pare_bench.code.digest import code_digest, with_imports
from pare_bench.contracts.task import SPLIT_NAMES, Split, Splits, Task, TaskSize
from pare_bench.errors import EnvironmentFault, IntegrityError

ROOT_VARIABLE = "PARE_BENCH_CACHE"
#: What task modules import to score outputs; it makes no data.
_SCORING = frozenset({"pare_bench.metrics", "pare_bench.scoring.released_metrics", "pare_bench.scoring.tracks"})


@dataclass(frozen=True)
class Data:
    """The splits of a task and the SHA-256 over their bytes."""

    splits: Splits
    sha256: str


def cache_root() -> Path:
    """Return the folder of generated data: ``PARE_BENCH_CACHE`` or the user's cache folder."""
    return Path(os.environ.get(ROOT_VARIABLE) or platformdirs.user_cache_dir("pare-bench"))


def generated_data(task: Task, seed: int, size: TaskSize, root: Path | None = None) -> Data:
    """Return the generated tier of ``task`` from the cache, making it first where it is missing.

    Raises:
        EnvironmentFault: the cache cannot be written.
    """
    folder = (root or cache_root()) / "generated" / task.name / _key(task, seed, size)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if folder.exists():
                try:
                    return _read(folder)
                except IntegrityError:
                    # A damaged entry is set aside for whoever wants to know why; the data can be made again.
                    shutil.rmtree(folder.with_suffix(".damaged"), ignore_errors=True)
                    folder.replace(folder.with_suffix(".damaged"))
            _write(folder, task.generated(seed, size))
            return _read(folder)
    except OSError as error:
        raise EnvironmentFault(
            f"the cache '{folder.parent}' cannot be used: {error.strerror or error}", hint=f"set {ROOT_VARIABLE} to a writable folder"
        ) from error


def digest(splits: Splits) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all arrays."""
    total = hashlib.sha256()
    for name, array in _arrays(splits):
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def _key(task: Task, seed: int, size: TaskSize) -> str:
    params = task.params.model_dump_json()
    # A simulator that was changed without a new version must not be served its old data.
    code = code_digest(module for module in with_imports([type(task).__module__]) if module not in _SCORING)
    text = f"{task.name} {task.version} {params} {seed} {size} {code}"
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
        (temporary / "manifest.json").write_text(json.dumps({"arrays": [name for name, _ in _arrays(splits)], "sha256": digest(splits)}))
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(folder: Path) -> Data:
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in manifest["arrays"]}
        splits = Splits(**{name: _split(name, arrays) for name in SPLIT_NAMES})
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise IntegrityError(f"generated data in '{folder}' cannot be read: {error}", hint=f"rm -r '{folder}'") from error
    if digest(splits) != manifest["sha256"]:
        raise IntegrityError(f"generated data in '{folder}' has changed on disk", hint=f"rm -r '{folder}'")
    return Data(splits, manifest["sha256"])


def _split(split: str, arrays: dict[str, np.ndarray]) -> Split:
    own = {name.partition(".")[2]: array for name, array in arrays.items() if name.partition(".")[0] == split}
    return Split(own.pop("inputs"), own.pop("targets"), own)
