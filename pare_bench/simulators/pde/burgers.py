"""Viscous Burgers equation u_t + (u^2 / 2)_x = (nu / pi) u_xx on a periodic interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from pare_bench.simulators.pde.finite_volume import Array, extended, limited_slopes, march
from pare_bench.simulators.pde.initial import cell_centres, wave_sums

Floats = NDArray[np.float64]

COURANT = 0.8


def simulate(count: int, points: int, times: Floats, rng: np.random.Generator, *, nu: float) -> Floats:
    """Return ``[n 1 + frames points]``: the published random initial condition and the solution at ``times``, on x in (0, 1)."""
    initial = wave_sums(count, rng).at(cell_centres(points))
    return np.concatenate([initial[:, None], solve(initial, times, nu=nu)], axis=1)


def solve(initial: Array, times: Floats, *, nu: float, length: float = 1.0) -> Array:
    """Return the solution ``[n frames points]`` at ``times`` for ``initial`` ``[n points]``.

    Strang splitting: half a step of diffusion, a MUSCL-Hancock step of the convex conservation law with Godunov's flux, half a step of diffusion.
    Diffusion is the exact exponential of the three-point Laplacian in Fourier space: positive, unconditionally stable and conservative.
    Second order in space and time where u is resolved.
    """
    points = initial.shape[1]
    dx = length / points
    decay = (nu / np.pi) * (2 / dx * np.sin(np.pi * np.arange(points // 2 + 1) / points)) ** 2

    def stable(u: Array) -> Array:
        return COURANT * dx / np.maximum(np.abs(u).max(axis=1), 1e-3)

    def step(u: Array, dt: Array, parity: int) -> Array:  # noqa: ARG001 - Strang's order is symmetric already
        half = np.exp(-decay * (dt[:, None] / 2))
        u = irfft(rfft(u) * half, points)
        u = _convected(u, dt[:, None] / dx)
        return irfft(rfft(u) * half, points)

    return march(initial, times, stable, step)


def _convected(u: Array, ratio: Array) -> Array:
    """Return u after a MUSCL-Hancock step; ``ratio`` is dt / dx ``[n 1]``."""
    ghosts = extended(u, "periodic")
    slopes = limited_slopes(ghosts)
    # Values at both faces of a cell, half a step later: u_t = -u u_x.
    centre = ghosts[:, 1:-1]
    centre = centre - ratio / 2 * centre * slopes
    left, right = (centre + slopes / 2)[:, :-1], (centre - slopes / 2)[:, 1:]
    # Godunov's flux of a convex law: the larger of f(max(left, 0)) and f(min(right, 0)).
    flux = np.maximum(np.maximum(left, 0) ** 2, np.minimum(right, 0) ** 2) / 2
    return u - ratio * np.diff(flux, axis=1)
