"""The contract of a task: what goes in, what comes out, which splits exist and how predictions are scored.

This module does not import torch: declaring, generating and scoring tasks is numpy work.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.examples import Examples, joined
from pare_bench.contracts.files import Files, OfficialFile
from pare_bench.contracts.params import Params
from pare_bench.contracts.size import TaskSize as TaskSize  # noqa: PLC0414 - handed on to authors of tasks
from pare_bench.contracts.size import Track as Track  # noqa: PLC0414 - likewise
from pare_bench.errors import DataMissingError

SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class InputShape:
    """Shape of one example: ``channels`` and a 1-D ``(length,)`` or 2-D ``(height, width)`` grid.

    ``table``: the places of the 1-D grid are columns of a table, which have no neighbours and each a meaning of its own.
    """

    channels: int
    grid: tuple[int, ...]
    table: bool = False


@dataclass(frozen=True)
class Classes:
    """One of ``num`` classes; targets int64 ``[n]``; the network gives logits ``[n num]``.

    ``balanced``: in the loss a class counts 1 / its share of the training examples. Those ``weights`` follow from the training split:
    :func:`weighted` fills them in, and the runner hands methods the target with them.
    """

    num: int
    balanced: bool = False
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class Labels:
    """Any subset of ``num`` labels; targets float32 ``[n num]`` in {0, 1}; logits ``[n num]``. ``positive_weight`` weights positives in the loss."""

    num: int
    positive_weight: float = 1.0


@dataclass(frozen=True)
class Field:
    """Values per place of a 1-D or 2-D ``grid``: targets float32 ``[n *grid]`` (``[n channels *grid]`` for several), outputs of the same shape.

    ``values`` is ``"real"`` (regression, relative L2 loss, the mean over channels where there are several) or ``"mask"`` (binary; outputs are
    logits; ``extras["ignore"]`` marks pixels that count neither in the loss nor in the metric).
    ``persistence`` gives for each channel (input channel, scale, offset): the input channel times scale plus offset is what the target was at
    time 0, and so what a predictor says that changes nothing. Empty where there is no such thing.
    """

    grid: tuple[int, ...]
    values: Literal["real", "mask"] = "real"
    channels: int = 1
    persistence: tuple[tuple[int, float, float], ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one target."""
        return self.grid if self.channels == 1 else (self.channels, *self.grid)


@dataclass(frozen=True)
class PairMap:
    """Distances between all pairs of ``size`` residues, in angstrom: targets float32 ``[n size size]``, ``extras["lengths"]`` int64 ``[n]`` residues.

    ``padding`` pixels in all are added to each side sum (half before, half after) and ``clip`` caps the *training* targets.
    """

    size: int
    padding: int = 10
    clip: float = 16.0


Target = Classes | Labels | Field | PairMap


def weighted(target: Target, train: Split) -> Target:
    """Return ``target`` with the class weights of the training split, where it asks for some; a class that never occurs there has weight 0."""
    if not isinstance(target, Classes) or not target.balanced:
        return target
    counts = np.bincount(np.asarray(train.targets), minlength=target.num)
    return replace(target, weights=tuple(float(len(train) / count) if count else 0.0 for count in counts))


@dataclass(frozen=True)
class Split:
    """One part of a data set: ``inputs`` float32 ``[n channels *grid]``, ``targets`` (see the target classes), per-example ``extras`` ``[n ...]``.

    ``inputs``, ``targets`` and ``extras`` are arrays, or :class:`Examples` where a data set is larger than memory.
    Known extras: ``"groups"`` int64 (clip, recording or subject of each example), ``"ignore"`` bool mask, ``"lengths"`` int64 residues.

    Raises:
        ValueError: the arrays do not have the same number of examples.
    """

    inputs: Examples
    targets: Examples
    extras: Mapping[str, Examples] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, array in {"targets": self.targets, **self.extras}.items():
            if len(array) != len(self.inputs):
                raise ValueError(f"{name} has {len(array)} examples, inputs has {len(self.inputs)}")

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: NDArray[np.integer]) -> Split:
        """Return the examples at ``indices``, in that order."""
        return Split(self.inputs[indices], self.targets[indices], {name: array[indices] for name, array in self.extras.items()})

    def joined(self, other: Split) -> Split:
        """Return the examples of both splits, these first; what is not in memory stays out of it."""
        extras = {name: joined(array, other.extras[name]) for name, array in self.extras.items()}
        return Split(joined(self.inputs, other.inputs), joined(self.targets, other.targets), extras)


@dataclass(frozen=True)
class Splits:
    """Three disjoint parts of a data set."""

    train: Split
    val: Split
    test: Split


@dataclass(frozen=True)
class Metric:
    """A named score of a whole split: ``compute(outputs, split) -> float``. ``outputs`` are raw network outputs ``[n ...]`` float32."""

    name: str
    compute: Callable[[NDArray[np.floating], Split], float]
    direction: Literal["minimise", "maximise"] = "minimise"


