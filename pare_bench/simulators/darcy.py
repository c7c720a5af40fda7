"""Steady flow through a porous medium: -div(a grad u) = f on the unit square, u = 0 on its boundary.

The coefficient is that of the Fourier-neural-operator data (Li et al., ICLR 2021): a = 12 where a Gaussian field is positive and 3 elsewhere.
The field has covariance (-Laplacian + tau^2)^(-alpha) with zero-Neumann conditions, alpha = 2, tau = 3, and no constant mode: a cosine series
with independent normal coefficients of deviation (pi^2 |k|^2 + tau^2)^(-alpha / 2).

Grids are square with ``size`` nodes per side including the boundary, spacing h = 1 / (size - 1). The equation is discretised in flux form::

    sum over the four faces of a_face (u_here - u_there) / h^2 = f_here

with the arithmetic mean of the two nodes as the coefficient of a face, as in the published solver; second order where a is smooth. It is
solved by conjugate gradients preconditioned with the constant-coefficient problem, which sine transforms invert exactly. The spectrum of
the preconditioned operator lies in [min a, max a] whatever the grid, so the error shrinks by at least (sqrt(4) - 1) / (sqrt(4) + 1) = 1/3 a
step for a in {3, 12} (Concus, Golub and O'Leary 1976).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, dstn

Floats = NDArray[np.float64]

HIGH, LOW = 12.0, 3.0
MAX_STEPS = 200


def gaussian_field(count: int, size: int, rng: np.random.Generator, *, alpha: float = 2.0, tau: float = 3.0) -> Floats:
    """Return Gaussian fields ``[n size size]`` at the nodes, of covariance (-Laplacian + tau^2)^(-alpha) less the constant mode."""
    wave = (np.pi * np.arange(size)) ** 2
    deviation = (wave[:, None] + wave + tau**2) ** (-alpha / 2)
    deviation[0, 0] = 0.0
    # Orthonormal modes are 1 and sqrt(2) cos(pi k x); a type-1 transform counts inner terms twice. The last mode cannot be told from its alias.
    weight = np.full(size, np.sqrt(0.5))
    weight[0], weight[-1] = 1.0, 0.0
    coefficients = rng.standard_normal((count, size, size)) * (deviation * weight[:, None] * weight)
    return np.asarray(dctn(coefficients, type=1, axes=(1, 2), overwrite_x=True))


def two_phase_coefficient(count: int, size: int, rng: np.random.Generator) -> Floats:
    """Return coefficients ``[n size size]``: 12 where the Gaussian field is at least 0, else 3."""
    return np.where(gaussian_field(count, size, rng) >= 0, HIGH, LOW)


def solve(coefficient: Floats, source: Floats | float = 1.0, *, tolerance: float = 1e-6) -> Floats:
    """Return u ``[n size size]`` at all nodes (0 on the boundary) for ``coefficient`` ``[n size size]`` and ``source`` of that shape or a number.

    ``tolerance`` bounds the residual relative to the source, both measured in the norm of the inverse Laplacian; the relative error in the
    energy norm is at most ``tolerance * sqrt(max a / min a)``.

    Raises:
        ValueError: the coefficient is not positive, or not ``[n size size]`` with size of at least 3.
        RuntimeError: no convergence within 200 steps (a contrast far above 1000).
    """
    if coefficient.ndim != 3 or coefficient.shape[1] != coefficient.shape[2] or coefficient.shape[1] < 3:
        raise ValueError(f"coefficient must be [n size size] with size >= 3, not {list(coefficient.shape)}")
    if not (coefficient > 0).all():
        raise ValueError("coefficient must be positive")
    right = np.broadcast_to(source, coefficient.shape)
    # One example after the other: its vectors then stay in the processor's cache, which is worth more than longer numpy calls.
    return np.stack([_solve_one(a, f, tolerance) for a, f in zip(coefficient, right, strict=True)])


def _solve_one(a: Floats, f: Floats, tolerance: float) -> Floats:
    intervals = len(a) - 1
    down = (a[1:, 1:-1] + a[:-1, 1:-1]) / 2
    right = (a[1:-1, 1:] + a[1:-1, :-1]) / 2
    # Everything is multiplied by h^2, and the source brought to order 1 so that single precision serves in the preconditioner.
    scale = np.abs(f[1:-1, 1:-1]).max()
    u, direction = np.zeros_like(a), np.zeros_like(a)
    if scale == 0:
        return u
    residual = f[1:-1, 1:-1] / scale
    eigenvalues = 4 * np.sin(np.pi * np.arange(1, intervals) / (2 * intervals)) ** 2
    # A type-1 sine transform is its own inverse up to 1 / (2 intervals) per axis.
    inverse = (1 / ((eigenvalues[:, None] + eigenvalues) * (2 * intervals) ** 2)).astype(np.float32)
    # Views and buffers: the loop allocates nothing but the transforms.
    solution, step = u[1:-1, 1:-1], direction[1:-1, 1:-1]
    flow_down, flow_right, applied, change = np.empty_like(down), np.empty_like(right), np.empty_like(residual), np.empty_like(residual)
    smoothed = _smooth(residual, inverse)
    energy = np.vdot(residual, smoothed)
    goal = tolerance**2 * energy
    step[:] = smoothed
    for _ in range(MAX_STEPS):
        if energy <= goal:
            u *= scale / intervals**2
            return u
        np.subtract(direction[:-1, 1:-1], direction[1:, 1:-1], out=flow_down)
        flow_down *= down
        np.subtract(direction[1:-1, :-1], direction[1:-1, 1:], out=flow_right)
        flow_right *= right
        np.subtract(flow_down[1:], flow_down[:-1], out=applied)
        applied += flow_right[:, 1:]
        applied -= flow_right[:, :-1]
        np.multiply(applied, step, out=change)
        length = energy / change.sum()
        solution += np.multiply(step, length, out=change)
        residual -= np.multiply(applied, length, out=change)
        smoothed = _smooth(residual, inverse)
        energy, before = np.vdot(residual, smoothed), energy
        step *= energy / before
        step += smoothed
    raise RuntimeError(f"conjugate gradients did not reach {tolerance} in {MAX_STEPS} steps")


def _smooth(residual: Floats, inverse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the solution of the constant-coefficient problem in single precision, which is enough for a preconditioner."""
    transformed = dstn(residual.astype(np.float32), type=1, overwrite_x=True)
    transformed *= inverse
    return np.asarray(dstn(transformed, type=1, overwrite_x=True))
