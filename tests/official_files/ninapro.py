"""Small NinaPro files in the published form: six npy arrays.

Their MD5 digests are published, so these are read with ``official_files`` set to :func:`undigested`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pare_bench.builtin.suites.nas360.ninapro import Ninapro
from pare_bench.contracts.files import OfficialFile

SIZES = {"train": 40, "val": 12, "test": 13}


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """``ninapro_* [n 52 16]`` float64 and ``label_* [n]`` in 0..17, all gestures in the training part."""
    rng = np.random.default_rng(seed)
    windows = {f"ninapro_{part}": rng.standard_normal((count, 52, 16)) for part, count in SIZES.items()}
    return windows | {f"label_{part}": rng.permutation(np.arange(count) % 18).astype(np.float64) for part, count in SIZES.items()}


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``ninapro/ninaPro/{ninapro,label}_{train,val,test}.npy``."""
    folder = root / "ninapro" / "ninaPro"
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays(seed).items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def undigested() -> tuple[OfficialFile, ...]:
    """The declared files without the digests of the published content."""
    return tuple(replace(file, md5=None) for file in Ninapro.official_files)
