"""Diffusion-sorption: a solute seeps into the ground and sticks to it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.pdebench.evolution import Array, Evolution
from pare_bench.simulators.pde import diffusion_sorption


class DiffusionSorption(Evolution):
    """Concentration at time 0 on 256 points -> at time 500; u_t = D / R(u) u_xx with the Freundlich retardation factor R.

    The start is a constant in space, u0 ~ U(0, 0.2): the task is one function of one number for each point. Published training takes the last frame,
    t = 500, testing the one before, t = 495; the well-posed law has t = 500 in all splits.
    """

    name = "diffusion_sorption"
    version = 1
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 4}}
    released_configurations: ClassVar = {"orca": "PDE-DS"}
    end = 500.0
    published_ends: ClassVar = (500.0, 495.0)
    scales: ClassVar = ((0.06, 0.1),)

    def trajectories(self, count: int, times: NDArray[np.float64], rng: np.random.Generator) -> Array:
        """Return u ``[n 1 + frames 1 points]``."""
        return diffusion_sorption.simulate(count, self.params.points, times, rng)[:, :, None]
