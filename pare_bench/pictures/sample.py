"""What a picture shows, as plain arrays: no drawing here, and nothing that knows where the sample came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.task import Classes, Field, InputShape, Labels, PairMap, Target

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Prediction:
    """The raw outputs of a run for one sample, in the shape that its target declares, and the sample's own scores."""

    method: str
    run_id: str
    outputs: Array
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Sample:
    """One sample of a split. ``inputs`` ``[channels *grid]``, ``truth`` the target, ``count`` the number of samples of the split.

    ``quantities`` names channels where the task's class has an attribute of that name; a field of several frames repeats them.
    """

    task: str
    shape: InputShape
    target: Target
    split: str
    index: int
    count: int
    tier: str
    track: str
    inputs: NDArray[np.generic]
    truth: NDArray[np.generic]
    extras: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    quantities: tuple[str, ...] = ()
    prediction: Prediction | None = None

    @property
    def title(self) -> str:
        """Which sample of which task."""
        return f"{self.task}: {self.split} sample {self.index} of {self.count}"

    @property
    def origin(self) -> str:
        """Tier and track, and whose prediction is shown with its first scores."""
        words = f"{self.tier} data, {self.track} track"
        if self.prediction is None:
            return words
        scores = ", ".join(f"{name} {value:.4g}" for name, value in list(self.prediction.scores.items())[:2])
        return f"{words}; {self.prediction.method}, run {self.prediction.run_id}" + (f": {scores}" if scores else "")

    @property
    def predicted(self) -> Array | None:
        """What the run says, on the scale of the target: probabilities of classes, labels and masks, values of fields, symmetric distances."""
        if self.prediction is None:
            return None
        from scipy.special import expit, softmax

        outputs = np.asarray(self.prediction.outputs, np.float64)
        match self.target:
            case Classes():
                return np.asarray(softmax(outputs))
            case Labels() | Field(values="mask"):
                return np.asarray(expit(outputs))
            case PairMap():
                return (outputs + outputs.T) / 2
        return outputs

    @property
    def ignored(self) -> NDArray[np.bool_] | None:
        """Places that count neither in the loss nor in the metric: marked ones of a mask, pairs outside the protein of a map."""
        if isinstance(self.target, PairMap):
            inside = np.zeros(self.truth.shape, bool)
            start, residues = self.target.padding // 2, int(np.asarray(self.extras.get("lengths", self.target.size)))
            inside[start : start + residues, start : start + residues] = True
            return ~inside
        marked = self.extras.get("ignore")
        return None if marked is None else np.asarray(marked, bool)

    @property
    def error(self) -> Array | None:
        """Prediction minus target, not a number where nothing counts."""
        predicted = self.predicted
        if predicted is None or isinstance(self.target, Classes):
            return None
        error = predicted - np.asarray(self.truth, np.float64)
        ignored = self.ignored
        return error if ignored is None else np.where(ignored, np.nan, error)

    def channel_name(self, channel: int, count: int) -> str:
        """Return what channel ``channel`` of ``count`` is called."""
        if self.quantities and count % len(self.quantities) == 0:
            name = self.quantities[channel % len(self.quantities)]
            frames = count // len(self.quantities)
            return name if frames == 1 else f"{name}, frame {channel // len(self.quantities) + 1} of {frames}"
        return f"channel {channel + 1} of {count}" if count > 1 else ""


def channels_of(values: NDArray[np.generic], target: Field) -> Array:
    """Return the values of a field ``[channels *grid]``, one channel where the target declares no axis for it."""
    return np.asarray(values, np.float64).reshape(target.channels, *target.grid)


def start_of(sample: Sample, channel: int) -> Array | None:
    """Return what the input shows of a channel of the target: its start in the target's units, or its own input channel; None where there is none."""
    source, target = source_of(sample, channel), sample.target
    if source is None or not isinstance(target, Field):
        return None
    values = np.asarray(sample.inputs[source], np.float64)
    if not target.persistence:
        return values
    _, scale, offset = target.persistence[channel]
    return values * scale + offset


def source_of(sample: Sample, channel: int) -> int | None:
    """Return which channel of the input belongs to a channel of the target, None where none does."""
    target, inputs = sample.target, sample.inputs
    if not isinstance(target, Field) or inputs.shape[1:] != target.grid:
        return None
    if target.persistence:
        return target.persistence[channel][0]
    return channel % len(inputs) if target.channels == 1 or target.channels % len(inputs) == 0 else None


def shown_channels(sample: Sample, count: int, most: int) -> list[int]:
    """Return at most ``most`` of ``count`` channels of the target: whole frames where it has several quantities, the last one among them."""
    quantities = len(sample.quantities)
    if count <= most or not 1 < quantities <= most or count % quantities:
        return spread(count, most)
    frames = spread(count // quantities, most // quantities)
    return [frame * quantities + quantity for frame in frames for quantity in range(quantities)]


def spread(count: int, most: int) -> list[int]:
    """Return at most ``most`` of ``count`` channels, first and last among them, evenly spread; the last one where there is room for one."""
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count - 1]
    return sorted({round(step * (count - 1) / (most - 1)) for step in range(most)})
