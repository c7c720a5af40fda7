"""The ideal gas of the compressible solvers: states, and fluxes through the faces of cells.

States are ``[n fields ...]`` with fields density, one velocity per axis, pressure ("primitive") or density, momenta, energy ("conserved");
E = p / (gamma - 1) + rho |v|^2 / 2. Fluxes are along the last axis of the grid, along which field 1 is the velocity.
MUSCL-Hancock with van Leer slopes and the HLLC flux (Toro, "Riemann Solvers and Numerical Methods for Fluid Dynamics", ch. 10 and 14).
"""

from __future__ import annotations

import numpy as np

from pare_bench.simulators.pde.finite_volume import Array, limited_slopes

GAMMA = 5 / 3
PRESSURE_FLOOR = 1e-4


def to_primitive(conserved: Array, gamma: float = GAMMA) -> Array:
    """Return density, velocities, pressure ``[n fields ...]``; the pressure is at least 1e-4."""
    primitive = conserved.copy()
    density = conserved[:, 0]
    primitive[:, 1:-1] /= density[:, None]
    kinetic = np.einsum("nf...,nf...->n...", primitive[:, 1:-1], conserved[:, 1:-1]) / 2
    primitive[:, -1] = np.maximum((gamma - 1) * (conserved[:, -1] - kinetic), PRESSURE_FLOOR)
    return primitive


def to_conserved(primitive: Array, gamma: float = GAMMA) -> Array:
    """Return density, momenta, energy ``[n fields ...]``."""
    conserved = primitive.copy()
    conserved[:, 1:-1] *= primitive[:, :1]
    kinetic = np.einsum("nf...,nf...->n...", primitive[:, 1:-1], conserved[:, 1:-1]) / 2
    conserved[:, -1] = primitive[:, -1] / (gamma - 1) + kinetic
    return conserved


def face_fluxes(ghosts: Array, ratio: Array, gamma: float) -> Array:
    """Return fluxes ``[n fields ... m + 1]`` from primitive states ``[n fields ... m + 4]``; ``ratio`` is dt / dx."""
    slopes = limited_slopes(ghosts)
    centre = ghosts[..., 1:-1]
    density, speed, pressure = centre[:, 0], centre[:, 1], centre[:, -1]
    # Half a step of W_t = -A(W) W_x, then extrapolation to both faces.
    change = speed[:, None] * slopes
    change[:, 0] += density * slopes[:, 1]
    change[:, 1] += slopes[:, -1] / density
    change[:, -1] += gamma * pressure * slopes[:, 1]
    later = centre - ratio[:, None] / 2 * change
    later[:, 0] = np.maximum(later[:, 0], 0.5 * density)
    later[:, -1] = np.maximum(later[:, -1], 0.5 * pressure)
    slopes /= 2
    left, right = (later + slopes)[..., :-1], (later - slopes)[..., 1:]
    return hllc_flux(left, right, gamma)


def hllc_flux(left: Array, right: Array, gamma: float = GAMMA) -> Array:
    """Return the HLLC flux ``[n fields ...]`` between primitive states of which the first velocity is normal to the face.

    With s the outer wave on the side of the contact (velocity c), u the normal velocity of that side, a = rho (s - u) and
    k = (c - u) / (s - c) * (s, or 0 where the face lies beyond that wave), Toro's F + s (U* - U) is: mass m = rho (u + k), normal
    momentum p + u m + k a, momentum along the face v m, energy (E + p) (u + k) + k a c.
    """
    sound_left, sound_right = np.sqrt(gamma * left[:, -1] / left[:, 0]), np.sqrt(gamma * right[:, -1] / right[:, 0])
    first = np.minimum(left[:, 1] - sound_left, right[:, 1] - sound_right)
    last = np.maximum(left[:, 1] + sound_left, right[:, 1] + sound_right)
    mass_left, mass_right = left[:, 0] * (first - left[:, 1]), right[:, 0] * (last - right[:, 1])
    contact = (right[:, -1] - left[:, -1] + mass_left * left[:, 1] - mass_right * right[:, 1]) / (mass_left - mass_right)
    from_left = contact >= 0
    state = np.where(from_left[:, None], left, right)
    density, speed, pressure = state[:, 0], state[:, 1], state[:, -1]
    a = np.where(from_left, mass_left, mass_right)
    wave = np.where(from_left, first, last)
    reach = np.where(from_left, np.minimum(first, 0), np.maximum(last, 0))
    k = reach * (contact - speed) / (wave - contact)
    carried = speed + k
    flux = np.empty_like(state)
    mass = np.multiply(density, carried, out=flux[:, 0])
    k *= a
    flux[:, 1] = pressure + speed * mass + k
    kinetic = speed * speed
    for field in range(2, state.shape[1] - 1):
        kinetic += state[:, field] ** 2
        flux[:, field] = state[:, field] * mass
    flux[:, -1] = (gamma / (gamma - 1) * pressure + density / 2 * kinetic) * carried + k * contact
    return flux
