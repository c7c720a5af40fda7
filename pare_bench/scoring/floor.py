"""The floors: what a predictor that ignores its input scores, and one that says nothing changes. Printed with every result."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.examples import Examples
from pare_bench.contracts.task import Classes, Field, Labels, PairMap, Split, Target
from pare_bench.datasets.moments import clipped_median, total


class ConstantPredictor:
    """Predicts the same output for every input: class or label log-odds of the training set, its mean field, or its median distance map."""

    parameters_total = 0
    parameters_trained = 0

    def __init__(self, target: Target, train: Split) -> None:
        self.output = constant_output(target, train)

    def predict(self, inputs: Examples) -> NDArray[np.floating]:
        """Return the constant output for each of ``inputs`` ``[n ...]``."""
        return np.broadcast_to(self.output, (len(inputs), *self.output.shape)).astype(np.float32)


class PersistencePredictor:
    """Predicts that nothing changes: the fields of the input, in the units of the target.

    Raises:
        ValueError: the target is not a field that the input shows at an earlier time.
    """

    parameters_total = 0
    parameters_trained = 0

    def __init__(self, target: Target) -> None:
        if not persists(target):
            raise ValueError(f"{target!r} is not a field that the input shows at an earlier time")
        self.target: Field = target

    def predict(self, inputs: Examples) -> NDArray[np.floating]:
        """Return the fields at the start for each of ``inputs`` ``[n ...]``."""
        start = np.asarray(inputs)
        fields = [start[:, channel] * np.float32(scale) + np.float32(offset) for channel, scale, offset in self.target.persistence]
        return np.stack(fields, axis=1).reshape(len(start), *self.target.shape).astype(np.float32)


def persists(target: Target) -> TypeGuard[Field]:
    """Return whether the input shows what the target was at an earlier time."""
    return isinstance(target, Field) and bool(target.persistence)


def constant_output(target: Target, train: Split) -> NDArray[np.floating]:
    """Return the best simple constant of the training split: log class frequencies, label log-odds, mean field, or per-pixel median distance."""
    targets, count = train.targets, len(train)
    match target:
        case Classes(num=num):
            return np.log((np.bincount(np.asarray(targets), minlength=num) + 1) / (count + num))
        case Labels():
            return _log_odds((total(targets) + 1) / (count + 2))
        case Field(values="mask"):
            return _log_odds((total(targets, np.float64) + 1) / (count + 2))
        case Field():
            return total(targets, np.float64) / count
        case PairMap(clip=clip):
            return clipped_median(targets, clip)
    raise TypeError(f"no constant for target {target!r}")


def _log_odds(rate: NDArray[np.floating]) -> NDArray[np.floating]:
    odds: NDArray[np.floating] = np.log(rate) - np.log1p(-rate)
    return odds
