"""Small Darcy files in the published layout: ``coeff`` and ``sol`` of 421 x 421 nodes, as MATLAB 5 or MATLAB 7.3 (HDF5)."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

NAMES = ("piececonst_r421_N1024_smooth1.mat", "piececonst_r421_N1024_smooth2.mat")
COUNTS = (20, 6)
SIDE = 421


def fields(count: int, seed: int) -> dict[str, np.ndarray]:
    """Two-phase coefficients in blocks of 20 nodes and solutions of a few waves, float64 [count 421 421]; neither is symmetric."""
    rng = np.random.default_rng(seed)
    blocks = np.where(rng.random((count, 22, 22)) < 0.5, 3.0, 12.0)
    coefficient = np.repeat(np.repeat(blocks, 20, axis=1), 20, axis=2)[:, :SIDE, :SIDE]
    place = np.linspace(0, 1, SIDE)
    rows, columns = (np.sin(np.pi * (rng.uniform(1, 3, (count, 1)) * place + rng.uniform(0, 1, (count, 1)))) for _ in range(2))
    return {"coeff": coefficient, "sol": 0.006 + 0.004 * rows[:, :, None] * columns[:, None, :]}


def write_matlab_5(path: Path, values: dict[str, np.ndarray]) -> None:
    """Write a compressed MATLAB 5 file with one more field, as published."""
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {**values, "Kcoeff": np.zeros((2, 3))}, do_compression=True)


def write_matlab_73(path: Path, values: dict[str, np.ndarray]) -> None:
    """Write what MATLAB's ``save -v7.3`` does: HDF5 behind a header of 512 bytes, axes in reverse order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in values.items():
            file.create_dataset(name, data=array.T).attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def write(root: Path, *, seed: int = 0) -> None:
    """Write both files below ``darcy_flow``."""
    for number, (name, count) in enumerate(zip(NAMES, COUNTS, strict=True)):
        write_matlab_5(root / "darcy_flow" / name, fields(count, 2 * seed + number))
