"""Burgers: waves steepen into shocks, which merge."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.pdebench.evolution import Array, Evolution
from pare_bench.simulators.pde import burgers

#: Cells per stored point: a shock is a few thousandths wide.
REFINEMENT = 2


class Burgers(Evolution):
    """u at time 0 on 256 points -> u at time 2; u_t + (u^2 / 2)_x = (nu / pi) u_xx on a circle of length 1.

    Published is viscosity nu = 1, at which the target is a constant: the mean of the input (its spatial deviation is below 1e-11; in the published
    files, which were computed in single precision, about 1e-4). The well-posed law takes nu = 0.01, also published by PDEBench, under which shocks
    form, run and merge. Solved on twice as many cells, of which means are kept.
    """

    name = "burgers"
    version = 1
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 8}}
    released_configurations: ClassVar = {"orca": "PDE-Burgers"}
    end = 2.0
    published_ends: ClassVar = (2.0, 2.0)

    def trajectories(self, count: int, times: NDArray[np.float64], rng: np.random.Generator) -> Array:
        """Return u ``[n 1 + frames 1 points]``."""
        if self.params.law == "published":
            return burgers.simulate(count, self.params.points, times, rng, nu=1.0)[:, :, None]
        fine = burgers.simulate(count, REFINEMENT * self.params.points, times, rng, nu=0.01)
        return fine.reshape(count, -1, 1, self.params.points, REFINEMENT).mean(axis=4)
