"""Classes and labels: the input, and beside it the probabilities that a run gives, the true ones marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pare_bench.contracts.task import Classes, Labels
from pare_bench.pictures.inputs import draw_input
from pare_bench.pictures.panels import OTHER, PREDICTED, SMALL, TRUE, plain
from pare_bench.pictures.sample import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

#: Bars of one panel: of more classes or labels the most probable ones and all true ones are shown.
MOST_BARS = 12
#: Of the others at least so many, however many are true: what a run takes for true and is not.
MOST_OTHERS = 4
FEWEST_SLOTS = 8


def height(sample: Sample) -> float:
    """Return the height of the picture in inches."""
    rows = sample.shape.grid[0] if sample.shape.table and sample.shape.grid[0] > 1 else 0
    return max(2.6, min(7.0, 0.13 * rows + 1.2))


def draw(figure: SubFigure, sample: Sample) -> None:
    """Draw the input on the left and the classes or labels on the right."""
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    draw_input(left, sample)
    _bars(right, sample)


def true_ones(sample: Sample) -> list[int]:
    """Return the class of a sample, or its labels."""
    truth = np.asarray(sample.truth)
    return [int(truth)] if isinstance(sample.target, Classes) else [int(label) for label in np.flatnonzero(truth > 0)]


def shown_ones(sample: Sample) -> list[int]:
    """Return the classes or labels that have a bar: all if they are few, else the true ones and the most probable ones, by number."""
    assert isinstance(sample.target, Classes | Labels)  # noqa: S101 - drawn by kind
    count, true, predicted = sample.target.num, true_ones(sample), sample.predicted
    if count <= MOST_BARS:
        return list(range(count))
    chosen = true[:MOST_BARS]
    if predicted is not None:
        likely = [int(number) for number in np.argsort(-predicted, kind="stable")]
        chosen += [number for number in likely if number not in chosen][: max(MOST_OTHERS, MOST_BARS - len(chosen))]
    return sorted(chosen)


def _bars(axis: Axes, sample: Sample) -> None:
    assert isinstance(sample.target, Classes | Labels)  # noqa: S101 - drawn by kind
    word = "class" if isinstance(sample.target, Classes) else "label"
    true, shown, predicted = true_ones(sample), shown_ones(sample), sample.predicted
    values = np.isin(shown, true).astype(float) if predicted is None else predicted[shown]
    colours = [TRUE if number in true else PREDICTED if predicted is not None else OTHER for number in shown]
    places = np.arange(len(shown))
    axis.barh(places, values, color=colours, height=0.7)
    for place, number in enumerate(shown):
        if number in true:
            axis.plot(1.03, place, marker="<", color=TRUE, markersize=4, clip_on=False)
    plain(axis)
    # Few bars are no thicker than many.
    slots = max(len(shown), FEWEST_SLOTS)
    axis.set(yticks=places, yticklabels=[f"{word} {number}" for number in shown], xlim=(0, 1), ylim=(slots - 0.5, -0.5))
    axis.set_title(_title(sample, word, true, len(shown)), fontsize=SMALL + 1)


def _title(sample: Sample, word: str, true: list[int], shown: int) -> str:
    assert isinstance(sample.target, Classes | Labels)  # noqa: S101 - drawn by kind
    count = sample.target.num
    if word == "class":
        said = f"target: class {true[0]} of {count}"
    else:
        said = f"target: {len(true)} of {count} labels" if true else f"target: none of {count} labels"
    if sample.prediction is None:
        return said
    few = f" (highest of {count})" if shown < count else ""
    return f"{said}\npredicted probability{few}; orange: true"
