"""FitzHugh-Nagumo reaction-diffusion in two dimensions: u_t = Du lap u + u - u^3 - k - v, v_t = Dv lap v + u - v, no flux at the walls."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

Floats = NDArray[np.float64]
Array = NDArray[np.floating[Any]]

DIFFUSION_U, DIFFUSION_V, SHIFT = 1e-3, 5e-3, 5e-3
MAX_STEP = 0.05


def simulate(count: int, points: int, times: Floats, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return ``[n 1 + frames 2 points points]``: u and v on [-1, 1]^2, first independent standard normals per cell, then at ``times``.

    White noise depends on its grid: half as many cells per side make its smooth part twice as large. To have the published law on a coarser grid,
    simulate on 128 cells per side and average blocks. Single precision, which is what is stored.
    """
    initial = rng.standard_normal((count, 2, points, points), dtype=np.float32)
    return np.concatenate([initial[:, None], solve(initial, times)], axis=1)


def solve(initial: Array, times: Floats, *, length: float = 2.0, max_step: float = MAX_STEP) -> Array:
    """Return u and v ``[n frames 2 points points]`` at increasing ``times`` for ``initial`` ``[n 2 points points]``.

    Strang splitting with both parts exact: the cubic growth u_t = u - u^3 pointwise for half a step, everything linear for a whole one, the cubic
    again. The linear part couples u and v by a 2 x 2 matrix per cosine mode, of which the exponential is taken once per step length. Laplacian of
    five points, whose mirror condition the cosine transform of type 2 diagonalises. Second order in time.
    """
    points = initial.shape[-1]
    state, now = initial, 0.0
    frames = []
    for end in times:
        steps = max(1, math.ceil((end - now) / max_step - 1e-9))
        propagate = _Linear(points, length, (end - now) / steps, initial.dtype)
        for _ in range(steps):
            state = propagate(state)
        now = float(end)
        frames.append(state)
    return np.stack(frames, axis=1)


class _Linear:
    """One Strang step of fixed length."""

    def __init__(self, points: int, length: float, dt: float, dtype: np.dtype[Any]) -> None:
        from scipy.linalg import expm

        one = (2 * points / length * np.sin(np.pi * np.arange(points) / (2 * points))) ** 2
        laplacian = -(one[:, None] + one)
        # exp of [[a, -1], [1, d]] dt, with a = Du lap and d = Dv lap - 1.
        a, d = DIFFUSION_U * laplacian, DIFFUSION_V * laplacian - 1
        mean, half = (a + d) / 2, (a - d) / 2
        root = np.sqrt((half**2 - 1).astype(complex)) * dt
        cosh, sinh = np.cosh(root).real, np.where(np.abs(root) < 1e-8, 1, np.sinh(root) / np.where(root == 0, 1, root)).real * dt
        scale = np.exp(mean * dt)
        self.matrix = [(scale * entry).astype(dtype) for entry in (cosh + half * sinh, -sinh, sinh, cosh - half * sinh)]
        # The constant source -k enters the mode (0, 0) alone: the exact integral of exp(A s) (-k, 0) over a step.
        block = np.array([[0.0, -1.0, -SHIFT], [1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]) * dt
        self.source = expm(block)[:2, 2].astype(dtype)
        self.growth = dtype.type(math.exp(dt / 2)), dtype.type(math.expm1(dt))

    def __call__(self, state: Array) -> Array:
        u = dctn(self._cubic(state[:, 0]), type=2, axes=(1, 2), norm="ortho", overwrite_x=True)
        v = dctn(state[:, 1], type=2, axes=(1, 2), norm="ortho")
        uu, uv, vu, vv = self.matrix
        new = np.stack([uu * u + uv * v, vu * u + vv * v], axis=1)
        new = idctn(new, type=2, axes=(2, 3), norm="ortho", overwrite_x=True)
        new += self.source[:, None, None]
        new[:, 0] = self._cubic(new[:, 0])
        return new

    def _cubic(self, u: Array) -> Array:
        """Return u after half a step of u_t = u - u^3: u e^t / sqrt(1 + u^2 (e^2t - 1))."""
        factor, gain = self.growth
        return u * factor / np.sqrt(1 + gain * u * u)
