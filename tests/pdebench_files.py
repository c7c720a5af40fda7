"""Small PDEBench files in the three published layouts; values are random, so that no two frames, samples or cells are alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import Task

SAMPLES = 20
#: task: file, layout, datasets, frames, time of the last frame, cells per side.
LAYOUTS = {
    "advection": ("1D_Advection_Sols_beta0.4.hdf5", "stacked", ("tensor",), 201, 2.0, (256,)),
    "burgers": ("1D_Burgers_Sols_Nu1.0.hdf5", "stacked", ("tensor",), 201, 2.0, (64,)),
    "diffusion_reaction_1d": ("ReacDiff_Nu0.5_Rho1.0.hdf5", "stacked", ("tensor",), 101, 1.0, (64,)),
    "diffusion_sorption": ("1D_diff-sorp_NA_NA.h5", "groups", ("u",), 101, 500.0, (64,)),
    "navier_stokes_1d": ("1D_CFD_Rand_Eta0.1_Zeta0.1_periodic_Train.hdf5", "stacked", ("density", "Vx", "pressure"), 101, 1.0, (64,)),
    "darcy_2d": ("2D_DarcyFlow_beta0.1_Train.hdf5", "darcy", ("nu", "tensor"), 1, 0.0, (64, 64)),
    "shallow_water": ("2D_rdb_NA_NA.h5", "groups", ("h",), 101, 1.0, (32, 32)),
    "diffusion_reaction_2d": ("2D_diff-react_NA_NA.h5", "groups", ("u", "v"), 101, 5.0, (32, 32)),
    "navier_stokes_2d": (
        "2D_CFD_Rand_M1.0_Eta0.1_Zeta0.1_periodic_128_Train.hdf5",
        "stacked",
        ("density", "Vx", "Vy", "pressure"),
        21,
        1.0,
        (64, 64),
    ),
}


def place(root: Path, task: str) -> Path:
    """Return where the file of ``task`` belongs."""
    return root / task / LAYOUTS[task][0]


def write(root: Path, task: str, *, seed: int = 0, samples: int = SAMPLES, grid: tuple[int, ...] | None = None) -> Path:
    """Write the file of one task, ``samples`` of them; return its path."""
    path, (_, layout, names, frames, end, usual) = place(root, task), LAYOUTS[task]
    grid = grid or usual
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    times = np.linspace(0, end, frames, dtype=np.float32)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32) + 2

    with h5py.File(path, "w") as file:
        if layout == "stacked":
            for name in names:
                file["/" + name] = drawn(samples, frames, *grid)
            # One time more than there are frames, as published.
            file["t-coordinate"] = np.append(times, times[-1] + times[1])
            file.attrs["beta"] = 0.4
        elif layout == "darcy":
            file["nu"] = np.where(drawn(samples, *grid) > 2, np.float32(1), np.float32(0.1))
            file["tensor"] = drawn(samples, 1, *grid)
            file["t-coordinate"] = np.zeros(1, np.float32)
        else:
            for index in range(samples):
                group = file.create_group(f"{index:04d}")
                group["data"] = drawn(frames, *grid, len(names))
                group["grid/t"], group["grid/x"] = times, np.arange(grid[0], dtype=np.float32)
                group.attrs["config"] = "!!python/object/apply:os.system ['touch canary']\n"
        if layout != "groups":
            file["x-coordinate"] = np.arange(grid[0], dtype=np.float32)
    return path


def undigested(task: type[Task]) -> tuple[OfficialFile, ...]:
    """Return the files that ``task`` declares without their digests, which are those of the published files."""
    return tuple(replace(file, md5=None, sha256=None) for file in task.official_files)
