"""What a specialist for tables takes and gives back: a matrix of features, weights of rows, and class probabilities as outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.examples import Examples
from pare_bench.contracts.method import TrainData
from pare_bench.contracts.task import Classes, Split

#: Probability that a class never falls below, so that its logarithm is finite.
_LEAST = 1e-7

Probabilities = Callable[[NDArray[np.float32]], NDArray[np.floating]]


@dataclass(frozen=True)
class Rows:
    """The training part of a table.

    ``features`` [rows columns] are the inputs' channels and places side by side, without columns that are constant; ``classes`` those that occur, and
    ``labels`` [rows] index them; ``weights`` [rows] are the classes' weights in the task's loss, of mean 1.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: NDArray[np.int64]
    weights: NDArray[np.float64]
    varying: NDArray[np.bool_]
    num_classes: int

    @classmethod
    def of(cls, data: TrainData) -> Rows:
        """Return the training split of ``data``, whose target must be classes (see :func:`not_a_table`)."""
        target = cast("Classes", data.target)
        flat = flattened(data.train.inputs)
        varying = np.ptp(flat, axis=0) > 0
        classes, labels = np.unique(np.asarray(data.train.targets), return_inverse=True)
        weights = np.asarray(target.weights)[classes][labels] if target.weights else np.ones(len(labels))
        return cls(flat[:, varying], labels, classes, weights / weights.mean(), varying, target.num)

    def matrix(self, inputs: Examples) -> NDArray[np.float32]:
        """Return other inputs ``[n channels features]`` as a matrix of the same columns."""
        return flattened(inputs)[:, self.varying]

    def outputs(self, probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return probabilities ``[n occurring classes]`` as logits ``[n classes]``; a class that never occurs has the least probability."""
        full = np.full((len(probabilities), self.num_classes), _LEAST)
        full[:, self.classes] = np.maximum(probabilities, _LEAST)
        return np.log(full).astype(np.float32)


class TablePredictor:
    """A fitted model as the contract's predictor; ``parameters`` counts the numbers that it looks up or multiplies with."""

    def __init__(self, rows: Rows, probabilities: Probabilities, parameters: int) -> None:
        self.rows, self.probabilities = rows, probabilities
        self.parameters_total = self.parameters_trained = parameters

    def predict(self, inputs: Examples) -> NDArray[np.float32]:
        """Return log probabilities; see the contract."""
        return self.rows.outputs(np.asarray(self.probabilities(self.rows.matrix(inputs))))


def not_a_table(data: TrainData) -> str | None:
    """Return why ``data`` is no table with classes, None where it is one."""
    if not data.inputs.table:
        return f"a method for tables, and task '{data.task}' is none"
    if not isinstance(data.target, Classes):
        return f"predicts one class of several, task '{data.task}' has another target"
    if len(np.unique(np.asarray(data.train.targets))) < 2:
        return "a single class occurs in the training split"
    return None


def flattened(inputs: Examples) -> NDArray[np.float32]:
    """Return inputs ``[n channels features]`` as ``[n channels * features]``."""
    return np.asarray(inputs, dtype=np.float32).reshape(len(inputs), -1)


def scored(data: TrainData, outputs: NDArray[np.floating], split: Split) -> float:
    """Return the task's primary metric, lower is better; infinite where it is undefined (a split in which a single class occurs)."""
    metric = data.metrics[0]
    try:
        value = metric.compute(outputs, split)
    except ValueError:
        return float("inf")
    return value if metric.direction == "minimise" else -value
