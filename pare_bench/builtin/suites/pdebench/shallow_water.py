"""Shallow water: a round dam breaks."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.pdebench.evolution import Array, Evolution, EvolutionParams
from pare_bench.simulators.pde import shallow_water


class ShallowWater(Evolution):
    """Height of the water at time 0 on 64 x 64 -> at time 1, after the dam around the higher part has gone; [-2.5, 2.5]^2, g = 1.

    Published: height 2 within a radius ~ U(0.3, 0.7) of the centre, else 1. The solver sees only which cells lie inside, so at most 81 different
    trajectories exist on the published 128 x 128 cells and every test sample is a copy of a training sample; training takes the last frame, t = 1,
    testing the one before, t = 0.99. The well-posed law is ours: radius as published, centre ~ U(-1, 1)^2, height ~ U(1.5, 2.5), mean height in the
    cells on the rim, t = 1 in all splits. Of the published file it keeps means of blocks: of every fourth cell only 28 inputs would differ for 81
    trajectories (``law: published`` on 32 x 32).
    """

    class Params(EvolutionParams):
        """``points`` is 128 in the published data."""

        points: Literal[32, 64, 128] = 64

    name = "shallow_water"
    version = 2
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 5}}
    released_configurations: ClassVar = {"orca": "PDE-SW"}
    axes = 2
    end = 1.0
    published_ends: ClassVar = (1.0, 0.99)
    quantities: ClassVar = ("height",)
    scales: ClassVar = ((0.25, 1.0),)
    preset_params: ClassVar = {"smoke": {"points": 32}, "paper": {"points": 128}}
    chunk = 10

    def trajectories(self, count: int, times: NDArray[np.float64], rng: np.random.Generator) -> Array:
        """Return heights ``[n 1 + frames 1 points points]``."""
        law = shallow_water.simulate_published if self.params.law == "published" else shallow_water.simulate
        return law(count, self.params.points, times, rng)[:, :, None]