class Task(ABC):
    """One benchmark task.

    Class attributes describe it; ``metrics[0]`` is the primary metric. ``version`` is raised by any change that can move a score.
    ``real`` says which part of the generated tier is real data (None: all simulated). ``sizes`` and ``preset_params`` give the size and the
    parameters of the generated tier for each preset; a preset without an entry takes size ``cpu`` and the default parameters.

    ``preset_settings`` gives what a preset sets otherwise for this task, as paths and values that ``-o`` takes:
    ``{"cpu": {"budget.epochs": 30, "recipe.batch_size": 8}}``; every method gets the same. ``released_configurations`` names the released
    configuration files whose settings preset ``paper`` takes, by method (``"pare"``, ``"orca"``); empty where nothing is published.

    ``official_files`` are the published files, below the folder ``name`` of the data root. ``found`` is what :meth:`official` has learnt about those
    it read and the record should say, such as which version of the labels they have.

    ``released_params`` are the parameters that the ``paper`` track changes. ``inputs`` may depend on them: then the class has the shape of the
    default parameters and an instance its own.

    ``embedded`` marks a proxy whose inputs are float tokens ``[n tokens dim]`` that a backbone's embedder has already made.
    """

    Params: ClassVar[type[Params]] = Params
    name: ClassVar[str]
    version: ClassVar[int]
    inputs: InputShape
    target: ClassVar[Target]
    metrics: ClassVar[tuple[Metric, ...]]
    real: ClassVar[str | None] = None
    found: str | None = None
    sizes: ClassVar[Mapping[str, TaskSize]]
    preset_params: ClassVar[Mapping[str, Mapping[str, object]]] = {}
    preset_settings: ClassVar[Mapping[str, Mapping[str, object]]] = {}
    released_params: ClassVar[Mapping[str, object]] = {}
    released_configurations: ClassVar[Mapping[str, str]] = {}
    official_files: ClassVar[tuple[OfficialFile, ...]] = ()
    embedded: ClassVar[bool] = False

    def __init__(self, params: Params | None = None) -> None:
        self.params = params if params is not None else self.Params()

    def official(self, files: Files, track: Track) -> Splits:  # noqa: ARG002 - what a reader takes
        """Read the published files; never downloads. ``files`` is the only way to them, so that what was read enters the run's identity.

        Raises:
            DataMissingError: the task has no official tier here, or its files are not there.
            IntegrityError: a file is not what its format or digest promises.
        """
        raise DataMissingError(f"task '{self.name}' has no reader of official files (looked below '{files.root}')", hint="use --tier auto")

    def official_at(self, files: Files, track: Track, seed: int) -> Splits:  # noqa: ARG002 - a published split has no seed
        """Return :meth:`official`; a task whose published data come without a split overrides this one and draws the split from ``seed``."""
        return self.official(files, track)

    def bundled(self, seed: int, track: Track) -> Splits:  # noqa: ARG002 - what a task with bundled data takes
        """Return the real data that ship with the package or one of its dependencies, split by ``seed`` as ``track`` splits them.

        Raises:
            DataMissingError: the task has no bundled tier.
            IntegrityError: a shipped file is not what its digest promises.
        """
        raise DataMissingError(f"task '{self.name}' has no bundled data", hint="use --tier auto")

    def in_track(self, splits: Splits, track: Track) -> Splits:
        """Return ``splits`` as ``track`` uses them.

        ``paper`` trains on training and validation examples and validates on the test split, as every released configuration does
        (``valid_split: False``); a task whose released loader does something else overrides this.
        """
        return splits if track == "clean" else Splits(splits.train.joined(splits.val), splits.test, splits.test)

    def released_metrics(self, batch_size: int) -> tuple[Metric, ...] | None:  # noqa: ARG002 - what such a metric may depend on
        """Return the metrics as the released code computes them, for the ``paper`` track.

        None, the default, stands for the usual way: chunks of at least 1000 examples, whole batches of ``batch_size`` each, averaged unweighted
        (:func:`pare_bench.scoring.tracks.chunked`). A task whose released metric differs in more than that overrides this.
        """
        return None

    def generated_files(self) -> Sequence[Path]:
        """Return the files that :meth:`generated` reads, and :meth:`official` besides those it is handed.

        When one of them changes, cached data are made again. Files of a plugin's own package count anyway; what comes with Python or with an
        installed distribution need not be named. ``pare-bench check`` finds files that are read and not named.
        """
        return ()

    @abstractmethod
    def generated(self, seed: int, size: TaskSize) -> Splits:
        """Return the embedded twin with ``size`` examples; the same seed, version and size give the same bytes."""

    def augment(
        self,
        inputs: NDArray[np.generic],
        targets: NDArray[np.generic],
        rng: np.random.Generator,  # noqa: ARG002 - the general case draws nothing
    ) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Return a training batch after the task's published augmentation (default: unchanged)."""
        return inputs, targets

    def augment_examples(self, split: Split, rng: np.random.Generator) -> Split:
        """Return a training batch after the published augmentation: what training calls.

        The default is :meth:`augment`; a task whose augmentation needs ``split.extras`` overrides this one instead.
        """
        inputs, targets = self.augment(np.asarray(split.inputs), np.asarray(split.targets), rng)
        return Split(inputs, targets, split.extras)
