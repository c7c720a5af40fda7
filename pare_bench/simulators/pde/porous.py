"""Darcy flow as PDEBench has it: -div(nu grad u) = beta on the unit square, nu = 1 or 0.1 by a sum of bumps.

Cells are those of the published grid, ``points`` per side. The published boundary sets ghost cells to 0, so u = 0 half a cell outside of the square,
and copies nu into them. With the ghosts as boundary nodes this is the problem of :mod:`pare_bench.simulators.darcy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

from pare_bench.simulators import darcy
from pare_bench.simulators.pde.initial import cell_centres, random_fields, windows_2d

Floats = NDArray[np.float64]

HIGH, LOW = 1.0, 0.1
BUMPS = 5
#: Mean over samples and places of the sum of bumps. The published threshold is the mean over the batch of 200.
THRESHOLD = 1.8521
TOLERANCE = 1e-6


def coefficients(count: int, points: int, rng: np.random.Generator) -> Floats:
    """Return nu ``[n points points]``: 1 where a sum of five bumps exp(-|x - c|^2 / s) exceeds its mean, else 0.1; c ~ U(0, 1)^2, s ~ U(0, 0.5).

    The published threshold is the mean over whatever 200 samples are in a batch; here it is the mean of the law, so samples are independent.
    """
    return np.where(bumps(count, points, rng) > THRESHOLD, HIGH, LOW)


def bumps(count: int, points: int, rng: np.random.Generator) -> Floats:
    """Return sums of five bumps ``[n points points]``."""
    centre, spread = rng.random((2, count, BUMPS, 1)), rng.uniform(0, 0.5, (count, BUMPS, 1))
    x = cell_centres(points)
    # A bump is the product of its two profiles; the floor keeps a width that is drawn as 0 finite.
    profiles = np.exp(-((x - centre) ** 2) / np.maximum(spread, 1e-12))
    return np.einsum("nbi,nbj->nij", profiles[0], profiles[1])


def steady(coefficient: Floats, beta: float = 1.0) -> Floats:
    """Return the steady solution ``[n points points]`` for nu ``[n points points]``; linear in ``beta``."""
    points = coefficient.shape[1]
    ghosts = np.pad(coefficient, ((0, 0), (1, 1), (1, 1)), mode="edge")
    # The solver takes the nodes' own square for the unit square: it is 1 + 1 / points wide.
    return darcy.solve(ghosts, beta, tolerance=TOLERANCE)[:, 1:-1, 1:-1] * ((points + 1) / points) ** 2


def initial_fields(count: int, points: int, rng: np.random.Generator) -> Floats:
    """Return the published fields at time 0 ``[n points points]``: a level U(0.1, 10) plus waves of mean size U(0.01, 0.5), half of them windowed.

    The waves are the same for all samples of a batch, that is, of a call. Whatever they are, they do not depend on nu.
    """
    level, size = rng.uniform(0.1, 10, (count, 1, 1)), rng.uniform(0.01, 0.5, (count, 1, 1))
    waves = random_fields(1, 1, points, rng)[0]
    return level + size * waves * windows_2d(count, points, rng)


def transient(coefficient: Floats, initial: Floats, *, beta: float = 0.1, time: float = 1.75, steps: int = 40) -> Floats:
    """Return u ``[n points points]`` at ``time`` of u_t = div(nu grad u) + beta from ``initial``: the published target.

    Two-stage, second-order, L-stable diagonally implicit Runge-Kutta steps (Alexander 1977): both stages have the same matrix,
    factorised once a sample.
    """
    from scipy.sparse import csc_array, eye_array
    from scipy.sparse.linalg import splu

    points = coefficient.shape[1]
    dt = time / steps
    gamma = 1 - np.sqrt(0.5)
    source = np.full(points * points, beta)
    results = np.empty_like(initial)
    for row, nu in enumerate(coefficient):
        operator = _operator(nu)
        factor = splu(csc_array(eye_array(points * points) - gamma * dt * operator), permc_spec="MMD_AT_PLUS_A")
        u = initial[row].ravel()
        for _ in range(steps):
            first = factor.solve(operator @ u + source)
            second = factor.solve(operator @ (u + (1 - gamma) * dt * first) + source)
            u = u + dt * ((1 - gamma) * first + gamma * second)
        results[row] = u.reshape(points, points)
    return results


def _operator(nu: Floats) -> csc_array:
    """Return div(nu grad) as a sparse matrix over the cells, row by row."""
    from scipy.sparse import coo_array, csc_array

    points = len(nu)
    ghosts = np.pad(nu, 1, mode="edge")
    down = (ghosts[1:, 1:-1] + ghosts[:-1, 1:-1]) / 2
    right = (ghosts[1:-1, 1:] + ghosts[1:-1, :-1]) / 2
    cell = np.arange(points * points).reshape(points, points)
    centre = -(down[1:] + down[:-1] + right[:, 1:] + right[:, :-1])
    pairs = [(cell, cell, centre)]
    for first, second, face in ((cell[:-1], cell[1:], down[1:-1]), (cell[:, :-1], cell[:, 1:], right[:, 1:-1])):
        pairs += [(first, second, face), (second, first, face)]
    rows, columns, values = (np.concatenate([pair[part].ravel() for pair in pairs]) for part in range(3))
    return csc_array(coo_array((values * points**2, (rows, columns))))
