"""Random initial conditions of PDEBench: sums of sine waves in one and two dimensions, some of them windowed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Cells of the published 1-D grids; the wave numbers of the law depend on it.
PUBLISHED_POINTS = 1024
WINDOW_EDGE = 0.01
WINDOW_START, WINDOW_SPREAD, WINDOW_WIDTH = 0.1, 0.35, 0.45


def cell_centres(points: int, left: float = 0.0, right: float = 1.0) -> Floats:
    """Return the centres ``[points]`` of equal cells of [left, right]."""
    return np.asarray(left + (np.arange(points) + 0.5) * ((right - left) / points))


@dataclass(frozen=True)
class WaveSums:
    """Functions u(x) = sign * window(x) * [abs] sum_j A_j sin(kappa_j (x - left) + phi_j), one per sample.

    ``amplitude``, ``wave_number`` and ``phase`` are ``[n modes]``; ``sign`` ``[n]``; ``absolute`` and ``windowed`` bool ``[n]``; ``window`` is the
    left edge ``[n]``, the right one lies 0.45 beyond it.
    """

    amplitude: Floats
    wave_number: Floats
    phase: Floats
    sign: Floats
    absolute: NDArray[np.bool_]
    windowed: NDArray[np.bool_]
    window: Floats
    left: float

    def at(self, x: Floats) -> Floats:
        """Return the values ``[n points]`` at places ``x`` ``[points]`` or ``[n points]``."""
        x = np.broadcast_to(x, (len(self.sign), x.shape[-1]))
        values = np.zeros(x.shape)
        for mode in range(self.amplitude.shape[1]):
            angle = self.wave_number[:, mode, None] * (x - self.left) + self.phase[:, mode, None]
            values += self.amplitude[:, mode, None] * np.sin(angle)
        values = np.where(self.absolute[:, None], np.abs(values), values) * self.sign[:, None]
        rows = np.flatnonzero(self.windowed)
        values[rows] *= window(x[rows], self.window[rows, None])
        return values


def window(x: Floats, left: Floats) -> Floats:
    """Return 1 inside [left, left + 0.45], 0 outside, with edges of tanh of width 0.01."""
    return (np.tanh((x - left) / WINDOW_EDGE) - np.tanh((x - left - WINDOW_WIDTH) / WINDOW_EDGE)) / 2


def wave_sums(
    count: int, rng: np.random.Generator, *, modes: int = 4, window_chance: float = 0.1, left: float = 0.0, length: float = 1.0
) -> WaveSums:
    """Draw ``count`` functions from the published 1-D law.

    Two of the ``modes`` are drawn with replacement; mode j drawn c times gets the wave number 2 pi (j + 1) c / (length - dx), the others 0, so that
    they add a constant. dx is that of the published 1024 cells, whatever the grid of the solver: the wave misses periodicity by one cell. With
    probability 0.1 the modulus is taken; the sign is random. One uniform number decides on the window (below ``window_chance``) and places its left
    edge, as in the published data, whose random keys coincide: edges lie in [0.1, 0.1 + 0.35 * window_chance], in absolute coordinates.
    """
    drawn = rng.integers(0, modes, size=(count, 2))
    times = (drawn[:, :, None] == np.arange(modes)).sum(1)
    wave_number = 2 * np.pi * np.arange(1, modes + 1) * times / (length * (1 - 1 / PUBLISHED_POINTS))
    amplitude = rng.random((count, modes))
    phase = 2 * np.pi * rng.random((count, modes))
    absolute = rng.random(count) < 0.1
    sign = rng.choice([-1.0, 1.0], count)
    chance = rng.random(count)
    return WaveSums(amplitude, wave_number, phase, sign, absolute, chance < window_chance, WINDOW_START + WINDOW_SPREAD * chance, left)


def unit_range(values: Floats) -> Floats:
    """Return each sample ``[n ...]`` less its minimum, divided by what is then its maximum."""
    axes = tuple(range(1, values.ndim))
    shifted = values - values.min(axis=axes, keepdims=True)
    return shifted / shifted.max(axis=axes, keepdims=True)


def random_fields(count: int, fields: int, points: int, rng: np.random.Generator, *, modes: int = 4) -> Floats:
    """Return 2-D random fields ``[n fields points points]`` on the periodic unit square, each divided by the mean of its modulus.

    The sum runs over integers i, j in [-modes, modes] without zeros, amplitude (kx^2 + ky^2)^(-1/4) with k = 2 pi (i, j), phases independent.
    """
    numbers = np.concatenate([np.arange(-modes, 0), np.arange(1, modes + 1)])
    k = 2 * np.pi * numbers
    amplitude = (k[:, None] ** 2 + k**2) ** -0.25
    phase = 2 * np.pi * rng.random((count, fields, len(k), len(k)))
    wave = np.exp(1j * np.outer(cell_centres(points), k))
    values = ((wave @ (amplitude * np.exp(1j * phase))) @ wave.T).imag
    return values / np.abs(values).mean(axis=(2, 3), keepdims=True)


def windows_2d(count: int, points: int, rng: np.random.Generator, *, chance: float = 0.5) -> Floats:
    """Return windows ``[n points points]``: 1 everywhere with probability 1 - ``chance``, else a box of side 0.45.

    The number that decides on the window places its first edge (see :func:`wave_sums`); the second edge is independent.
    """
    decided, other = rng.random((2, count))
    x = cell_centres(points)
    first = window(x, (WINDOW_START + WINDOW_SPREAD * decided)[:, None])
    second = window(x, (WINDOW_START + WINDOW_SPREAD * other)[:, None])
    return np.where((decided < chance)[:, None, None], first[:, :, None] * second[:, None, :], 1.0)
