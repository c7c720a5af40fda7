"""Small Cosmic folders in the published layout: ``npy_<part>/<filter>/<proposal>/<visit>/<k>_<name>.npy`` and ``sky.npy``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

#: Visits with a resolved galaxy and the files of each; the last visit of each part has no sky.npy.
VISITS = {"train": {"9490/a3": 14, "10760/2": 18, "13737/3": 8}, "test": {"10342/3": 7, "12058/16": 5}}
SIDE = 256


def planes(rng: np.random.Generator, count: int = 3) -> np.ndarray:
    """Image in counts, mask and ignored pixels, float32 [count 256 256]."""
    image = rng.normal(40, 15, (SIDE, SIDE))
    mask = rng.random((SIDE, SIDE)) < 0.03
    return np.stack([image + 900 * mask, mask, rng.random((SIDE, SIDE)) < 0.01])[:count].astype(np.float32)


def write(root: Path, *, seed: int = 0) -> None:
    """Write both parts below ``cosmic``, with a visit and a filter that are not part of the task; one file of each part has two planes."""
    rng = np.random.default_rng(seed)
    for part, visits in VISITS.items():
        base = root / "cosmic" / f"npy_{part}"
        for number, (visit, count) in enumerate([*visits.items(), ("10631/3", 2)]):
            folder = base / "f435w" / visit
            folder.mkdir(parents=True)
            for index in range(count):
                np.save(folder / f"{index + 1}_{rng.integers(1000)}.npy", planes(rng, 2 if (number, index) == (0, 1) else 3))
            if number != len(visits) - 1:
                np.save(folder / "sky.npy", rng.uniform(5, 60, count))
        (base / "f606w" / "10760" / "2").mkdir(parents=True)
        np.save(base / "f606w" / "10760" / "2" / "1_0.npy", planes(rng))
