"""Tridiagonal systems, many at once: laid end to end they are one long system for LAPACK, at a cost linear in the unknowns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def solve(lower: Array, diagonal: Array, upper: Array, right: Array) -> Array:
    """Return x ``[lines m]`` of ``lower[i] x[i-1] + diagonal[i] x[i] + upper[i] x[i+1] = right[i]``, all ``[lines m]``.

    ``lower[:, 0]`` and ``upper[:, -1]`` are not used.

    Raises:
        RuntimeError: a system is singular.
    """
    from scipy.linalg import get_lapack_funcs

    lower, upper = lower.copy(), upper.copy()
    lower[:, 0], upper[:, -1] = 0, 0
    (gtsv,) = get_lapack_funcs(("gtsv",), (right,))
    *_, solution, info = gtsv(lower.ravel()[1:], diagonal.ravel(), upper.ravel()[:-1], right.reshape(-1, 1))
    if info:
        raise RuntimeError(f"tridiagonal system is singular at unknown {info}")
    return np.asarray(solution).reshape(right.shape)


def solve_periodic_symmetric(diagonal: Array, coupling: Array, right: Array) -> Array:
    """Return x ``[lines m]`` of the positive definite ``diagonal[i] x[i] + coupling[i-1] x[i-1] + coupling[i] x[i+1] = right[i]``, indices modulo m.

    The corners are a matrix of rank one, taken out by the Sherman-Morrison formula.

    Raises:
        RuntimeError: a system is not positive definite.
    """
    from scipy.linalg import get_lapack_funcs

    corner = coupling[:, -1]
    inner = coupling.copy()
    inner[:, -1] = 0
    # A = B + w w^T * corner with w = e_first + e_last; B stays diagonally dominant because couplings are negative.
    diagonal = diagonal.copy()
    diagonal[:, 0] -= corner
    diagonal[:, -1] -= corner
    ends = np.zeros_like(right)
    ends[:, 0] = ends[:, -1] = 1
    (ptsv,) = get_lapack_funcs(("ptsv",), (right,))
    *_, solution, info = ptsv(diagonal.ravel(), inner.ravel()[:-1], np.stack([right.ravel(), ends.ravel()], axis=1))
    if info:
        raise RuntimeError(f"tridiagonal system is not positive definite at unknown {info}")
    plain, response = np.asarray(solution).T.reshape(2, *right.shape)
    along = (corner * (plain[:, 0] + plain[:, -1])) / (1 + corner * (response[:, 0] + response[:, -1]))
    return plain - along[:, None] * response
