"""Advection: a wave is carried along unchanged."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.pdebench.evolution import Array, Evolution
from pare_bench.simulators.pde import advection
from pare_bench.simulators.pde.initial import PUBLISHED_POINTS


class Advection(Evolution):
    """u at time 0 on 256 points -> u at time 2; u_t + 0.4 u_x = 0 on a circle of length 1.

    The published task as it is: both laws are the same. Solved on 1024 cells, of which every fourth is kept, as the released loader does. The map
    is a shift by 0.8 of the circle, 204.8 cells.
    """

    name = "advection"
    version = 1
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 7}}
    released_configurations: ClassVar = {"orca": "PDE-ADV"}
    end = 2.0
    published_ends: ClassVar = (2.0, 2.0)
    preset_params: ClassVar = {"smoke": {"points": 64}, "paper": {"points": 256}}

    def trajectories(self, count: int, times: NDArray[np.float64], rng: np.random.Generator) -> Array:
        """Return u ``[n 1 + frames 1 points]``; grids that do not divide 1024 are solved as they are."""
        points = self.params.points
        every = PUBLISHED_POINTS // points if PUBLISHED_POINTS % points == 0 else 1
        return advection.simulate(count, points * every, times, rng)[:, :, None, ::every]
