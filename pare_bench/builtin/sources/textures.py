"""Proxy task of the vision modality whose class survives mixing: which of 64 textures is this."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pare_bench import metrics
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, TaskSize
from pare_bench.datasets.simulated import SimulatedTask
from pare_bench.simulators.textures import CLASSES, render_textures


class Textures(SimulatedTask):
    """Colour images of 56x56 pixels, 64 classes of textures (8 motifs x 8 pairs of colours) in blobs on smooth ground; error rate.

    The class can be told from single patches, so it is still there when patches of the image stand, scattered, among another modality's.
    ``nano_swin`` was pretrained on other instances of these classes. ``extras["foreground"]`` bool [n 56 56] marks the textured pixels, the label of
    a dense source loss. Inputs are in [0, 1] and stored in half precision. Splits differ in instances (wave length, direction, colours, contrast,
    blobs, ground), never in classes. See ``pare_bench.simulators.textures`` for how they are drawn.
    """

    name = "textures"
    version = 1
    inputs = InputShape(3, (56, 56))
    target = Classes(CLASSES)
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    sizes: ClassVar[dict[str, TaskSize]] = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(2000, 200, 200)}
    chunk = 64

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002 - every chunk is alike
        """Return ``count`` images, evenly over the classes in random order."""
        labels = rng.permutation(np.arange(count) % self.target.num)
        images, masks = render_textures(labels, rng, size=self.inputs.grid[0])
        return Split(images.astype(np.float16), labels.astype(np.int64), {"foreground": masks})
