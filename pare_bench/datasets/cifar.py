"""Read CIFAR-10 and CIFAR-100 as their authors publish them: Python pickles, in one archive or unpacked.

Layouts (https://www.cs.toronto.edu/~kriz/cifar.html):

- ``cifar-10-batches-py/data_batch_1`` .. ``data_batch_5`` and ``test_batch`` in ``cifar-10-python.tar.gz``; labels under the key ``labels``;
- ``cifar-100-python/train`` and ``test`` in ``cifar-100-python.tar.gz``; labels under the key ``fine_labels``.

Each pickle is a dictionary with ``data``, uint8 ``[n 3072]``: the red, green and blue planes of 32 x 32 one after the other. Keys are text or
bytes, depending on how a file was made. Nothing is unpacked to disk, and the pickles are opened by the restricted unpickler alone.
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pare_bench.datasets import unpickle
from pare_bench.errors import IntegrityError

CIFAR10 = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
CIFAR100 = ("train", "test")

#: Paths of the pickles below the archive's root, training batches in their order, the test batch last.
CIFAR10_MEMBERS = tuple(f"cifar-10-batches-py/{name}" for name in CIFAR10)
CIFAR100_MEMBERS = tuple(f"cifar-100-python/{name}" for name in CIFAR100)

SHAPE = (3, 32, 32)
#: No published batch is larger than 160 MB.
LARGEST_BATCH = 1 << 30


def convert_cifar10(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Return ``{train,test}_images`` uint8 ``[n 3 32 32]`` and ``{train,test}_labels`` int64 ``[n]`` in 0 .. 9, in file order.

    ``sources`` is the archive alone, or the unpacked pickles (any order; they are told apart by their names).

    Raises:
        IntegrityError: a file is missing in the archive, is damaged, or does not hold images and labels.
    """
    return _convert(sources, CIFAR10, "labels", 10)


def convert_cifar100(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Return ``{train,test}_images`` uint8 ``[n 3 32 32]`` and ``{train,test}_labels`` int64 ``[n]``, the fine labels 0 .. 99, in file order.

    ``sources`` is the archive alone, or the unpacked pickles (any order; they are told apart by their names).

    Raises:
        IntegrityError: a file is missing in the archive, is damaged, or does not hold images and labels.
    """
    return _convert(sources, CIFAR100, "fine_labels", 100)


def _convert(sources: Sequence[Path], names: tuple[str, ...], label_key: str, classes: int) -> dict[str, NDArray[np.generic]]:
    pickles = _from_archive(sources[0], names) if len(sources) == 1 else _from_folder(sources, names)
    batches = [_batch(path, content, label_key, classes) for path, content in pickles]
    parts = {"train": batches[:-1], "test": batches[-1:]}
    return {
        f"{part}_{kind}": np.concatenate([batch[position] for batch in chosen])
        for part, chosen in parts.items()
        for position, kind in enumerate(("images", "labels"))
    }


def _from_folder(sources: Sequence[Path], names: tuple[str, ...]) -> list[tuple[str, Any]]:
    paths = {path.name: path for path in sources}
    pickles = []
    for name in names:
        with paths[name].open("rb") as stream:
            pickles.append((str(paths[name]), _unpickled(stream, str(paths[name]))))
    return pickles


def _from_archive(archive: Path, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    found: dict[str, Any] = {}
    try:
        # A stream, because a compressed archive cannot be searched without unpacking it again for every member.
        with tarfile.open(archive, "r|*") as members:
            for member in members:
                name = Path(member.name).name
                if not member.isreg() or name not in names:
                    continue
                if member.size > LARGEST_BATCH:
                    raise IntegrityError(f"'{archive}' holds '{member.name}' of {member.size} bytes, at most {LARGEST_BATCH} were expected")
                content = members.extractfile(member)
                found[name] = _unpickled(io.BytesIO(content.read() if content else b""), f"{archive}:{name}")
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, TypeError) as error:
        raise IntegrityError(f"'{archive}' is not a whole tar archive: {error}") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise IntegrityError(f"'{archive}' does not hold '{missing[0]}'")
    return [(f"{archive}:{name}", found[name]) for name in names]


def _unpickled(stream: IO[bytes], path: str) -> Any:
    try:
        return unpickle.load(stream)
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise IntegrityError(f"'{path}' cannot be read: {error or 'it ends early'}") from error


def _batch(path: str, content: Any, label_key: str, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images and labels of one pickle after checking them."""
    if not isinstance(content, Mapping):
        raise IntegrityError(f"'{path}' holds a {type(content).__name__}, a dictionary was expected")
    fields = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    for key in ("data", label_key):
        if key not in fields:
            raise IntegrityError(f"'{path}' has no field '{key}'")
    images, labels = np.asarray(fields["data"]), np.asarray(fields[label_key])
    if images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] != np.prod(SHAPE):
        raise IntegrityError(f"'{path}' has images of type {images.dtype} and shape {images.shape}, uint8 (n, 3072) were expected")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise IntegrityError(f"'{path}' has labels of type {labels.dtype} and shape {labels.shape}, integers ({len(images)},) were expected")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise IntegrityError(f"'{path}' has labels from {labels.min()} to {labels.max()}, 0 to {classes - 1} were expected")
    return images.reshape(-1, *SHAPE), labels.astype(np.int64)
