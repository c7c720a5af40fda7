"""The tasks of suite ``ucr``: what they share, then one class for each data set."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pare_bench import metrics
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, Splits, Task, TaskSize, Track
from pare_bench.errors import DataMissingError
from pare_bench.seeds import stream

from pare_bench_ucr.files import Series, padded, read_problem


class ArchiveTask(Task):
    """A series -> its class, as an archive split it; error rate.

    **Split.** Train and test are the archive's own files. Of the training series a fifth of each class (at least one) is validation, drawn from the
    stream ("ucr validation", task, seed), so only ``data_seed`` moves it and no test series is ever learnt from.

    **Scale.** Each channel loses the mean of its training values and is divided by their deviation; the univariate series of equal length come
    normalised each by itself, so there it changes next to nothing.

    **Unequal lengths** are padded at the end, up to the longest series of both files, with zeros after scaling: the mean of the training values.

    ``extras["groups"]`` numbers the series, training file first.
    """

    problem: ClassVar[str]
    version = 1
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    sizes: ClassVar = {}

    def bundled(self, seed: int, track: Track) -> Splits:
        """Return the data set in the installed aeon package.

        Raises:
            DataMissingError: aeon, or a file of it, is not installed.
            IntegrityError: a file is not the one that was pinned.
        """
        (series, labels), (test_series, test_labels) = read_problem(self.problem)
        val = validation_rows(labels, self.name, seed)
        train = np.setdiff1d(np.arange(len(labels)), val)
        values = np.concatenate([series[row] for row in train], axis=1)
        mean, deviation = values.mean(axis=1, keepdims=True), values.std(axis=1, keepdims=True)
        scaled = self._arrays([(each - mean) / deviation for each in series])
        tested = self._arrays([(each - mean) / deviation for each in test_series])
        known = Split(scaled, labels, {"groups": np.arange(len(labels))})
        test = Split(tested, test_labels, {"groups": len(labels) + np.arange(len(test_labels))})
        return self.in_track(Splits(known.take(train), known.take(val), test), track)

    def _arrays(self, series: list[Series]) -> NDArray[np.float32]:
        return padded(series, self.inputs.grid[0]).astype(np.float32)

    def generated(self, seed: int, size: TaskSize) -> Splits:  # noqa: ARG002 - the contract's signature
        """Refuse: nothing is simulated here.

        Raises:
            DataMissingError: always.
        """
        raise DataMissingError(f"task '{self.name}' has no generated data", hint="--tier auto")


def validation_rows(labels: NDArray[np.int64], name: str, seed: int) -> NDArray[np.int64]:
    """Return a fifth of the rows of each class, rounded down but at least one, ascending."""
    rng = stream("ucr validation", name, seed)
    chosen = [rng.permutation(rows)[: max(1, len(rows) // 5)] for rows in (np.flatnonzero(labels == label) for label in np.unique(labels))]
    return np.sort(np.concatenate(chosen))


class ArrowHead(ArchiveTask):
    """Outline of an arrowhead, as angles -> Avonlea, Clovis or Mix (Ye and Keogh, KDD 2009); 36 and 175 series."""

    name, problem, inputs, target = "ucr_arrow_head", "ArrowHead", InputShape(1, (251,)), Classes(3)
    real = "all of it: UCR ArrowHead (aeon)"
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 60, "recipe.batch_size": 8}}


class GunPoint(ArchiveTask):
    """Horizontal place of a hand over five seconds -> it draws a gun or points (Ratanamahatana and Keogh, 2004); 50 and 150 series."""

    name, problem, inputs, target = "ucr_gun_point", "GunPoint", InputShape(1, (150,)), Classes(2)
    real = "all of it: UCR GunPoint (aeon)"
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 60, "recipe.batch_size": 8}}


class ItalyPowerDemand(ArchiveTask):
    """Power demand of a day in Italy, hour by hour -> October to March, or April to September (Keogh et al., ICDM 2006); 67 and 1029 series."""

    name, problem, inputs, target = "ucr_italy_power_demand", "ItalyPowerDemand", InputShape(1, (24,)), Classes(2)
    real = "all of it: UCR ItalyPowerDemand (aeon)"
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 60, "recipe.batch_size": 8}}


class OSULeaf(ArchiveTask):
    """Outline of a leaf -> its species (Gandhi, master's thesis, Oregon State University 2002); 200 and 242 series."""

    name, problem, inputs, target = "ucr_osu_leaf", "OSULeaf", InputShape(1, (427,)), Classes(6)
    real = "all of it: UCR OSULeaf (aeon)"
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 40, "recipe.batch_size": 8}}


class ACSF1(ArchiveTask):
    """Power that an appliance draws -> which of ten kinds it is (Gisler et al., WoSSPA 2013); 100 and 100 series."""

    name, problem, inputs, target = "ucr_acsf1", "ACSF1", InputShape(1, (1460,)), Classes(10)
    real = "all of it: UCR ACSF1 (aeon)"
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 40, "recipe.batch_size": 8}}


class PickupGesture(ArchiveTask):
    """Acceleration along one axis of a game controller -> which of ten gestures (Guna et al., TSP 2012); 50 and 50 series of 29 to 361 values."""

    name, problem, inputs, target = "ucr_pickup_gesture", "PickupGestureWiimoteZ", InputShape(1, (361,)), Classes(10)
    real = "all of it: UCR PickupGestureWiimoteZ (aeon)"
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 60, "recipe.batch_size": 8}}


class BasicMotions(ArchiveTask):
    """Acceleration and rotation at a wrist over ten seconds -> standing, running, walking or badminton (Bagnall et al. 2018); 40 and 40 series."""

    name, problem, inputs, target = "uea_basic_motions", "BasicMotions", InputShape(6, (100,)), Classes(4)
    real = "all of it: UEA BasicMotions (aeon)"
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 60, "recipe.batch_size": 8}}


class JapaneseVowels(ArchiveTask):
    """Twelve cepstra of a vowel, frame by frame -> who speaks (Kudo, Toyama and Shimbo, 1999); 270 and 370 series of 7 to 29 frames."""

    name, problem, inputs, target = "uea_japanese_vowels", "JapaneseVowels", InputShape(12, (29,)), Classes(9)
    real = "all of it: UEA JapaneseVowels (aeon)"
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 30, "recipe.batch_size": 8}}
