"""The contract of a method: from training data to a predictor. No method ever holds the test split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.examples import Examples
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import InputShape, Metric, Split, Splits, Target, Task

if TYPE_CHECKING:
    import torch
    from torch import nn


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


class Context(Protocol):
    """Components, random streams, device, training loop and progress of one run.

    :class:`pare_bench.training.context.RunContext` is what is handed over. What comes from rooms above the contracts is named here and defined there.
    """

    @property
    def config(self) -> Any:
        """The resolved run, :class:`pare_bench.config.run_config.RunConfig`."""
        ...

    @property
    def registry(self) -> Any:
        """All registered names, :class:`pare_bench.registry.names.Registry`."""
        ...

    @property
    def reporter(self) -> Any:
        """Where progress is told, :class:`pare_bench.training.progress.Reporter`."""
        ...

    @property
    def accelerator(self) -> Any:
        """The ``accelerate.Accelerator`` of device and precision."""
        ...

    @property
    def processes(self) -> Any:
        """The processes that do this run together, :class:`pare_bench.training.distributed.Processes`."""
        ...

    @property
    def back_off(self) -> Any:
        """In how many pieces batches go through where memory ran out, :class:`pare_bench.training.out_of_memory.BackOff`."""
        ...

    @property
    def histories(self) -> dict[str, Any]:
        """What each finished training stage did, :class:`pare_bench.training.loop.History` by the stage's name."""
        ...

    @property
    def source(self) -> Splits | None:
        """The proxy data of slot ``source``, None for methods without it."""
        ...

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        ...

    def words(self, *words: str | int) -> tuple[str | int, ...]:
        """Return the name of a random stream of this run; it does not mention the method, so methods are compared with paired draws."""
        ...

    def seed(self, *words: str | int) -> None:
        """Seed torch's generators with a named stream."""
        ...

    def build(self, slot: str, **runtime: Any) -> Any:
        """Build the component of a slot from the run's configuration."""
        ...

    def build_network(self, data: TrainData, *, reinitialise: bool = False) -> Any:
        """Build embedder, backbone and head on the device, :class:`pare_bench.model.network.TransferNetwork`; ``reinitialise``: a random backbone."""
        ...

    def fit(self, objective: Any, network: nn.Module, data: TrainData, *, stage: str = "train") -> Any:
        """Train ``objective`` (:class:`pare_bench.training.loop.Objective`) and return its history; validation scores ``network``."""
        ...

    def predictor(self, network: nn.Module, data: TrainData) -> Predictor:
        """Return a fitted network as the predictor that a method gives back."""
        ...


class Method(ABC):
    """A way to learn. ``fit`` gets training and validation data only; the runner scores.

    ``preset_params`` gives the method's own parameters for a preset; a preset without an entry takes the defaults. ``released`` is what the
    ``paper`` track changes, as paths and values that ``-o`` takes: how the released code trains and which epoch it scores.

    ``version`` is raised by any change of the method, or of what it uses in its preset's way, that can move a score: runs of an earlier version
    stay on the leaderboard, marked as such, until newer ones take their place.
    """

    Params: ClassVar[type[Params]] = Params
    version: ClassVar[int] = 1
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
    def required(cls, task: Task) -> Mapping[str, object]:  # noqa: ARG003 - most methods fit any task as they are
        """Return parameters of the method that ``task``, as its parameters make it, leaves no choice about; ``-o`` still wins."""
        return {}

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
