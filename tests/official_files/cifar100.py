"""Small CIFAR-100 files in the published form: pickled dictionaries, in an archive or unpacked."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np

SIZES = {"train": 50, "test": 12}
FOLDER = "cifar-100-python"


def arrays(part: str, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Rows of 3072 bytes and fine labels; every byte and label is different from part to part."""
    rng = np.random.default_rng([seed, len(part)])
    return rng.integers(0, 256, (SIZES[part], 3072), np.uint8), rng.integers(0, 100, SIZES[part]).tolist()


def pickled(part: str, seed: int = 0, *, text_keys: bool = False) -> bytes:
    """One published pickle; the published ones come from Python 2, whose strings are bytes."""
    data, labels = arrays(part, seed)
    coarse = [label // 5 for label in labels]
    names = [f"{part}_{number}.png".encode() for number in range(len(labels))]
    fields = {b"data": data, b"fine_labels": labels, b"coarse_labels": coarse, b"filenames": names, b"batch_label": part.encode()}
    return pickle.dumps({key.decode(): value for key, value in fields.items()} if text_keys else fields, protocol=2)


def write(root: Path, *, seed: int = 0, text_keys: bool = False) -> None:
    """Write ``cifar100/cifar-100-python/{train,test,meta}`` (unpacked: the archive's MD5 is published and cannot be had with other content)."""
    folder = root / "cifar100" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for part in SIZES:
        (folder / part).write_bytes(pickled(part, seed, text_keys=text_keys))
    (folder / "meta").write_bytes(pickle.dumps({b"fine_label_names": [b"apple"] * 100}, protocol=2))


def write_archive(root: Path, *, seed: int = 0, parts: tuple[str, ...] = ("meta", "test", "train"), mode: str = "w:gz") -> Path:
    """Write ``cifar100/cifar-100-python.tar.gz`` with the members in another order than they are used."""
    path = root / "cifar100" / "cifar-100-python.tar.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        folder = tarfile.TarInfo(FOLDER)
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for part in parts:
            content = pickle.dumps({}) if part == "meta" else pickled(part, seed)
            member = tarfile.TarInfo(f"{FOLDER}/{part}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
