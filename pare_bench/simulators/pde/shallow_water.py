"""Shallow-water equations over a flat bottom: a circular dam breaks.

    h_t + (hu)_x + (hv)_y = 0,   (hu)_t + (hu^2 + g h^2 / 2)_x + (huv)_y = 0,   and the same for hv;   g = 1

States are ``[n 3 points points]``: height and both momenta; axis 0 of the grid is x. MUSCL-Hancock with van Leer slopes and the HLLC flux, one axis
after the other in alternating order; walls let waves out (zero-order extrapolation). Mass changes only by what leaves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pare_bench.simulators.pde.finite_volume import Array, Boundary, extended, limited_slopes, march
from pare_bench.simulators.pde.initial import cell_centres

Floats = NDArray[np.float64]

COURANT = 0.8
HALF_SIDE = 2.5
SUBCELLS = 8


def dam(radius: Floats, points: int, *, centre: Floats | None = None, inside: Floats | float = 2.0, subcells: int = 1) -> Floats:
    """Return heights ``[n points points]`` on [-2.5, 2.5]^2: ``inside`` within ``radius`` ``[n]`` of ``centre`` ``[n 2]`` (the origin), else 1.

    With ``subcells`` = 1 a cell belongs to the disc if its centre does, as published; more give the mean over so many points per side, so that the
    field changes continuously with the radius.
    """
    fine = cell_centres(points * subcells, -HALF_SIDE, HALF_SIDE)
    middle = np.zeros((len(radius), 2)) if centre is None else centre
    distance = np.hypot(fine[:, None] - middle[:, :1, None], fine - middle[:, 1:, None])
    wet = (distance <= radius[:, None, None]).reshape(len(radius), points, subcells, points, subcells).mean(axis=(2, 4))
    return 1 + wet * (np.reshape(inside, (-1, 1, 1)) - 1)


def simulate_published(count: int, points: int, times: Floats, rng: np.random.Generator) -> Array:
    """Return heights ``[n 1 + frames points points]``: radius ~ U(0.3, 0.7), everything else fixed.

    The solver sees only which cell centres lie inside, so few samples differ: at most 81 on 128 x 128 cells. Each is solved once.
    """
    heights = dam(rng.uniform(0.3, 0.7, count), points)
    masks, owner = np.unique(heights.reshape(count, -1), axis=0, return_inverse=True)
    return _trajectories(masks.reshape(-1, points, points), times)[owner.reshape(-1)]


def simulate(count: int, points: int, times: Floats, rng: np.random.Generator) -> Array:
    """Return heights ``[n 1 + frames points points]`` of dams that all differ: our variant, not the published law.

    Radius ~ U(0.3, 0.7), centre ~ U(-1, 1)^2, height ~ U(1.5, 2.5); cells on the rim hold the mean height.
    """
    centre, inside = rng.uniform(-1, 1, (count, 2)), rng.uniform(1.5, 2.5, count)
    return _trajectories(dam(rng.uniform(0.3, 0.7, count), points, centre=centre, inside=inside, subcells=SUBCELLS), times)


def _trajectories(heights: Floats, times: Floats) -> Array:
    """Return heights at time 0 and ``times`` in single precision, which is what is stored."""
    initial = np.zeros((len(heights), 3, *heights.shape[1:]), np.float32)
    initial[:, 0] = heights
    return np.concatenate([initial[:, None, 0], solve(initial, times)[:, :, 0]], axis=1)


def solve(initial: Array, times: Floats, *, length: float = 2 * HALF_SIDE, gravity: float = 1.0, boundary: Boundary = "outflow") -> Array:
    """Return states ``[n frames 3 points points]`` at increasing ``times`` from ``initial`` ``[n 3 points points]``, of the same precision."""
    dx = length / initial.shape[-1]

    def stable(state: Array) -> Array:
        fastest = np.maximum(np.abs(state[:, 1]), np.abs(state[:, 2])) / state[:, 0] + np.sqrt(gravity * state[:, 0])
        return COURANT * dx / fastest.reshape(len(state), -1).max(axis=1)

    def step(state: Array, dt: Array, parity: int) -> Array:
        ratio = (dt / dx)[:, None, None]
        for axis in (1, 0) if parity else (0, 1):
            # Along the last axis, with the momentum along it in field 1.
            lines = state[:, [0, 2, 1]] if axis else np.ascontiguousarray(state.swapaxes(2, 3))
            lines = lines - ratio[:, None] * np.diff(_face_fluxes(extended(_primitive(lines), boundary), ratio, gravity), axis=-1)
            state = lines[:, [0, 2, 1]] if axis else lines.swapaxes(2, 3)
        return state

    return march(initial, times, stable, step)


def _primitive(state: Array) -> Array:
    """Return height and both velocities."""
    primitive = state.copy()
    primitive[:, 1:] /= state[:, :1]
    return primitive


def _face_fluxes(ghosts: Array, ratio: Array, gravity: float) -> Array:
    """Return fluxes ``[n 3 ... m + 1]`` from primitive states ``[n 3 ... m + 4]``; ``ratio`` is dt / dx."""
    slopes = limited_slopes(ghosts)
    centre = ghosts[..., 1:-1]
    # Half a step of W_t = -A(W) W_x, then extrapolation to both faces.
    change = centre[:, 1:2] * slopes
    change[:, 0] += centre[:, 0] * slopes[:, 1]
    change[:, 1] += gravity * slopes[:, 0]
    later = centre - ratio[:, None] / 2 * change
    slopes /= 2
    return hllc_flux((later + slopes)[..., :-1], (later - slopes)[..., 1:], gravity)


def hllc_flux(left: Array, right: Array, gravity: float = 1.0) -> Array:
    """Return the HLLC flux ``[n 3 ...]`` between states (height, normal velocity, velocity along the face)."""
    wave_left, wave_right = np.sqrt(gravity * left[:, 0]), np.sqrt(gravity * right[:, 0])
    first = np.minimum(np.minimum(left[:, 1] - wave_left, right[:, 1] - wave_right), 0)
    last = np.maximum(np.maximum(left[:, 1] + wave_left, right[:, 1] + wave_right), 0)
    discharge_left, discharge_right = left[:, 0] * left[:, 1], right[:, 0] * right[:, 1]
    force_left = discharge_left * left[:, 1] + gravity / 2 * left[:, 0] ** 2
    force_right = discharge_right * right[:, 1] + gravity / 2 * right[:, 0] ** 2
    # HLL for height and normal momentum; what moves along the face is carried with the water of the side that it comes from.
    width = 1 / (last - first)
    flux = np.empty_like(left)
    flux[:, 0] = (last * discharge_left - first * discharge_right + first * last * (right[:, 0] - left[:, 0])) * width
    flux[:, 1] = (last * force_left - first * force_right + first * last * (discharge_right - discharge_left)) * width
    flux[:, 2] = flux[:, 0] * np.where(flux[:, 0] >= 0, left[:, 2], right[:, 2])
    return flux
