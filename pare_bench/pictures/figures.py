"""One figure of one or several samples, and its file: the same samples give the same bytes with the same libraries."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, Protocol

from pare_bench.contracts.task import Field, PairMap
from pare_bench.errors import EnvironmentFault, UsageError
from pare_bench.pictures import classes, lines, maps, pairs
from pare_bench.pictures.panels import SMALL
from pare_bench.pictures.sample import Sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

WIDTH = 8.0
DPI = 100
#: Colours of a PNG file: no value of a pixel is off by more than ten or so of 255, and the file is a third of the size.
_COLOURS = 256
#: Characters of a title that fit the width.
_LINE = 110
#: Inches between one sample and the title of the next.
_SPACE = 0.15
SUFFIXES = (".png", ".svg")
# Sizes and fonts of our own whatever the reader's settings; ids of an SVG file would be drawn at random without a salt.
_STYLE: dict[Any, Any] = {"font.family": "DejaVu Sans", "svg.hashsalt": "pare-bench", "svg.fonttype": "path", "axes.linewidth": 0.5}


def figure_of(samples: Sequence[Sample]) -> Figure:
    """Return the figure of ``samples``, one above the other, each with its title, tier, track and scores.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    check_installed()
    from matplotlib.figure import Figure

    kinds = [_kind(sample) for sample in samples]
    with _style():
        heights = [kind.height(sample) + _SPACE for kind, sample in zip(kinds, samples, strict=True)]
        figure = Figure(figsize=(WIDTH, sum(heights)), dpi=DPI, layout="constrained")
        parts = figure.subfigures(len(samples), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, kind, sample in zip(parts, kinds, samples, strict=True):
            part.suptitle("\n".join(fill(line, _LINE) for line in (sample.title, sample.origin)), fontsize=SMALL + 1.5)
            kind.draw(part, sample)
    return figure


def content_of(figure: Figure, suffix: str) -> bytes:
    """Return a figure as the bytes of a PNG or SVG file, without date or version."""
    content = io.BytesIO()
    with _style():
        if suffix == ".svg":
            figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
            return content.getvalue()
        figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    from PIL import Image

    with Image.open(content) as picture:
        reduced = picture.convert("RGB").quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small = io.BytesIO()
    reduced.save(small, format="PNG", optimize=True)
    return small.getvalue()


def check_suffix(path: Path) -> None:
    """Check that a file name says which format.

    Raises:
        UsageError: it is neither PNG nor SVG.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--to '{path}' is neither a .png nor an .svg file", hint=f"--to {path.with_suffix('.png')}")


def check_installed() -> None:
    """Check that pictures can be drawn.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    try:
        import_module("matplotlib")
    except ImportError as error:
        raise EnvironmentFault("pictures need the package 'matplotlib'", hint="pip install 'pare-bench[plot]'") from error


class _Kind(Protocol):
    """A module that draws one kind of target."""

    def height(self, sample: Sample) -> float:
        """Return the height of the picture in inches."""

    def draw(self, figure: SubFigure, sample: Sample) -> None:
        """Draw."""


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield


def _kind(sample: Sample) -> _Kind:
    match sample.target:
        case Field(grid=grid):
            return lines if len(grid) == 1 else maps
        case PairMap():
            return pairs
    return classes
