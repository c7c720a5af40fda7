"""The input of a sample in one panel: a photograph, maps side by side, curves, a string of symbols, or the columns of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pare_bench.pictures.panels import OTHER, PREDICTED, SMALL, bar_of, line_panel, map_panel, plain
from pare_bench.pictures.sample import Sample, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Channels that are drawn as curves in one panel, and as maps side by side.
MOST_CURVES, MOST_MAPS = 6, 4
#: Places up to which a string of symbols is drawn one by one; longer ones as shares in windows.
LONGEST_STRING = 120


def draw_input(axis: Axes, sample: Sample) -> None:
    """Draw the whole input into one panel, by its shape alone."""
    values = np.asarray(sample.inputs)
    if values.ndim == 1:
        # Token numbers have no axis of channels.
        values = values[None]
    if sample.shape.table:
        _table(axis, values)
    elif values.ndim == 3:
        _picture(axis, values, sample)
    elif is_one_hot(values):
        _symbols(axis, values)
    elif len(values) <= MOST_CURVES:
        names = [sample.channel_name(channel, len(values)) for channel in range(len(values))]
        colours = [f"C{channel}" for channel in range(len(values))]
        line_panel(axis, list(zip(names, values, colours, strict=True)), "input")
    else:
        bar_of(map_panel(axis, np.asarray(values, np.float64), f"input: {len(values)} x {values.shape[1]} values", fit=True), [axis])


def is_one_hot(values: NDArray[np.generic]) -> bool:
    """Return whether each place of ``values`` ``[channels length]`` has one of several symbols, or none."""
    return len(values) > 1 and bool(np.isin(values, (0, 1)).all()) and bool((values.sum(axis=0) <= 1).all())


def _picture(axis: Axes, values: NDArray[Any], sample: Sample) -> None:
    if len(values) == 3:
        low, high = values.min(), values.max()
        scaled = (np.moveaxis(values, 0, -1) - low) / (high - low if high > low else 1)
        axis.imshow(scaled, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.set_title("input (three channels as colours)", fontsize=SMALL + 1)
        return
    shown = spread(len(values), MOST_MAPS)
    gap = np.full((values.shape[1], max(1, values.shape[2] // 24)), np.nan)
    pieces: list[NDArray[Any]] = [np.asarray(values[shown[0]], np.float64)]
    for channel in shown[1:]:
        pieces += [gap, np.asarray(values[channel], np.float64)]
    few = "" if len(values) == 1 else f": channels {', '.join(str(channel + 1) for channel in shown)} of {len(values)}"
    wide = values.shape[2] > 2 * values.shape[1] or sample.shape.grid[0] < 24
    bar_of(map_panel(axis, np.concatenate(pieces, axis=1), f"input{few}", fit=wide), [axis])


def _symbols(axis: Axes, values: NDArray[Any]) -> None:
    count, length = values.shape
    if length <= LONGEST_STRING:
        map_panel(axis, np.asarray(values, np.float64), f"input: one of {count} symbols at each of {length} places", colours="gray_r", fit=True)
        return
    window = length // 50
    share = np.apply_along_axis(np.convolve, 1, np.asarray(values, np.float64), np.full(window, 1 / window), "valid")
    axis.stackplot(np.arange(share.shape[1]) + window / 2, share, labels=[str(symbol + 1) for symbol in range(count)], linewidth=0)
    plain(axis)
    axis.set(xlim=(0, length), ylim=(0, 1))
    axis.set_title(f"input: share of each of {count} symbols, windows of {window} of {length} places", fontsize=SMALL + 1)
    axis.legend(fontsize=SMALL - 1, loc="upper right", ncols=count)


def _table(axis: Axes, values: NDArray[Any]) -> None:
    """Draw the columns of a table: the first channel as bars, and name the other channels that are on: missing values, categories."""
    from matplotlib.ticker import MaxNLocator

    if values.shape[1] == 1:
        values = values.T
    first, others = values[0], values[1:]
    places = np.arange(len(first))
    axis.barh(places, first, color=PREDICTED, height=0.7, label="value (as the method sees it)")
    if len(others) and others.any():
        low = min(0.0, float(first.min()))
        for place in places:
            on = np.flatnonzero(others[:, place])
            if on.size:
                words = ", ".join(f"{channel + 2}" for channel in on)
                axis.text(low, float(place), f" channel {words}", fontsize=max(3, SMALL - 1), va="center", ha="left", color="0.35")
    axis.axvline(0, color=OTHER, linewidth=0.6)
    plain(axis)
    axis.invert_yaxis()
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylabel("column", fontsize=SMALL)
    axis.set_title("input" + (", by the channel that is on" if len(others) and others.any() else ""), fontsize=SMALL + 1)
