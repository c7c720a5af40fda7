"""Darcy flow of PDEBench: from the permeability of a porous medium to the pressure in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Parameter

from pare_bench.builtin.suites.pdebench import official_data
from pare_bench.builtin.suites.pdebench.evolution import PUBLISHED_METRICS, channel_score, median_score
from pare_bench.builtin.suites.pdebench.published_files import declared
from pare_bench.contracts.params import Params as BaseParams
from pare_bench.contracts.task import Field, InputShape, Metric, Split, Splits, TaskSize, Track
from pare_bench.datasets.simulated import SimulatedTask
from pare_bench.simulators.pde import porous

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files


class Darcy2d(SimulatedTask):
    """Coefficient nu (1 or 0.1) on 64 x 64 -> u with -div(nu grad u) = 1, u = 0 around the unit square.

    Published is a frame at t = 1.75 of u_t = div(nu grad u) + 0.1 from an initial field that the model never sees. Where nu is small the transient
    has not died out by then, so that even the exact steady solution misses the target by 0.10 to 0.15 on average. The well-posed law asks for
    the steady solution itself, which is linear in beta; beta = 1. The released loader takes every second of 128 x 128 cells; here the equation is
    solved on the cells that are stored.
    """

    class Params(BaseParams):
        """``points`` is 128 in the published data and 64 in the released loader."""

        points: Literal[32, 64, 128] = 64
        law: Literal["well_posed", "published"] = Parameter(
            "well_posed", description="published: the task as the released loaders make it, with its defects (track paper)"
        )

    params: Params
    name = "darcy_2d"
    version = 1
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 5}}
    released_configurations: ClassVar = {"orca": "PDE-Darcy"}
    inputs = InputShape(1, (64, 64))
    target = Field((64, 64))
    metrics = (Metric("nrmse", channel_score), Metric("nrmse_median", median_score))
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 200, 400)}
    preset_params: ClassVar = {"smoke": {"points": 32}, "paper": {"points": 64}}
    official_files = declared(name)
    released_params: ClassVar = {"law": "published"}
    chunk = 50

    def __init__(self, params: BaseParams | None = None) -> None:
        super().__init__(params)
        grid = (self.params.points, self.params.points)
        self.inputs, self.target = InputShape(1, grid), Field(grid)  # type: ignore[misc]
        if self.params.law == "published":
            self.metrics = PUBLISHED_METRICS  # type: ignore[misc]

    def released_metrics(self, batch_size: int) -> tuple[Metric, ...]:
        """Return the released score alone, over chunks of 100 as released for this task."""
        from pare_bench.scoring.tracks import chunked

        return (Metric("nrmse", chunked(self.metrics[0].compute, batch_size, at_least=100)),)

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002 - chunks differ by their stream alone
        """Return ``count`` examples; under the well-posed law the input is 1 where nu is 1, -1 where it is 0.1."""
        coefficient = porous.coefficients(count, self.params.points, rng)
        if self.params.law == "published":
            targets = porous.transient(coefficient, porous.initial_fields(count, self.params.points, rng))
            inputs = coefficient
        else:
            targets = porous.steady(coefficient)
            inputs = np.where(coefficient == porous.HIGH, 1.0, -1.0)
        return Split(inputs[:, None].astype(np.float32), targets.astype(np.float32))

    def official(self, files: Files, track: Track) -> Splits:
        """Return the published samples, read when a batch asks for them; under both laws the target is the stored frame.

        Raises:
            DataMissingError: the file is not there.
            IntegrityError: the file is not as published, or has too few samples.
        """
        kept = official_data.kept(files, self.name, "published", self.params.points, 1, track)
        shape = (self.params.points, self.params.points)

        def inputs(first: NDArray[np.generic]) -> NDArray[np.generic]:
            return first if self.params.law == "published" else (2 * first - (porous.HIGH + porous.LOW)) / (porous.HIGH - porous.LOW)  # type: ignore[operator]

        splits = {
            name: Split(
                official_data.examples(kept.first, rows, inputs, (1, *shape)),
                official_data.examples(kept.later, rows, lambda later: later[:, 0, 0], shape),
            )
            for name, rows in kept.rows.items()
        }
        return Splits(**splits)
