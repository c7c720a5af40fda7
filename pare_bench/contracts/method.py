"""The contract of a method: from training data to a predictor. No method ever holds the test split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.params import Params
from pare_bench.contracts.task import Examples, InputShape, Metric, Split, Target

if TYPE_CHECKING:
    from pare_bench.training.context import Context


@dataclass(frozen=True)
class TrainData:
    """What a method may see: training and validation split, and what the task is."""

    task: str
    inputs: InputShape
    target: Target
    metrics: tuple[Metric, ...]
    train: Split
    val: Split


class Predictor(Protocol):
    """A fitted model.

    ``parameters_total`` counts all weights used at inference, ``parameters_trained`` those that were trained.
    """

    parameters_total: int
    parameters_trained: int

    def predict(self, inputs: Examples) -> NDArray[np.floating[Any]]:
        """Return raw outputs ``[n ...]`` float32 (logits, fields or distances) for inputs ``[n channels *grid]``."""
        ...


class Method(ABC):
    """A way to learn. ``fit`` gets training and validation data only; the runner scores.

    ``preset_params`` gives the method's own parameters for a preset; a preset without an entry takes the defaults. ``released`` is what the
    ``paper`` track changes, as paths and values that ``-o`` takes: how the released code trains and which epoch it scores.
    """

    Params: ClassVar[type[Params]] = Params
    preset_params: ClassVar[Mapping[str, Mapping[str, object]]] = {}
    released: ClassVar[Mapping[str, object]] = {"budget.keep": "last", "recipe.accumulate": "released"}

    def __init__(self, params: Params) -> None:
        self.params = params

    @abstractmethod
    def fit(self, data: TrainData, context: Context) -> Predictor:
        """Learn from ``data``; components, random streams, device and progress come from ``context``.

        Raises:
            TrainingDivergedError: the loss became NaN or infinite.
        """

    def skip_reason(self, data: TrainData) -> str | None:  # noqa: ARG002 - the default method fits every task
        """Return why this method cannot work on this task, or None when it can; a skip is a recorded outcome, not a failure."""
        return None

    @classmethod
    def implied(cls, params: Params) -> Mapping[str, Mapping[str, Any]]:  # noqa: ARG003 - most methods imply nothing
        """Return parameters of other slots that follow from ``params``, e.g. ``{"selector": {"noise_on": "sigmoid"}}``; ``-o`` still wins."""
        return {}

    @classmethod
    def recommended(cls, params: Params, task: str) -> Mapping[str, object]:  # noqa: ARG003 - most methods take the recipe of the preset
        """Return the method's own recipe for a task, as paths and values that ``-o`` takes: ``{"recipe.learning_rate": 0.1, "budget.epochs": 200}``.

        It replaces the preset's and stands in the record as the run's recipe; ``-o`` still wins, and ``-o recipe=shared`` leaves it out.
        """
        return {}
