"""Maps of all pairs of residues: two channels of the input, distances, prediction and error; grey outside the protein."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pare_bench.contracts.task import PairMap
from pare_bench.pictures.panels import ERRORS, bar_of, limits_of, map_panel
from pare_bench.pictures.sample import Sample

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

#: Distances beyond this multiple of the target's clip have the colour of the end of the scale.
_BEYOND = 1.25


def height(sample: Sample) -> float:  # noqa: ARG001 - as the other kinds
    """Return the height of the picture in inches."""
    return 2.4


def telling_channels(sample: Sample) -> list[int]:
    """Return the two channels of the input that say most about pairs: what rows and columns alone do not explain varies most in them."""
    inputs = np.asarray(sample.inputs, np.float64)
    if sample.ignored is not None:
        rows, columns = np.flatnonzero((~sample.ignored).any(axis=1)), np.flatnonzero((~sample.ignored).any(axis=0))
        inputs = inputs[:, rows][:, :, columns]
    own = inputs - inputs.mean(axis=1, keepdims=True) - inputs.mean(axis=2, keepdims=True) + inputs.mean(axis=(1, 2), keepdims=True)
    variation = own.std(axis=(1, 2))
    return sorted(int(channel) for channel in np.argsort(-variation, kind="stable")[:2])


def draw(figure: SubFigure, sample: Sample) -> None:
    """Draw the maps in a row."""
    target, predicted, error = sample.target, sample.predicted, sample.error
    assert isinstance(target, PairMap)  # noqa: S101 - drawn by kind
    channels = telling_channels(sample) if sample.inputs.ndim == 3 else []
    if predicted is not None:
        channels = channels[:1]
    axes = list(figure.subplots(1, len(channels) + (1 if predicted is None else 3), squeeze=False)[0])
    inside = ~sample.ignored if sample.ignored is not None else np.ones(sample.truth.shape, bool)
    for axis, channel in zip(axes, channels, strict=False):
        values = np.where(inside, np.asarray(sample.inputs[channel], np.float64), np.nan)
        limits = limits_of(np.nanquantile(values, [0.005, 0.995]))
        bar_of(map_panel(axis, values, f"input, channel {channel + 1} of {len(sample.inputs)}", limits=limits), [axis])
    maps = axes[len(channels) :]
    limits = (0.0, _BEYOND * target.clip)
    residues = int(np.asarray(sample.extras.get("lengths", target.size)))
    truth = np.where(inside, np.asarray(sample.truth, np.float64), np.nan)
    shown = map_panel(maps[0], truth, f"target (Å), {residues} residues", limits=limits, colours="viridis_r")
    if predicted is None or error is None:
        bar_of(shown, maps[:1])
        return
    bar_of(map_panel(maps[1], np.where(inside, predicted, np.nan), "prediction (Å)", limits=limits, colours="viridis_r"), maps[1:2])
    half = target.clip / 2
    bar_of(map_panel(maps[2], error, "prediction - target", limits=(-half, half), colours=ERRORS), maps[2:3])
