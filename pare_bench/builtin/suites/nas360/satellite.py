"""Satellite: land cover from one year of a vegetation index."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench import metrics
from pare_bench.builtin.suites.nas360 import satellite_files
from pare_bench.contracts.examples import mapped
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import SPLIT_NAMES, Classes, InputShape, Metric, Split, Splits, TaskSize, Track
from pare_bench.datasets.simulated import SimulatedTask
from pare_bench.errors import IntegrityError
from pare_bench.simulators import phenology

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

SCENES_PER_CHUNK = 4


def _series(data: NDArray[np.generic], label: NDArray[np.generic], prepare: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Split:
    """Return the series as examples that are read and prepared, in float64, when they are asked for."""
    inputs = mapped(data, lambda values: prepare(values.astype(np.float64))[:, None, :], (1, satellite_files.STEPS), np.float32)
    return Split(inputs, np.array(label))


class Satellite(SimulatedTask):
    """One channel of 46 values, a year of a vegetation index in steps of 8 days -> one of 24 land covers; error rate.

    The published task is a million pixels of a 2006 Formosat-2 series over south-west France (Petitjean, Inglada and Gancarski, IEEE TGRS
    50, 2012). The twin draws parcels of 24 land covers from double-logistic phenology (see ``pare_bench.simulators.phenology``): sowing,
    vigour and mowing differ between parcels, year, latitude and clouds between scenes, two covers have two crops a year, and undetected
    clouds leave negative outliers. Scenes are never shared between splits or chunks; labels are balanced, the published ones are not.

    Scale: each series is standardised, (x - mean) / std over its 46 steps, as NAS-Bench-360 does; ORCA and PaRe feed the published file
    unchanged, whose scale is not documented. Before that the values are NDVI in [-1, 1].

    Left out: other bands, mixed pixels, irregular acquisition dates, crop rotation, label errors, neighbouring pixels of one field.

    **Official tier.** ``satellite_train.npy`` (900,000 series) and ``satellite_test.npy`` (100,000), labels 1..24 become 0..23.

    - ``clean``: every series standardised as above; validation is the last ninth of the training file, 100,000 of 900,000, as NAS-Bench-360 does
      (its rule is "as many as there are test series", the same at the published size). Deviation: a constant series becomes zeros
      (published: NaN).
    - ``paper``: values as stored, the whole training file, validation = test, as ORCA and PaRe do. The error rate is averaged over chunks
      in file order.

    Metrics and targets are those of the twin; there are no ``groups``, because the files do not say which parcel a series is from.

    Measured at size ``cpu`` (600 training examples, error on 400): constant 0.958; a three-layer 1-D convolution network (48, 64, 64
    channels, kernels 7, 5, 3, batch norm, dropout 0.4; AdamW, one-cycle peak 5e-3, batch 32, 40 epochs, 4 s) 0.295, 0.305, 0.295 (3 seeds).
    The Bayes rate is not known in closed form; the same network trained on 20,000 examples reaches 0.14, which bounds it from above.
    """

    name = "satellite"
    version = 2
    streams = 1
    inputs = InputShape(1, (phenology.STEPS,))
    target = Classes(len(phenology.CROPS))
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    real = None
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 400, 2000)}
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 14}}
    released_configurations: ClassVar = {"pare": "SATELLITE", "orca": "SATELLITE"}
    chunk = 48
    official_files = (
        OfficialFile("satellite_train.npy", ("https://pde-xd.s3.amazonaws.com/satellite/satellite_train.npy",)),
        OfficialFile("satellite_test.npy", ("https://pde-xd.s3.amazonaws.com/satellite/satellite_test.npy",)),
    )

    def official(self, files: Files, track: Track) -> Splits:
        """Read the published series (see the class); they stay on disk until asked for.

        Raises:
            DataMissingError: a file is not there.
            IntegrityError: a file is not what its format promises.
        """
        train, test = (files.converted(file.path, f"{satellite_files.__name__}:convert") for file in self.official_files)
        if track == "paper":
            scored = _series(test["data"], test["label"], np.asarray)
            return Splits(_series(train["data"], train["label"], np.asarray), scored, scored)
        first_held_out = len(train["data"]) - max(len(train["data"]) // 9, 1)
        if first_held_out == 0:
            raise IntegrityError("satellite: 1 training series is too few to set one apart for validation")
        return Splits(
            _series(train["data"][:first_held_out], train["label"][:first_held_out], phenology.standardise),
            _series(train["data"][first_held_out:], train["label"][first_held_out:], phenology.standardise),
            _series(test["data"], test["label"], phenology.standardise),
        )

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:
        """Return ``count`` parcels, evenly over the crops in random order, in four scenes (``extras["groups"]``) that no other chunk shares."""
        labels = rng.permutation(np.arange(count) % self.target.num)
        scene = np.arange(count) * SCENES_PER_CHUNK // count
        parcels = phenology.simulate_parcels(labels, scene, rng)
        series = phenology.standardise(parcels.observed).astype(np.float32)
        first = SPLIT_NAMES.index(split) * 10**9 + index * SCENES_PER_CHUNK
        return Split(series[:, None, :], labels.astype(np.int64), {"groups": (first + scene).astype(np.int64)})
