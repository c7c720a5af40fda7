"""A small Spherical file in the published form: a compressed pickle of two dictionaries."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np

SIZES = {"train": 50, "test": 12}


def content(seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """``images`` uint8 ``[n 3 60 60]`` and ``labels`` ``[n]`` of both parts."""
    rng = np.random.default_rng(seed)
    return {
        part: {"images": rng.integers(0, 256, (count, 3, 60, 60), np.uint8), "labels": rng.integers(0, 100, count)} for part, count in SIZES.items()
    }


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``spherical/s2_cifar100.gz``."""
    write_content(root, content(seed))


def write_content(root: Path, value: object) -> Path:
    """Write any value as ``spherical/s2_cifar100.gz``."""
    path = root / "spherical" / "s2_cifar100.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb", compresslevel=1) as stream:
        pickle.dump(value, stream)
    return path
