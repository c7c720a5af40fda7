"""The converters of published PDEBench files: a converter is named and has no arguments, so these are made when their name is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.pdebench.published_files import PUBLISHED
from pare_bench.builtin.suites.pdebench.published_reader import frames

Converter = Callable[[Sequence[Path]], dict[str, NDArray[np.generic]]]


def converter(task: str, law: str, points: int, later: int) -> str:
    """Return the name of the converter that keeps these frames of a task's file (see :func:`published_reader.frames`)."""
    return f"{__name__}:{task}-{law}-{points}-{later}"


def __getattr__(name: str) -> Converter:
    """Return the converter of this name.

    Raises:
        AttributeError: it is none.
    """
    task, *rest = name.split("-")
    if task not in PUBLISHED or len(rest) != 3:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    law, points, later = rest

    def convert(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
        return frames(sources[0], task, law, int(points), int(later))

    return convert
