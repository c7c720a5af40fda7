"""Diffusion-reaction in two dimensions: patterns of an activator and an inhibitor grow out of noise."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.pdebench.evolution import Array, Evolution, EvolutionParams
from pare_bench.contracts.task import Split, TaskSize
from pare_bench.simulators.pde import reaction_diffusion_2d

PUBLISHED_POINTS = 128


class DiffusionReaction2d(Evolution):
    """Activator u and inhibitor v at time 0 on 64 x 64 -> both at time 5 (FitzHugh-Nagumo on [-1, 1]^2, no flux at the walls).

    The released loader shows u at the start and asks for v at the end: v at the start is hidden, so that about 0.51 cannot be reduced. Training takes
    the last frame, t = 5, testing the one before, t = 4.95. The well-posed law shows and asks for both, t = 5 in all splits.

    The start is white noise, which belongs to its grid. Solved on the published 128 x 128 cells, of which means of blocks are kept; inputs have
    deviation 1 again. What the means do not show cannot be predicted: 0.12 at 64 x 64, 0.25 at 32 x 32. The well-posed law keeps the same means of
    the published file (of every second or fourth cell 0.86 and 0.96 could not be predicted).
    """

    class Params(EvolutionParams):
        """``points`` is 128 in the published data."""

        points: Literal[32, 64, 128] = 64

    name = "diffusion_reaction_2d"
    version = 2
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 4}}
    released_configurations: ClassVar = {"orca": "PDE-RD2D"}
    axes = 2
    end = 5.0
    published_ends: ClassVar = (5.0, 4.95)
    quantities: ClassVar = ("activator", "inhibitor")
    scales: ClassVar = ((0.5, 0.0), (0.5, 0.0))
    sizes: ClassVar = {"smoke": TaskSize(48, 24, 48), "cpu": TaskSize(600, 200, 400)}
    preset_params: ClassVar = {"smoke": {"points": 32}, "paper": {"points": 128}}
    chunk = 5

    def trajectories(self, count: int, times: NDArray[np.float64], rng: np.random.Generator) -> Array:
        """Return u and v ``[n 1 + frames 2 points points]``."""
        points = self.params.points
        block = PUBLISHED_POINTS // points
        fine = reaction_diffusion_2d.simulate(count, PUBLISHED_POINTS, times, rng)
        return fine.reshape(count, -1, 2, points, block, points, block).mean(axis=(4, 6))

    def published_split(self, first: NDArray[np.float32], last: NDArray[np.float32]) -> Split:
        """Return the activator at the start and the inhibitor at the end, as the released loader pairs them."""
        return Split(first[:, :1], last[:, 1])
