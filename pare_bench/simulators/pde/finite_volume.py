"""What the finite-volume solvers share: ghost cells, limited slopes, and marching each sample with its own time step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Boundary = Literal["periodic", "outflow"]

GHOSTS = 2


def extended(values: Array, boundary: Boundary) -> Array:
    """Return ``values`` ``[... m]`` with two ghost cells at both ends of the last axis: wrapped round, or copies of the edge (zero-order)."""
    if boundary == "periodic":
        return np.concatenate([values[..., -GHOSTS:], values, values[..., :GHOSTS]], axis=-1)
    first, last = values[..., :1], values[..., -1:]
    return np.concatenate([first, first, values, last, last], axis=-1)


def limited_slopes(values: Array) -> Array:
    """Return van Leer's slopes per cell ``[... m - 2]`` of the inner cells: the harmonic mean of both differences, 0 at extrema."""
    difference = values[..., 1:] - values[..., :-1]
    left, right = difference[..., :-1], difference[..., 1:]
    product = left * right
    np.maximum(product, 0, out=product)
    total = left + right
    total[total == 0] = 1
    product /= total
    product *= 2
    return product


def following(values: Array) -> Array:
    """Return each cell's right neighbour along the last axis, periodic."""
    return np.concatenate([values[..., 1:], values[..., :1]], axis=-1)


def preceding(values: Array) -> Array:
    """Return each cell's left neighbour along the last axis, periodic."""
    return np.concatenate([values[..., -1:], values[..., :-1]], axis=-1)


def march(initial: Array, times: NDArray[np.float64], stable: Callable[[Array], Array], step: Callable[[Array, Array, int], Array]) -> Array:
    """Return the states ``[n frames ...]`` at increasing ``times`` from ``initial`` ``[n ...]`` at time 0.

    ``stable(states) -> dt [n]`` is the largest allowed step of each sample, ``step(states, dt, parity) -> states`` does it. ``parity`` alternates
    between 0 and 1, so that split operators can change their order: that makes the splitting second order. Every sample has its own clock, and
    the steps that remain until a frame are of about equal length.
    """
    state = initial.copy()
    now = np.zeros(len(state))
    frames = np.empty((len(state), len(times), *state.shape[1:]), state.dtype)
    parity = 0
    for frame, end in enumerate(times):
        active = np.flatnonzero(now < end)
        while len(active):
            whole = len(active) == len(state)
            part = state if whole else state[active]
            left = end - now[active]
            pieces = np.ceil(left / stable(part))
            dt = left / np.maximum(pieces, 1)
            new = step(part, dt.astype(state.dtype), parity)
            parity = 1 - parity
            if whole:
                state = new
            else:
                state[active] = new
            now[active] = np.where(pieces <= 1, end, now[active] + dt)
            active = active[pieces > 1]
        frames[:, frame] = state
    return frames
