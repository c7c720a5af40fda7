"""Single panels on an axis: maps with their colour bar, lines, bars; the look that all pictures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

VALUES, ERRORS = "viridis", "RdBu_r"
TRUE, PREDICTED, OTHER = "tab:orange", "tab:blue", "0.7"
SMALL = 7


def map_panel(
    axis: Axes, values: NDArray[Any], title: str, *, limits: tuple[float, float] | None = None, colours: str = VALUES, fit: bool = False
) -> AxesImage:
    """Draw ``values`` ``[height width]``, what is not a number in grey; ``fit`` stretches long ones to the panel."""
    import matplotlib as mpl

    low, high = limits or limits_of(values)
    palette = mpl.colormaps[colours].with_extremes(bad="0.8")
    shown = axis.imshow(values, cmap=palette, vmin=low, vmax=high, interpolation="nearest", aspect="auto" if fit else "equal")
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=SMALL + 1)
    return shown


def bar_of(shown: AxesImage, axes: Sequence[Axes]) -> None:
    """Give the maps of ``axes`` one colour bar, at the right of the last one."""
    bar = axes[-1].figure.colorbar(shown, ax=axes[-1], shrink=0.9, pad=0.02, aspect=16)
    bar.ax.tick_params(labelsize=SMALL - 1, length=2)
    bar.outline.set_linewidth(0.4)


def line_panel(axis: Axes, lines: Sequence[tuple[str, NDArray[Any], str]], title: str) -> None:
    """Draw (name, values ``[length]``, colour) as lines over the places; a legend where there are several."""
    for name, values, colour in lines:
        # A prediction that fits does not hide what it fits.
        axis.plot(values, linewidth=0.9, label=name, color=colour, linestyle="--" if name == "prediction" else "-")
    plain(axis)
    axis.set_title(title, fontsize=SMALL + 1)
    if len(lines) > 1:
        axis.legend(fontsize=SMALL - 1, loc="best", frameon=False, ncols=min(3, len(lines)))


def plain(axis: Axes) -> None:
    """Small ticks, no frame at the top and the right."""
    axis.tick_params(labelsize=SMALL - 1, length=2)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.01)


def limits_of(*arrays: NDArray[Any]) -> tuple[float, float]:
    """Return the ends of a colour scale that holds all finite values of ``arrays``."""
    values = np.concatenate([array[np.isfinite(array)].ravel() for array in map(np.asarray, arrays)])
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def symmetric_limits(values: NDArray[Any]) -> tuple[float, float]:
    """Return the ends of a colour scale with zero in the middle."""
    low, high = limits_of(values)
    most = max(abs(low), abs(high), 1e-12)
    return -most, most
