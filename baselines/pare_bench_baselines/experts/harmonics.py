"""Fourier analysis on the sphere and on the rotation group, on Driscoll-Healy grids.

Conventions: ``D^l_mn(a, b, c) = exp(-i m a) d^l_mn(b) exp(-i n c)`` for the rotation ``Rz(a) Ry(b) Rz(c)``, ``d^l(b) = exp(-i b J_y)``, and
``Y^l_m(colatitude b, longitude a) = sqrt((2 l + 1) / 4 pi) conj(D^l_m0(a, b, 0))``, which are the orthonormal harmonics with the Condon-Shortley
phase. A signal of bandwidth B has degrees l < B; its grid has 2 B points per axis: colatitudes pi (2 j + 1) / (4 B), the other angles pi k / B.
Tables are made in double precision with numpy.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def colatitudes(bandwidth: int) -> Floats:
    """Return the ``2 B`` colatitudes of the grid."""
    return np.pi * (2 * np.arange(2 * bandwidth) + 1) / (4 * bandwidth)


def quadrature(bandwidth: int) -> Floats:
    """Return weights ``[2B]`` with ``sum_j w_j p(cos b_j)`` equal to the integral of p over [-1, 1] for polynomials p of degree below 2 B.

    Driscoll and Healy, Advances in Applied Mathematics 15, 1994, theorem 3.
    """
    angles = colatitudes(bandwidth)
    orders = 2 * np.arange(bandwidth) + 1
    return 2 / bandwidth * np.sin(angles) * (np.sin(np.outer(angles, orders)) / orders).sum(1)


def wigner_d(degree: int, angles: Floats) -> Floats:
    """Return ``d^l_mn(b)`` as ``[k 2l+1 2l+1]`` for ``angles`` [k]; rows m and columns n run from -l to l.

    By the eigenvectors of J_y, which is stable at every degree used here (no factorials, no recursion).
    """
    orders = np.arange(-degree, degree)
    raising = np.sqrt(degree * (degree + 1) - orders * (orders + 1))
    j_y = (np.diag(raising, -1) - np.diag(raising, 1)) / 2j
    values, vectors = np.linalg.eigh(j_y)
    turned = np.einsum("me,ke,ne->kmn", vectors, np.exp(-1j * np.outer(angles, values)), vectors.conj())
    return np.ascontiguousarray(turned.real)


@cache
def wigner_table(bandwidth: int, grid: int) -> Floats:
    """Return ``d^l_mn`` at the colatitudes of the grid of bandwidth ``grid``: ``[B 2B-1 2B-1 2grid]``, zero where |m| or |n| exceeds l."""
    return _padded(bandwidth, colatitudes(grid))


def wigner_matrices(bandwidth: int, euler: Floats) -> NDArray[np.complex128]:
    """Return ``D^l_mn`` of rotations ``euler`` [k 3] (angles a, b, c): ``[k B 2B-1 2B-1]``, zero where |m| or |n| exceeds l."""
    orders = np.arange(1 - bandwidth, bandwidth)
    small = np.moveaxis(_padded(bandwidth, euler[:, 1]), -1, 0)
    left, right = np.exp(-1j * np.outer(euler[:, 0], orders)), np.exp(-1j * np.outer(euler[:, 2], orders))
    return np.asarray(left[:, None, :, None] * small * right[:, None, None, :])


def _padded(bandwidth: int, angles: Floats) -> Floats:
    table = np.zeros((bandwidth, 2 * bandwidth - 1, 2 * bandwidth - 1, len(angles)))
    for degree in range(bandwidth):
        inside = slice(bandwidth - 1 - degree, bandwidth + degree)
        table[degree, inside, inside] = np.moveaxis(wigner_d(degree, angles), 0, -1)
    return table
