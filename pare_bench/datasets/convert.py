"""Conversion of published files, once, to arrays in a format that cannot hide code; everything afterwards reads the converted copy."""

from __future__ import annotations

import glob
import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pare_bench.datasets.arrays_file import map_arrays
from pare_bench.digests.closure import Code
from pare_bench.digests.files import ROOT_VARIABLE, cache_root, sha256_of, write_atomically
from pare_bench.digests.locks import locked
from pare_bench.digests.sealed import opened, sealed
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError, PareBenchError

_DATA, _MANIFEST = "arrays.safetensors", "manifest.json"


def converted(
    task: str, sources: Sequence[Path], converter: str, *, memory_mb: int = 4096, seconds: int = 3600, root: Path | None = None
) -> dict[str, NDArray[Any]]:
    """Return the arrays that ``converter`` (``"module:function"``) makes of ``sources``, as read-only memory maps.

    The first call runs it in a separate process (:mod:`pare_bench.datasets.sandbox`) limited to ``memory_mb`` and ``seconds``. The copy belongs to
    the content of the sources and to the code of the converter's module and of what it imports from ours: if either changes it is made again, and
    so is a damaged copy.

    Raises:
        IntegrityError: a source is not what its format promises.
        EnvironmentFault: the cache cannot be written, or a library is missing.
    """
    facts = {
        "sources": [[source.name, sha256_of(source)] for source in sources],
        "converter": converter,
        "code": _code(converter),
    }
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    folder = (root or cache_root()) / "converted" / task / f"{converter.partition(':')[2]}-{key}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            arrays = _read(folder)
            if arrays is None:
                shutil.rmtree(folder, ignore_errors=True)
                _make(folder, task, sources, converter, facts, memory_mb, seconds)
                arrays = _read(folder)
    except OSError as error:
        raise EnvironmentFault(
            f"the cache '{folder.parent}' cannot be used: {error.strerror or error}", hint=f"set {ROOT_VARIABLE} to a writable folder"
        ) from error
    if arrays is None:
        raise EnvironmentFault(f"the converted copy in '{folder}' changes while it is read", hint=f"set {ROOT_VARIABLE} to a folder on a sound disk")
    return arrays


def _code(converter: str) -> str:
    return Code().closure([converter, "pare_bench.datasets.unpickle"]).sha256


def _read(folder: Path) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of a sound copy, else None; one that is there and damaged is named in a warning."""
    if not folder.exists():
        return None
    try:
        manifest = opened((folder / _MANIFEST).read_text("utf-8"), needs_seal=False)
        if sha256_of(folder / _DATA) != manifest["sha256"]:
            raise ValueError("its content has changed on disk")
        return map_arrays(folder / _DATA)
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"the converted copy in '{folder}' is damaged and made again: {error}", stacklevel=2)
        return None


def _make(folder: Path, task: str, sources: Sequence[Path], converter: str, facts: dict[str, Any], memory_mb: int, seconds: int) -> None:
    # Imported here: only this function starts processes, and readers of sound copies need not load it.
    from pare_bench.datasets.sandbox import convert_apart

    for left_over in folder.parent.glob(f".{glob.escape(folder.name)}.*"):
        shutil.rmtree(left_over, ignore_errors=True)  # of a process that was killed: nobody else is here while we hold the lock
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        failure = convert_apart(converter, sources, temporary / _DATA, memory_mb=memory_mb, seconds=seconds)
        if failure:
            raise _error(failure, task, sources)
        manifest = {**facts, "sha256": sha256_of(temporary / _DATA), "bytes": (temporary / _DATA).stat().st_size}
        write_atomically(temporary / _MANIFEST, sealed(manifest, indent=1))
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _error(failure: dict[str, str], task: str, sources: Sequence[Path]) -> PareBenchError:
    kinds: dict[str, type[PareBenchError]] = {"missing": DataMissingError, "environment": EnvironmentFault}
    names = f"'{sources[0]}'" + (f" (and {len(sources) - 1} more)" if len(sources) > 1 else "") if sources else f"task '{task}'"
    hint = f"rm '{sources[0]}' && pare-bench data fetch {task}" if sources and failure["kind"] == "integrity" else f"pare-bench data status {task}"
    message = failure["message"] if "own" in failure else f"{names} cannot be read: {failure['message']}"
    return kinds.get(failure["kind"], IntegrityError)(message, hint=failure.get("hint", hint))
