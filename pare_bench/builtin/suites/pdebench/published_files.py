"""The published files of PDEBench, one a task: where they are, how they are laid out, and which frames the released loader takes.

Files, digests and addresses: the data set's own list (DaRUS, doi:10.18419/darus-2986); loader: ORCA's classes for PDEBench, which PaRe shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pare_bench.contracts.files import OfficialFile

_ADDRESS = "https://darus.uni-stuttgart.de/api/access/datafile/{id}"
#: Frames that the released loader is asked for in testing, where it falls back to its default.
TEST_FRAMES = 100
#: Share of the samples that test, and in the clean track also of those that validate: one in ten.
SHARE = 10


@dataclass(frozen=True)
class PublishedFile:
    """One published file.

    ``layout``: ``stacked`` has one dataset ``[samples frames *grid]`` for each of ``fields`` and ``t-coordinate``; ``groups`` has a group for each
    sample with ``data`` ``[frames *grid quantities]`` and ``grid/t``; ``darcy`` has ``nu`` ``[samples *grid]`` and ``tensor`` ``[samples 1 *grid]``,
    read as frames 0 and 1. ``fields`` are in the order of the task's quantities. ``every`` and ``train_frames`` are the released loader's stride in
    time and number of frames, of which the last is the target; ``tests`` says which tenth of the samples tests. ``blocks``: under the corrected law
    fewer cells are means of blocks, as what single cells start from decides the end; elsewhere a start is smooth over a few cells, and every k-th
    cell is kept, as the released loaders do everywhere (docs/suites/pdebench-official.md has the measurements).
    """

    file: str
    id: int
    md5: str
    layout: Literal["stacked", "groups", "darcy"]
    fields: tuple[str, ...]
    axes: int
    end: float
    every: int
    train_frames: int
    tests: Literal["first", "last"]
    blocks: bool = False

    def loader_frames(self, count: int) -> tuple[int, int]:
        """Return the frames that the released loader takes as target in training and in testing, of a file with ``count`` frames."""
        kept = -(-count // self.every)
        return (min(self.train_frames, kept) - 1) * self.every, (min(TEST_FRAMES, kept) - 1) * self.every


_PLANE = "2D_CFD_Rand_M1.0_Eta0.1_Zeta0.1_periodic_128_Train.hdf5"
_LINE = "1D_CFD_Rand_Eta0.1_Zeta0.1_periodic_Train.hdf5"
PUBLISHED: Mapping[str, PublishedFile] = {
    "advection": PublishedFile(
        *("1D_Advection_Sols_beta0.4.hdf5", 255674, "d595bbfd2c659df995a93cd40d6ea568", "stacked", ("tensor",)),
        *(1, 2.0, 5, 200, "first"),
    ),
    "burgers": PublishedFile(
        *("1D_Burgers_Sols_Nu1.0.hdf5", 281365, "9021eba35332d127306f11ef84c1a60f", "stacked", ("tensor",)),
        *(1, 2.0, 5, 200, "first"),
    ),
    "diffusion_reaction_1d": PublishedFile(
        *("ReacDiff_Nu0.5_Rho1.0.hdf5", 133177, "69a429239778d529cd419ed5888ea835", "stacked", ("tensor",)),
        *(1, 1.0, 1, 30, "first"),
    ),
    "diffusion_sorption": PublishedFile(
        *("1D_diff-sorp_NA_NA.h5", 133020, "9d466d1213065619d087319e16d9a938", "groups", ("u",)),
        *(1, 500.0, 1, 101, "last"),
    ),
    "navier_stokes_1d": PublishedFile(
        *(_LINE, 164668, "45655bd77d006ab539c52b7fbcf099b9", "stacked", ("density", "Vx", "pressure")),
        *(1, 1.0, 5, 100, "first"),
    ),
    "darcy_2d": PublishedFile(
        *("2D_DarcyFlow_beta0.1_Train.hdf5", 133218, "294f9a03a4aa16b0e386469ca8b471be", "darcy", ("u",)),
        *(2, 1.0, 1, 1000, "first"),
    ),
    "shallow_water": PublishedFile(
        *("2D_rdb_NA_NA.h5", 133021, "75d838c47aa410694bdc912ea7f22282", "groups", ("height",)),
        *(2, 1.0, 1, 101, "last"),
        blocks=True,
    ),
    "diffusion_reaction_2d": PublishedFile(
        *("2D_diff-react_NA_NA.h5", 133017, "b8d0b86064193195ddc30c33be5dc949", "groups", ("activator", "inhibitor")),
        *(2, 5.0, 1, 101, "last"),
        blocks=True,
    ),
    "navier_stokes_2d": PublishedFile(
        *(_PLANE, 164691, "75a34f34a3dcd9bc8ae4b7adf8bf372c", "stacked", ("density", "Vx", "Vy", "pressure")),
        *(2, 1.0, 1, 21, "last"),
    ),
}

#: Files that were published under the same name before: MD5, and why they were replaced. ORCA's numbers for these two tasks belong to them.
REPLACED: Mapping[str, tuple[str, str]] = {
    "advection": (
        "99d57a5a8d660ba2cb824f41e09c6543",
        "as its times or its beta are off by a factor of two (PDEBench issue 46, October 2023)",
    ),
    "burgers": (
        "69c1890c49fc7ba36aac7107c41d5f41",
        "as its x runs over (-1, 1) and its shocks do not move at the speed of the equation (PDEBench issue 51, April 2024)",
    ),
}


def declared(task: str) -> tuple[OfficialFile, ...]:
    """Return what the task says of its file. Sizes are published in round numbers alone, so none is promised."""
    published = PUBLISHED[task]
    replaced = (REPLACED[task],) if task in REPLACED else ()
    return (OfficialFile(published.file, (_ADDRESS.format(id=published.id),), md5=published.md5, replaced=replaced),)
