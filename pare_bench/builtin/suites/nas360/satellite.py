"""Satellite: land cover from one year of a vegetation index."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pare_bench import metrics
from pare_bench.contracts.task import SPLIT_NAMES, Classes, InputShape, Metric, SimulatedTask, Split, TaskSize
from pare_bench.simulators import phenology

SCENES_PER_CHUNK = 4


class Satellite(SimulatedTask):
    """One channel of 46 values, a year of a vegetation index in steps of 8 days -> one of 24 land covers; error rate.

    The published task is a million pixels of a 2006 Formosat-2 series over south-west France (Petitjean, Inglada and Gancarski, IEEE TGRS
    50, 2012). The twin draws parcels of 24 land covers from double-logistic phenology (see ``pare_bench.simulators.phenology``): sowing,
    vigour and mowing differ between parcels, year, latitude and clouds between scenes, two covers have two crops a year, and undetected
    clouds leave negative outliers. Scenes are never shared between splits or chunks; labels are balanced, the published ones are not.

    Scale: each series is standardised, (x - mean) / std over its 46 steps, as NAS-Bench-360 does; ORCA and PaRe feed the published file
    unchanged, whose scale is not documented. Before that the values are NDVI in [-1, 1].

    Left out: other bands, mixed pixels, irregular acquisition dates, crop rotation, label errors, neighbouring pixels of one field.

    Measured at size ``cpu`` (600 training examples, test error): constant 0.958; a three-layer 1-D convolution network (48, 64, 64
    channels, kernels 7, 5, 3, batch norm, dropout 0.4; AdamW, one-cycle peak 5e-3, batch 32, 40 epochs, 4 s) 0.295, 0.305, 0.295 (3 seeds).
    The Bayes rate is not known in closed form; the same network trained on 20,000 examples reaches 0.14, which bounds it from above.
    """

    name = "satellite"
    version = 1
    inputs = InputShape(1, (phenology.STEPS,))
    target = Classes(len(phenology.CROPS))
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    real = None
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 200, 400)}
    chunk = 48

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:
        """Return ``count`` parcels, evenly over the crops in random order, in four scenes (``extras["groups"]``) that no other chunk shares."""
        labels = rng.permutation(np.arange(count) % self.target.num)
        scene = np.arange(count) * SCENES_PER_CHUNK // count
        parcels = phenology.simulate_parcels(labels, scene, rng)
        series = phenology.standardise(parcels.observed).astype(np.float32)
        first = SPLIT_NAMES.index(split) * 10**9 + index * SCENES_PER_CHUNK
        return Split(series[:, None, :], labels.astype(np.int64), {"groups": (first + scene).astype(np.int64)})
