"""Diffusion-reaction in one dimension: a population spreads and grows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.pdebench.evolution import Array, Evolution
from pare_bench.simulators.pde import reaction_diffusion


class DiffusionReaction1d(Evolution):
    """u at time 0 on 256 points -> u at time 1; u_t = 0.5 u_xx + u (1 - u) on a circle of length 1, u0 in [0, 1].

    The released loader trains on the frame of t = 0.29 and tests on that of t = 0.99: a perfect fit to the training target scores 0.217. The
    well-posed law has the last frame, t = 1, in all splits. Either way diffusion is so strong that the target is nearly constant in space: logistic
    growth of the mean scores 0.001, so the task asks for one number.
    """

    name = "diffusion_reaction_1d"
    version = 1
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 6}}
    released_configurations: ClassVar = {"orca": "PDE-RD"}
    end = 1.0
    published_ends: ClassVar = (0.29, 0.99)
    scales: ClassVar = ((0.25, 0.5),)

    def trajectories(self, count: int, times: NDArray[np.float64], rng: np.random.Generator) -> Array:
        """Return u ``[n 1 + frames 1 points]``."""
        return reaction_diffusion.simulate(count, self.params.points, times, rng)[:, :, None]
