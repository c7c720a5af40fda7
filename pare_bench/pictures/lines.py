"""Fields along a line: the input above, target and prediction over each other, the error below; a column for each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pare_bench.contracts.task import Field
from pare_bench.pictures.inputs import draw_input
from pare_bench.pictures.panels import PREDICTED, SMALL, TRUE, line_panel
from pare_bench.pictures.sample import Sample, channels_of, shown_channels, source_of, start_of

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

MOST_CHANNELS = 4


def height(sample: Sample) -> float:
    """Return the height of the picture in inches."""
    return 1.35 * (2 if sample.prediction is None else 3) + 0.4


def draw(figure: SubFigure, sample: Sample) -> None:
    """Draw a column of panels for each channel, of many the first, the last and some between."""
    target, error, predicted = sample.target, sample.error, sample.predicted
    assert isinstance(target, Field)  # noqa: S101 - drawn by kind
    shown = shown_channels(sample, target.channels, MOST_CHANNELS)
    # In narrow columns a title takes two lines.
    joint = ": " if len(shown) < 3 else "\n"
    seen: set[int | None] = set()
    axes = figure.subplots(2 if error is None else 3, len(shown), squeeze=False, sharex="col")
    for column, channel in enumerate(shown):
        name = sample.channel_name(channel, target.channels)
        start, source = start_of(sample, channel), source_of(sample, channel)
        if start is not None and source not in seen:
            seen.add(source)
            said = "input" + (" (at time 0)" if target.persistence else "")
            line_panel(axes[0, column], [("input", start, "0.3")], _words(said, sample.channel_name(source or 0, len(sample.inputs)), joint))
        elif start is None and column == 0:
            draw_input(axes[0, 0], sample)
        else:
            axes[0, column].set_visible(False)
        lines = [("target", channels_of(sample.truth, target)[channel], TRUE)]
        if predicted is not None:
            lines.append(("prediction", channels_of(predicted, target)[channel], PREDICTED))
        line_panel(axes[1, column], lines, _words("target" if predicted is None else "target and prediction", name, joint))
        if error is not None:
            line_panel(axes[2, column], [("error", channels_of(error, target)[channel], "tab:red")], _words("prediction - target", name, joint))
            axes[2, column].axhline(0, color="0.7", linewidth=0.5)
        axes[-1, column].set_xlabel("place", fontsize=SMALL)


def _words(what: str, name: str, joint: str) -> str:
    return f"{what}{joint}{name}" if name else what
