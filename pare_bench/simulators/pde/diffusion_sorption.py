"""Diffusion with sorption: a solute enters porous ground and sticks to its grains (Freundlich isotherm).

    theta(u)_t = D u_xx,   theta(u) = u + (1 - phi) / phi * rho_s k (u + 1e-6)^n_f

theta' is the retardation factor R, so this is u_t = D / R(u) u_xx. x in (0, 1), t in [0, 500].
Left of the first cell u = 1; right of the last one the published ghost value D (u_{N-2} - u_{N-1}) / dx, in effect u = -D u_x there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pare_bench.simulators.pde import tridiagonal

Floats = NDArray[np.float64]

DIFFUSION, POROSITY, GRAIN_DENSITY, FREUNDLICH_K, FREUNDLICH_N, OFFSET = 5e-4, 0.29, 2880.0, 3.5e-4, 0.874, 1e-6
SORPTION = (1 - POROSITY) / POROSITY * GRAIN_DENSITY * FREUNDLICH_K
INFLOW = 1.0
#: Steps grow from the first by this factor until they reach the largest one: the solution starts with a jump at the left wall.
FIRST_STEP, GROWTH, MAX_STEP = 1e-3, 1.2, 5.0
NEWTON_TOLERANCE, NEWTON_STEPS = 1e-10, 30


def simulate(count: int, points: int, times: Floats, rng: np.random.Generator) -> Floats:
    """Return ``[n 1 + frames points]``: a constant u0 ~ U(0, 0.2), as published, and the solution at ``times``."""
    initial = np.repeat(rng.uniform(0, 0.2, (count, 1)), points, axis=1)
    return np.concatenate([initial[:, None], solve(initial, times)], axis=1)


def retained(u: Floats) -> Floats:
    """Return theta(u), dissolved and sorbed solute together."""
    return u + SORPTION * (u + OFFSET) ** FREUNDLICH_N


def retardation(u: Floats) -> Floats:
    """Return R(u) = theta'(u)."""
    return 1 + SORPTION * FREUNDLICH_N * (u + OFFSET) ** (FREUNDLICH_N - 1)


def second_difference(u: Floats) -> Floats:
    """Return u_xx ``[n points]`` on x in (0, 1) with the published ghost values."""
    dx = 1 / u.shape[1]
    ghosts = np.concatenate([np.full((len(u), 1), INFLOW), u, DIFFUSION * (u[:, -2:-1] - u[:, -1:]) / dx], axis=1)
    return np.diff(ghosts, 2, axis=1) / dx**2


def solve(initial: Floats, times: Floats, *, max_step: float = MAX_STEP, growth: float = GROWTH) -> Floats:
    """Return the solution ``[n frames points]`` at increasing ``times`` for ``initial`` ``[n points]``.

    TR-BDF2 (trapezoidal rule to the fraction 2 - sqrt(2) of a step, then second-order backward differences; Bank et al. 1985): second order and
    L-stable. Both stages are of the form theta(u) - w dt D u_xx = known, solved by Newton's method, for all samples in one tridiagonal system.
    Steps are those of all samples.

    Raises:
        RuntimeError: Newton's method does not converge.
    """
    u, now, step = initial, 0.0, FIRST_STEP
    fraction = 2 - np.sqrt(2)
    frames = []
    for end in times:
        while now < end:
            dt = min(step, end - now)
            if end - now - dt < dt / 2:
                dt = end - now if end - now <= step else (end - now) / 2
            weight = fraction / 2 * dt * DIFFUSION
            start = retained(u)
            stage = _implicit(start + weight * second_difference(u), weight, u)
            blend = (retained(stage) - (1 - fraction) ** 2 * start) / (fraction * (2 - fraction))
            u = _implicit(blend, (1 - fraction) / (2 - fraction) * dt * DIFFUSION, stage)
            now = end if end - now <= dt else now + dt
            step = min(step * growth, max_step)
        frames.append(u)
    return np.stack(frames, axis=1)


def _implicit(known: Floats, weight: float, guess: Floats) -> Floats:
    """Return u with theta(u) - weight u_xx = known."""
    u = guess
    points = u.shape[1]
    number = weight * points**2
    lower = np.full_like(u, -number)
    upper = np.full_like(u, -number)
    # The right ghost depends on the last two cells.
    lower[:, -1] -= number * DIFFUSION * points
    corner = number * DIFFUSION * points
    for _ in range(NEWTON_STEPS):
        residual = retained(u) - weight * second_difference(u) - known
        diagonal = retardation(u) + 2 * number
        diagonal[:, -1] += corner
        change = tridiagonal.solve(lower, diagonal, upper, residual)
        # theta has a steep corner at 0, where a full step may overshoot.
        u = np.maximum(u - change, 0)
        if np.abs(change).max() < NEWTON_TOLERANCE:
            return u
    raise RuntimeError(f"Newton's method did not converge in {NEWTON_STEPS} steps")
