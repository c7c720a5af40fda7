"""What the tasks of PDEBench that evolve in time share: from the fields at time 0 to those at the end, or at many later times."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Parameter
from pydantic import model_validator

from pare_bench import metrics
from pare_bench.builtin.suites.pdebench import official_data
from pare_bench.builtin.suites.pdebench.published_files import declared
from pare_bench.contracts.params import Params as BaseParams
from pare_bench.contracts.task import Field, InputShape, Metric, Split, Splits, TaskSize, Track
from pare_bench.datasets.simulated import SimulatedTask

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

Array = NDArray[np.floating[Any]]
Form = tuple[InputShape, Field, tuple[Metric, ...]]


class EvolutionParams(BaseParams):
    """Parameters of every task that evolves in time."""

    points: int = Parameter(256, ge=32, le=1024, description="cells per side; official: every k-th cell of the file, or means of blocks")
    law: Literal["well_posed", "published"] = Parameter(
        "well_posed", description="published: the task as the released loaders make it, with its defects (track paper)"
    )
    predict: Literal["final", "rollout"] = Parameter("final", description="rollout: the fields at all later frames, of which final is the last")
    frames: int = Parameter(10, ge=2, le=100, description="later frames of a rollout, equally spaced")

    @model_validator(mode="after")
    def _published_is_final(self) -> EvolutionParams:
        if self.law == "published" and self.predict == "rollout":
            raise ValueError("the published law has one target frame: predict=rollout needs law=well_posed")
        return self


class Evolution(SimulatedTask):
    """Fields at time 0 -> the same fields at ``end``.

    ``quantities`` names the fields; ``scales`` gives for each (scale, offset) such that (field - offset) / scale is the input: fixed numbers of
    about the deviation and mean of the law, so that a larger size extends a smaller one. Targets are in physical units.
    ``published_ends`` are the times of the released target frames in training and in testing. A rollout's channels run over quantities
    first, then over frames.

    The score is PDEBench's nRMSE: RMSE / RMS of each quantity and frame, averaged over samples, quantities and frames.

    The official tier reads the published file (:mod:`published_files`) at every (cells / ``points``)-th cell, as the released loaders do; preset
    ``paper`` has the released number of points. ``law: published`` takes their frames by index and their normalisation, ``well_posed`` the frames
    at ``end`` (or equally spaced up to it) by the times in the file, and means of blocks where single cells decide the end. Track ``clean`` keeps
    each start once and carves a validation part.
    """

    Params: ClassVar[type[EvolutionParams]] = EvolutionParams
    params: EvolutionParams
    axes: ClassVar[int] = 1
    end: ClassVar[float]
    published_ends: ClassVar[tuple[float, float]]
    quantities: ClassVar[tuple[str, ...]] = ("u",)
    scales: ClassVar[tuple[tuple[float, float], ...]] = ((1.0, 0.0),)
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 200, 400)}
    preset_params: ClassVar = {"smoke": {"points": 64}, "paper": {"points": 1024}}
    chunk = 20
    released_params: ClassVar = {"law": "published"}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.official_files = declared(cls.name)
        cls.inputs, cls.target, cls.metrics = cls.form(cls.Params())

    def __init__(self, params: BaseParams | None = None) -> None:
        super().__init__(params)
        self.inputs, self.target, self.metrics = self.form(self.params)  # type: ignore[misc]

    @classmethod
    def form(cls, params: EvolutionParams) -> Form:
        """Return what goes in, what comes out and how it is scored."""
        return cls.published_form(params) if params.law == "published" else cls.well_posed_form(params)

    @classmethod
    def well_posed_form(cls, params: EvolutionParams) -> Form:
        """Return the form of the corrected task."""
        grid, count = (params.points,) * cls.axes, len(cls.quantities)
        frames = params.frames if params.predict == "rollout" else 1
        start = tuple((channel, scale, offset) for channel, (scale, offset) in enumerate(cls.scales))
        target = Field(grid, channels=count * frames, persistence=start * frames)
        scores = [Metric("nrmse", channel_score), Metric("nrmse_median", median_score)]
        if count > 1:
            scores += [Metric(f"nrmse_{name}", partial(channel_score, only=slice(index, None, count))) for index, name in enumerate(cls.quantities)]
        return InputShape(count, grid), target, tuple(scores)

    @classmethod
    def published_form(cls, params: EvolutionParams) -> Form:
        """Return the form of the released loader: one field in, one out, everything flattened in the score."""
        grid = (params.points,) * cls.axes
        return InputShape(1, grid), Field(grid, persistence=((0, 1.0, 0.0),)), PUBLISHED_METRICS

    def released_metrics(self, batch_size: int) -> tuple[Metric, ...]:
        """Return the released score alone, over chunks as released; the median is ours."""
        from pare_bench.scoring.tracks import chunked_metrics

        return chunked_metrics(self.metrics[:1], batch_size)

    @abstractmethod
    def trajectories(self, count: int, times: NDArray[np.float64], rng: np.random.Generator) -> Array:
        """Return fields ``[n 1 + frames quantities *grid]`` at time 0 and ``times``, of the law that the parameters name."""

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002 - chunks differ by their stream alone
        """Return ``count`` examples."""
        if self.params.law == "published":
            frames = self.trajectories(count, np.array([self.published_ends[split == "test"]]), rng)
            return self.published_split(frames[:, 0].astype(np.float32), frames[:, 1].astype(np.float32))
        frames = self.trajectories(count, self.end * np.arange(1, self.pieces + 1) / self.pieces, rng)
        return Split(self.scaled(frames[:, 0]), frames[:, 1:].astype(np.float32).reshape(count, *self.target.shape))  # type: ignore[union-attr]

    @property
    def pieces(self) -> int:
        """Return the number of later frames that are asked for."""
        return self.params.frames if self.params.predict == "rollout" else 1

    def scaled(self, first: Array) -> NDArray[np.float32]:
        """Return the input that shows the fields ``[n quantities *grid]``."""
        scale, offset = (np.reshape(values, (-1, *[1] * self.axes)) for values in zip(*self.scales, strict=True))
        return ((first - offset) / scale).astype(np.float32)

    def official(self, files: Files, track: Track) -> Splits:
        """Return the published samples, read when a batch asks for them.

        Raises:
            DataMissingError: the file is not there.
            IntegrityError: the file is not as published, has no frame at a wanted time, or too few samples.
        """
        kept = official_data.kept(files, self.name, self.params.law, self.params.points, self.pieces, track)
        splits = {name: self._official_split(kept, rows, last=name == "test") for name, rows in kept.rows.items()}
        return self.normalised(Splits(**splits | ({"val": splits["test"]} if track == "paper" else {})))

    def _official_split(self, kept: official_data.Kept, rows: NDArray[np.integer], *, last: bool) -> Split:
        """Return examples; under the published law the target is the ``last`` of the kept frames, that of testing, or the first."""
        published, frame = self.params.law == "published", -1 if last else 0
        target: tuple[int, ...] = self.target.shape  # type: ignore[union-attr]

        def inputs(first: NDArray[Any]) -> NDArray[np.generic]:
            return np.asarray(self.published_split(first, first).inputs) if published else self.scaled(first)

        def targets(later: NDArray[Any]) -> NDArray[np.generic]:
            end = later[:, frame]
            return np.asarray(self.published_split(end, end).targets) if published else later.reshape(len(later), *target)

        return Split(
            official_data.examples(kept.first, rows, inputs, (self.inputs.channels, *self.inputs.grid)),
            official_data.examples(kept.later, rows, targets, target),
        )

    def normalised(self, splits: Splits) -> Splits:
        """Return ``splits`` in the units of the law; the same, unless the released loader normalises with what trains."""
        return splits

    def published_split(self, first: NDArray[np.float32], last: NDArray[np.float32]) -> Split:
        """Return examples of the released loader from fields ``[n quantities *grid]`` at both times."""
        return Split(first, last[:, 0])


def _channels(values: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return ``values`` ``[n ...]`` with a channel axis, given the shape of the inputs, which always have one."""
    array = np.asarray(values)
    return array if array.ndim == len(shape) else array[:, None]


def channel_score(outputs: NDArray[np.floating], split: Split, only: slice = slice(None)) -> float:
    """Return the nRMSE over the channels ``only``."""
    shape = split.inputs.shape
    return metrics.channel_nrmse(_channels(outputs, shape)[:, only], _channels(split.targets, shape)[:, only])


def median_score(outputs: NDArray[np.floating], split: Split) -> float:
    """Return the median over samples of the nRMSE over channels."""
    return metrics.median_nrmse(_channels(outputs, split.inputs.shape), _channels(split.targets, split.inputs.shape))


def flat_score(outputs: NDArray[np.floating], split: Split) -> float:
    """Return ORCA's score: all channels and places of a sample flattened."""
    return metrics.nrmse(outputs, np.asarray(split.targets))


PUBLISHED_METRICS = (Metric("nrmse", flat_score), Metric("nrmse_median", median_score))
