"""Linear advection u_t + beta u_x = 0 on a periodic interval."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pare_bench.simulators.pde.initial import cell_centres, wave_sums

Floats = NDArray[np.float64]

#: Offsets of the six cells that interpolation reads, relative to the cell on the left.
STENCIL = np.arange(-2, 4)


def simulate(count: int, points: int, times: Floats, rng: np.random.Generator, *, beta: float = 0.4) -> Floats:
    """Return ``[n 1 + frames points]``: the published random initial condition and the solution at ``times``, on x in (0, 1)."""
    initial = wave_sums(count, rng).at(cell_centres(points))
    return np.concatenate([initial[:, None], solve(initial, times, beta=beta)], axis=1)


def solve(initial: Floats, times: Floats, *, beta: float = 0.4, length: float = 1.0) -> Floats:
    """Return the solution ``[n frames points]`` at ``times`` for ``initial`` ``[n points]``.

    Each frame is one semi-Lagrangian step from the initial field: characteristics are straight lines, so nothing accumulates over time. The foot
    of a characteristic is interpolated by the polynomial of degree 5 through the six cells around it: sixth order where u is smooth, errors
    next to a kink stay there, and the weights add up to 1, so that the integral of u is kept to round-off.
    """
    points = initial.shape[1]
    frames = []
    for time in times:
        cells = beta * float(time) * points / length
        whole = math.floor(cells)
        frames.append(_interpolated(initial, whole, cells - whole))
    return np.stack(frames, axis=1)


def _interpolated(u: Floats, whole: int, fraction: float) -> Floats:
    """Return u at places ``whole + fraction`` cells upstream."""
    # The foot lies 1 - fraction beyond the cell ``whole + 1`` cells upstream.
    foot = 1 - fraction
    result = np.zeros_like(u)
    for offset in STENCIL:
        others = STENCIL[offset != STENCIL]
        weight = float(np.prod((foot - others) / (offset - others)))
        result += weight * np.roll(u, whole + 1 - int(offset), axis=1)
    return result
