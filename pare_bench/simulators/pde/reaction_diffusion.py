"""Fisher's reaction-diffusion equation u_t = nu u_xx + rho u (1 - u) on a periodic interval."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from pare_bench.simulators.pde.initial import cell_centres, unit_range, wave_sums

Floats = NDArray[np.float64]

MAX_STEP = 0.002


def simulate(count: int, points: int, times: Floats, rng: np.random.Generator, *, nu: float = 0.5, rho: float = 1.0) -> Floats:
    """Return ``[n 1 + frames points]``: the published initial condition, scaled to [0, 1], and the solution at ``times``, on x in (0, 1)."""
    initial = unit_range(wave_sums(count, rng).at(cell_centres(points)))
    return np.concatenate([initial[:, None], solve(initial, times, nu=nu, rho=rho)], axis=1)


def solve(initial: Floats, times: Floats, *, nu: float = 0.5, rho: float = 1.0, length: float = 1.0, max_step: float = MAX_STEP) -> Floats:
    """Return the solution ``[n frames points]`` at increasing ``times`` for ``initial`` ``[n points]``.

    Strang splitting with both parts exact: logistic growth u <- u / (u + (1 - u) exp(-rho dt / 2)) for half a step, diffusion in Fourier space
    for a whole one, and growth again. Spectral in space, second order in time with steps of at most ``max_step``.
    """
    points = initial.shape[1]
    wave_number = 2 * np.pi * np.arange(points // 2 + 1) / length
    u, now = initial, 0.0
    frames = []
    for end in times:
        steps = max(1, math.ceil((end - now) / max_step - 1e-9))
        dt = (end - now) / steps
        decay = np.exp(-nu * wave_number**2 * dt)
        for _ in range(steps):
            u = _grown(irfft(rfft(_grown(u, rho * dt / 2)) * decay, points), rho * dt / 2)
        now = float(end)
        frames.append(u)
    return np.stack(frames, axis=1)


def _grown(u: Floats, amount: float) -> Floats:
    """Return u after logistic growth by ``amount`` = rate * time."""
    return u / (u + (1 - u) * math.exp(-amount))
