"""Fields and masks on a plane: input, target, prediction and error, a row for each channel; target and prediction share a colour scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pare_bench.contracts.task import Field
from pare_bench.pictures.inputs import draw_input
from pare_bench.pictures.panels import ERRORS, SMALL, bar_of, limits_of, map_panel, symmetric_limits
from pare_bench.pictures.sample import Sample, channels_of, shown_channels, start_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

MOST_CHANNELS = 4
#: Shares of the values that the scale of an input leaves out at both ends, where the target is a mask: single bright places hide all others.
_TAILS = (0.01, 0.995)


def height(sample: Sample) -> float:
    """Return the height of the picture in inches."""
    assert isinstance(sample.target, Field)  # noqa: S101 - drawn by kind
    rows = min(sample.target.channels, MOST_CHANNELS)
    return (2.3 if sample.prediction is None else 1.75 if rows <= 2 else 1.55) * rows + 0.5


def draw(figure: SubFigure, sample: Sample) -> None:
    """Draw a row of maps for each channel, of many the first, the last and some between."""
    target = sample.target
    assert isinstance(target, Field)  # noqa: S101 - drawn by kind
    shown = shown_channels(sample, target.channels, MOST_CHANNELS)
    axes = figure.subplots(len(shown), 2 if sample.prediction is None else 4, squeeze=False)
    for row, channel in enumerate(shown):
        _row(list(axes[row]), sample, target, channel, first=row == 0)


def _row(axes: list[Axes], sample: Sample, target: Field, channel: int, *, first: bool) -> None:
    name = sample.channel_name(channel, target.channels)
    mask = target.values == "mask"
    start = start_of(sample, channel)
    if start is not None:
        limits = (float(np.quantile(start, _TAILS[0])), float(np.quantile(start, _TAILS[1]))) if mask else limits_of(start)
        few = f", channel 1 of {len(sample.inputs)}" if target.channels == 1 and not target.persistence and len(sample.inputs) > 1 else ""
        bar_of(map_panel(axes[0], start, "input" + (" (time 0)" if target.persistence else few), limits=limits), axes[:1])
    elif first:
        draw_input(axes[0], sample)
    else:
        axes[0].set_visible(False)
    axes[0].set_ylabel(name, fontsize=SMALL)
    ignored, predicted, error = sample.ignored, sample.predicted, sample.error
    truth = channels_of(sample.truth, target)[channel]
    if ignored is not None:
        truth = np.where(ignored, np.nan, truth)
    if predicted is None or error is None:
        limits = (0.0, 1.0) if mask else limits_of(truth)
        bar_of(map_panel(axes[1], truth, "target" + (" (grey: ignored)" if ignored is not None else ""), limits=limits), axes[1:2])
        return
    guess, wrong = channels_of(predicted, target)[channel], channels_of(error, target)[channel]
    limits = (0.0, 1.0) if mask else limits_of(truth, guess)
    map_panel(axes[1], truth, "target" + (" (grey: ignored)" if ignored is not None else ""), limits=limits)
    bar_of(map_panel(axes[2], guess, "prediction" + (" (probability)" if mask else ""), limits=limits), axes[2:3])
    scale = (-1.0, 1.0) if mask else symmetric_limits(wrong)
    bar_of(map_panel(axes[3], wrong, "prediction - target", limits=scale, colours=ERRORS), axes[3:4])
