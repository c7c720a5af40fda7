"""Compressible Navier-Stokes in one dimension: waves and shocks in a tube."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.pdebench.evolution import PUBLISHED_METRICS, Array, Evolution, EvolutionParams, Form
from pare_bench.builtin.suites.pdebench.official_data import changed, sample_moments
from pare_bench.contracts.task import SPLIT_NAMES, Field, InputShape, Split, Splits, TaskSize
from pare_bench.simulators.pde import compressible

EPSILON = 1e-5


class NavierStokes1d(Evolution):
    """Density, velocity and pressure at time 0 on 256 points -> the same at time 1; periodic tube of length 2, eta = zeta = 0.1.

    The released loader lays density, pressure and velocity end to end (768 values here, 3072 in the published data) and normalises inputs and
    targets by mean and deviation of the training inputs at each place; predictions are scored in these units, all fields together. The well-posed
    law keeps three channels, physical units in the target and a score for each quantity.
    """

    name = "navier_stokes_1d"
    version = 1
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 7}}
    released_configurations: ClassVar = {"orca": "PDE-1DCFD"}
    end = 1.0
    published_ends: ClassVar = (1.0, 1.0)
    quantities: ClassVar = ("density", "velocity", "pressure")
    scales: ClassVar = ((3.0, 6.0), (0.8, 0.0), (30.0, 60.0))

    @classmethod
    def published_form(cls, params: EvolutionParams) -> Form:
        """Return one long line in, one out."""
        grid = (3 * params.points,)
        return InputShape(1, grid), Field(grid, persistence=((0, 1.0, 0.0),)), PUBLISHED_METRICS

    def trajectories(self, count: int, times: NDArray[np.float64], rng: np.random.Generator) -> Array:
        """Return the fields ``[n 1 + frames 3 points]``."""
        return compressible.simulate_1d(count, self.params.points, times, rng)

    def published_split(self, first: NDArray[np.float32], last: NDArray[np.float32]) -> Split:
        """Return density, pressure and velocity end to end, not yet normalised."""
        order = [0, 2, 1]
        return Split(first[:, order].reshape(len(first), 1, -1), last[:, order].reshape(len(last), -1))

    def generated(self, seed: int, size: TaskSize) -> Splits:
        """Return the twin, normalised."""
        return self.normalised(super().generated(seed, size))

    def normalised(self, splits: Splits) -> Splits:
        """Return ``splits``, under the published law normalised with the training inputs, one mean and deviation a place."""
        if self.params.law == "well_posed":
            return splits
        mean, std = (moment[0] for moment in sample_moments(splits.train.inputs))
        std = std + EPSILON

        def normalised(values: NDArray[np.generic]) -> NDArray[np.float32]:
            return ((values - mean) / std).astype(np.float32)

        def both(split: Split) -> Split:
            return dataclasses.replace(split, inputs=changed(split.inputs, normalised), targets=changed(split.targets, normalised))

        return Splits(**{name: both(getattr(splits, name)) for name in SPLIT_NAMES})
