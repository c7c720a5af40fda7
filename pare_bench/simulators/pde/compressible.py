"""Compressible Navier-Stokes equations of an ideal gas in one and two dimensions, in the form that PDEBench solves.

    rho_t + div(rho v) = 0
    (rho v)_t + div(rho v v) + grad p = viscous fluxes,   E_t + div((E + p) v) = work of the viscous fluxes

Viscous fluxes are weighted by density and there is no conduction of heat: along x the momentum flux is (zeta + 4/3 eta) rho u_x for the velocity
u along x and eta rho v_x for one across it; the energy flux is the same with the squares, (...) rho (u^2)_x / 2. Along y likewise.

States are as in :mod:`pare_bench.simulators.pde.gas`; axis 0 of the grid is x. Hyperbolic part: one axis after the other; viscous part:
Crank-Nicolson along each axis. The order of the operators alternates, which makes the splitting second order. All sums telescope: mass, momentum
and energy are kept to round-off on periodic grids.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pare_bench.simulators.pde import tridiagonal
from pare_bench.simulators.pde.finite_volume import Array, Boundary, extended, following, march, preceding
from pare_bench.simulators.pde.gas import GAMMA, face_fluxes, to_conserved, to_primitive
from pare_bench.simulators.pde.initial import cell_centres, random_fields, unit_range, wave_sums, windows_2d

Floats = NDArray[np.float64]

COURANT = 0.8


def simulate_1d(count: int, points: int, times: Floats, rng: np.random.Generator, *, eta: float = 0.1, zeta: float = 0.1) -> Array:
    """Return density, velocity, pressure ``[n 1 + frames 3 points]`` on x in (-1, 1), periodic: the published random start and ``times``.

    Each field is a sum of three waves, windowed with probability 0.5. Density and pressure are scaled to [0, 1] and then to m u + b with m and b
    log-uniform on [1, 10] (density) and [10, 100] (pressure); the velocity stays as drawn. In the published runs density and pressure patterns of
    neighbouring blocks of samples coincide; here all three are independent.
    Single precision, which is what is stored.
    """
    x = cell_centres(points, -1, 1)
    density, velocity, pressure = (wave_sums(count, rng, modes=3, window_chance=0.5, left=-1, length=2).at(x) for _ in range(3))
    for field, low in ((density, 1.0), (pressure, 10.0)):
        scale, offset = low * 10 ** rng.random((2, count, 1))
        field[:] = scale * unit_range(field) + offset
    initial = np.stack([density, velocity, pressure], axis=1).astype(np.float32)
    return np.concatenate([initial[:, None], solve(initial, times, eta=eta, zeta=zeta, lengths=(2.0,))], axis=1)


def simulate_2d(count: int, points: int, times: Floats, rng: np.random.Generator, *, mach: float = 1.0, eta: float = 0.1, zeta: float = 0.1) -> Array:
    """Return density, both velocities, pressure ``[n 1 + frames 4 points points]`` on the periodic unit square: published start and ``times``.

    d0, T0 ~ U(0.1, 10), p0 = d0 T0; density and pressure deviate from d0 and p0 by random fields of relative size U(0.01, 0.2), the velocity is a
    random field of mean modulus mach * sqrt(gamma T0); half of the samples are windowed to a box around which the gas is at rest. Single
    precision, which is what is stored.
    """
    density0, temperature = rng.uniform(0.1, 10, (2, count, 1, 1))
    density_size, pressure_size = rng.uniform(0.01, 0.2, (2, count, 1, 1))
    fields = random_fields(count, 4, points, rng)
    speed = np.hypot(fields[:, 0], fields[:, 1]).mean(axis=(1, 2), keepdims=True)
    velocity = fields[:, :2] * (mach * np.sqrt(GAMMA * temperature) / speed)[:, None]
    box = windows_2d(count, points, rng)
    density = density0 * (1 + density_size * fields[:, 2] * box)
    pressure = density0 * temperature * (1 + pressure_size * fields[:, 3] * box)
    initial = np.stack([density, velocity[:, 0] * box, velocity[:, 1] * box, pressure], axis=1).astype(np.float32)
    return np.concatenate([initial[:, None], solve(initial, times, eta=eta, zeta=zeta, lengths=(1.0, 1.0))], axis=1)


def solve(
    initial: Array,
    times: Floats,
    *,
    eta: float = 0.0,
    zeta: float = 0.0,
    lengths: tuple[float, ...] = (1.0,),
    gamma: float = GAMMA,
    boundary: Boundary = "periodic",
) -> Array:
    """Return primitive states ``[n frames fields *grid]`` at increasing ``times`` from ``initial`` ``[n fields *grid]``, of the same precision.

    ``lengths`` are the sides of the domain. Samples do not influence each other. With ``boundary`` "outflow" there must be no viscosity.

    Raises:
        ValueError: fields do not fit the grid, or viscosity together with outflow.
    """
    axes = initial.ndim - 2
    if initial.shape[1] != axes + 2 or len(lengths) != axes:
        raise ValueError(f"{axes} axes need {axes + 2} fields and {axes} lengths, not {initial.shape[1]} and {len(lengths)}")
    if boundary == "outflow" and (eta or zeta):
        raise ValueError("viscosity needs a periodic boundary")
    spacing = [length / points for length, points in zip(lengths, initial.shape[2:], strict=True)]

    def stable(state: Array) -> Array:
        primitive = to_primitive(state, gamma)
        sound = np.sqrt(gamma * primitive[:, -1] / primitive[:, 0])
        rates = [(np.abs(primitive[:, 1 + axis]) + sound).reshape(len(state), -1).max(axis=1) / spacing[axis] for axis in range(axes)]
        return COURANT / np.max(rates, axis=0)

    def step(state: Array, dt: Array, parity: int) -> Array:
        operators = [(_hyperbolic, axis) for axis in range(axes)]
        if eta or zeta:
            operators += [(_viscous, axis) for axis in range(axes)]
        for operator, axis in reversed(operators) if parity else operators:
            state = operator(state, dt, axis)
        return state

    def _hyperbolic(state: Array, dt: Array, axis: int) -> Array:
        lines = _along(state, axis)
        ratio = (dt / spacing[axis]).reshape(-1, *[1] * axes)
        ghosts = extended(to_primitive(lines, gamma), boundary)
        return _across(lines - ratio[:, None] * np.diff(face_fluxes(ghosts, ratio, gamma), axis=-1), axis)

    def _viscous(state: Array, dt: Array, axis: int) -> Array:
        lines = _along(state, axis).copy()
        shape = lines.shape[0], *lines.shape[2:]
        number = np.broadcast_to((dt / spacing[axis] ** 2).reshape(-1, *[1] * axes), (*shape[:-1], 1)).reshape(-1, 1)
        density = lines[:, 0].reshape(-1, shape[-1])
        face = (density + following(density)) / 2
        for field in range(1, axes + 1):
            conductance = number * ((zeta + 4 / 3 * eta) if field == 1 else eta) * face
            old = lines[:, field].reshape(density.shape) / density
            new = _diffused(old, density, conductance)
            middle = (old + new) / 2
            after = following(middle)
            flux = conductance * (after - middle)
            lines[:, field] += (flux - preceding(flux)).reshape(shape)
            work = flux * (after + middle) / 2
            lines[:, -1] += (work - preceding(work)).reshape(shape)
        return _across(lines, axis)

    return np.stack(
        [to_primitive(frame, gamma) for frame in np.moveaxis(march(to_conserved(initial, gamma), times, stable, step), 1, 0)],
        axis=1,
    )


def _along(state: Array, axis: int) -> Array:
    """Return ``state`` with grid axis ``axis`` last and the velocity along it first."""
    if state.ndim == 3:
        return state
    return np.ascontiguousarray(state[:, [0, 2, 1, 3]] if axis else state.swapaxes(2, 3))


def _across(lines: Array, axis: int) -> Array:
    """Undo :func:`_along`."""
    if lines.ndim == 3:
        return lines
    return lines[:, [0, 2, 1, 3]] if axis else lines.swapaxes(2, 3)


def _diffused(velocity: Array, density: Array, conductance: Array) -> Array:
    """Return the velocities ``[lines m]`` after a Crank-Nicolson step of rho u_t = (c u_x)_x; ``conductance`` is dt c / dx^2 at right faces."""
    half = conductance / 2
    before = preceding(half)
    flux = half * (following(velocity) - velocity)
    return tridiagonal.solve_periodic_symmetric(density + half + before, -half, density * velocity + flux - preceding(flux))
