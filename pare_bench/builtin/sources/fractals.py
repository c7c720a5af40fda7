"""Proxy task of the vision modality: which of 64 fractals is this."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pare_bench import metrics
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, TaskSize
from pare_bench.datasets.simulated import SimulatedTask
from pare_bench.simulators.fractals import default_systems, render_fractals


class Fractals(SimulatedTask):
    """Colour images of 56x56 pixels, 64 classes of iterated-function systems on cluttered ground; error rate.

    The classes are the first 64 of those that ``nano_swin`` was pretrained on, as ORCA's and PaRe's source data are of the kind that their
    backbones know; the instances are others. ``extras["foreground"]`` bool [n 56 56] marks the visible pixels of the fractal, the label of a
    dense source loss. Inputs are in [0, 1] and stored in half precision. Splits differ in instances (coefficients varied by up to 10 %, pose,
    colour, ground), never in systems. See ``pare_bench.simulators.fractals`` for how they are drawn.
    """

    name = "fractals"
    version = 1
    inputs = InputShape(3, (56, 56))
    target = Classes(64)
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    real: ClassVar[str | None] = "grounds are partly crops of scikit-image's bundled photographs"
    sizes: ClassVar[dict[str, TaskSize]] = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(2000, 200, 200)}
    chunk = 64

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002 - every chunk is alike
        """Return ``count`` images, evenly over the systems in random order."""
        labels = rng.permutation(np.arange(count) % self.target.num)
        images, masks = render_fractals(labels, rng, size=self.inputs.grid[0], systems=default_systems(self.target.num))
        return Split(images.astype(np.float16), labels.astype(np.int64), {"foreground": masks})
