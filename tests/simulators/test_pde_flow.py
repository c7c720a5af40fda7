"""Solvers of the PDEBench flow problems: gas dynamics, shallow water, flow through a porous medium."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq
from scipy.special import erf

from pare_bench.simulators import darcy
from pare_bench.simulators.pde import compressible, porous, shallow_water
from pare_bench.simulators.pde.initial import cell_centres

ONE = np.array([1.0])


def observed_order(errors):
    """Return log2 of the last ratio of errors at doubled resolutions."""
    return np.log2(errors[-2] / errors[-1])


# Gas dynamics


def exact_riemann(left, right, ratio, gamma):
    """Return density, velocity, pressure at x / t = ``ratio`` (Toro, ch. 4), for states (density, velocity, pressure)."""

    def curve(p, state):
        d, _, p0 = state
        if p > p0:
            return (p - p0) * np.sqrt(2 / ((gamma + 1) * d) / (p + (gamma - 1) / (gamma + 1) * p0))
        return 2 * np.sqrt(gamma * p0 / d) / (gamma - 1) * ((p / p0) ** ((gamma - 1) / (2 * gamma)) - 1)

    star = brentq(lambda p: curve(p, left) + curve(p, right) + right[1] - left[1], 1e-8, 1e5, xtol=1e-14)
    speed = (left[1] + right[1] + curve(star, right) - curve(star, left)) / 2

    def side(state, s, sign):
        d, u, p = state[0], sign * state[1], state[2]
        s, contact, sound = sign * s, sign * speed, np.sqrt(gamma * p / d)
        if star > p:
            shock = u - sound * np.sqrt((gamma + 1) / (2 * gamma) * star / p + (gamma - 1) / (2 * gamma))
            if s < shock:
                return d, sign * u, p
            a, b = star / p, (gamma - 1) / (gamma + 1)
            return d * (a + b) / (a * b + 1), sign * contact, star
        tail = contact - sound * (star / p) ** ((gamma - 1) / (2 * gamma))
        if s < u - sound:
            return d, sign * u, p
        if s > tail:
            return d * (star / p) ** (1 / gamma), sign * contact, star
        factor = 2 / (gamma + 1) + (gamma - 1) / ((gamma + 1) * sound) * (u - s)
        return d * factor ** (2 / (gamma - 1)), sign * 2 / (gamma + 1) * (sound + (gamma - 1) / 2 * u + s), p * factor ** (2 * gamma / (gamma - 1))

    return np.array([side(left, s, 1) if s < speed else side(right, s, -1) for s in ratio]).T


@pytest.mark.parametrize(
    ("left", "right", "time", "bound"),
    [
        ((1.0, 0.0, 1.0), (0.125, 0.0, 0.1), 0.2, 0.006),
        ((1.0, 0.75, 1.0), (0.125, 0.0, 0.1), 0.2, 0.008),
        ((5.99924, 19.5975, 460.894), (5.99242, -6.19633, 46.0950), 0.02, 0.4),
    ],
    ids=["sod", "sonic rarefaction", "two strong shocks"],
)
def test_shock_tubes_against_the_exact_riemann_solution(left, right, time, bound) -> None:
    gamma, errors = 1.4, []
    for points in (200, 400):
        x = cell_centres(points)
        start = np.where(x < 0.5, np.array(left)[:, None], np.array(right)[:, None])
        found = compressible.solve(start[None], np.array([time]), gamma=gamma, boundary="outflow")[0, 0]
        errors.append(np.abs(found - exact_riemann(left, right, (x - 0.5) / time, gamma)).mean(axis=1)[0])
    assert errors[1] < bound
    # First order at shocks, less at contacts: that is the theory for mean errors.
    assert observed_order(errors) > 0.6


def test_the_exact_solver_knows_sods_star_state() -> None:
    """Toro, table 4.2: p* = 0.30313, u* = 0.92745, densities 0.42632 and 0.26557."""
    found = exact_riemann((1.0, 0.0, 1.0), (0.125, 0.0, 0.1), np.array([0.5, 1.2]), 1.4)
    np.testing.assert_allclose(found, [[0.42632, 0.26557], [0.92745, 0.92745], [0.30313, 0.30313]], atol=1e-5)


def smooth_1d(points, count=1):
    """Return smooth periodic states of finite size ``[n 3 points]`` on (0, 1)."""
    x = cell_centres(points)
    wave = 2 * np.pi * x
    return np.repeat(np.stack([1 + 0.3 * np.sin(wave), 0.4 * np.cos(wave), 2 + 0.5 * np.sin(wave + 1)])[None], count, axis=0)


def test_a_density_wave_is_carried_along_at_second_order() -> None:
    errors = []
    for points in (64, 128, 256):
        x = cell_centres(points)
        start = np.stack([1 + 0.2 * np.sin(2 * np.pi * x), np.full(points, 0.7), np.full(points, 1.3)])[None]
        found = compressible.solve(start, ONE, eta=0.05, zeta=0.05)[0, 0]
        # Viscosity acts on velocity differences, of which there are none.
        np.testing.assert_allclose(found[1:], start[0, 1:], atol=1e-12)
        errors.append(np.abs(found[0] - 1 - 0.2 * np.sin(2 * np.pi * (x - 0.7))).mean())
    assert observed_order(errors) > 1.8


def test_sound_is_damped_as_linear_theory_says() -> None:
    """omega^2 = c^2 k^2 - i omega mu k^2: with d = mu k^2 / 2 the wave is exp(-d t), of frequency sqrt(c^2 k^2 - d^2)."""
    eta, zeta, size, k = 0.02, 0.03, 1e-5, 2 * np.pi
    mu = zeta + 4 / 3 * eta
    sound, damping = np.sqrt(5 / 3), mu * k**2 / 2
    frequency = np.sqrt((sound * k) ** 2 - damping**2)
    errors = []
    for points in (32, 64, 128):
        x = cell_centres(points)
        start = np.stack([np.ones(points), size * np.sin(k * x), np.ones(points)])[None]
        found = compressible.solve(start, np.array([0.5]), eta=eta, zeta=zeta)[0, 0, 1]
        # u = s sin(kx) f(t) with f'' + 2 d f' + c^2 k^2 f = 0, f(0) = 1, and f'(0) = -2 d because the pressure is uniform.
        f = np.exp(-damping * 0.5) * (np.cos(frequency * 0.5) - damping / frequency * np.sin(frequency * 0.5))
        errors.append(np.abs(found - size * np.sin(k * x) * f).max() / size)
    assert errors[-1] < 2e-3
    assert observed_order(errors) > 1.6


@pytest.mark.parametrize("along", [0, 1])
def test_shear_decays_at_its_rate(along: int) -> None:
    """A weak transverse wave decays like exp(-eta k^2 t) and nothing else happens."""
    points, eta = 32, 0.1
    x = cell_centres(points)
    start = np.ones((1, 4, points, points))
    start[:, 1:3] = 0
    wave = 1e-4 * np.sin(2 * np.pi * x)
    start[0, 2 - along] = wave[:, None] if along == 0 else wave
    found = compressible.solve(start, np.array([0.3]), eta=eta, zeta=0.1, lengths=(1.0, 1.0))[0, 0]
    np.testing.assert_allclose(found[2 - along], start[0, 2 - along] * np.exp(-eta * (2 * np.pi) ** 2 * 0.3), atol=2e-7)
    np.testing.assert_allclose(np.delete(found, 2 - along, axis=0), np.delete(start[0], 2 - along, axis=0), atol=1e-7)


def test_conservation_to_round_off_and_second_order_in_one_dimension() -> None:
    solutions = []
    for points in (64, 128, 256, 512):
        start = smooth_1d(points, 2)
        start[1, 1] *= -0.5
        found = compressible.solve(start, np.array([0.25]), eta=0.01, zeta=0.02)[:, 0]
        before, after = (compressible.to_conserved(state).sum(axis=2) for state in (start, found))
        np.testing.assert_allclose(after, before, rtol=1e-13, atol=1e-11)
        solutions.append(found[0])
    errors = [np.abs(a - (b[:, ::2] + b[:, 1::2]) / 2).mean() for a, b in pairwise(solutions)]
    assert observed_order(errors) > 1.7


def test_conservation_to_round_off_in_two_dimensions() -> None:
    start = compressible.simulate_2d(3, 32, np.array([1e-9]), np.random.default_rng(0))[:, 0].astype(float)
    found = compressible.solve(start, np.array([0.1]), eta=0.1, zeta=0.1, lengths=(1.0, 1.0))[:, 0]
    before, after = (compressible.to_conserved(state).reshape(3, 4, -1) for state in (start, found))
    np.testing.assert_allclose(after.sum(2), before.sum(2), rtol=1e-12, atol=1e-12 * np.abs(before).sum(2).max())


@pytest.mark.parametrize("axis", [0, 1])
def test_two_dimensions_hold_one(axis: int) -> None:
    """A field that varies along one axis evolves as in one dimension."""
    line = smooth_1d(64)
    start = np.zeros((1, 4, 64, 8)) if axis == 0 else np.zeros((1, 4, 8, 64))
    for field, owner in ((0, 0), (1 + axis, 1), (3, 2)):
        start[0, field] = line[0, owner][:, None] if axis == 0 else line[0, owner]
    times = np.array([0.2])
    flat = compressible.solve(line, times, eta=0.02, zeta=0.01)[0, 0]
    found = compressible.solve(start, times, eta=0.02, zeta=0.01, lengths=(1.0, 0.125) if axis == 0 else (0.125, 1.0))[0, 0]
    profile = found.mean(axis=2 - axis)
    np.testing.assert_allclose(profile[[0, 1 + axis, 3]], flat, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(profile[2 - axis], 0, atol=1e-12)


def test_published_starts_lie_in_their_ranges() -> None:
    found = compressible.simulate_1d(60, 64, np.array([1e-9]), np.random.default_rng(1))[:, 0]
    for field, low in ((0, 1), (2, 10)):
        assert found[:, field].min() >= low
        assert found[:, field].max() <= 20 * low
    wide = compressible.simulate_2d(40, 32, np.array([1e-9]), np.random.default_rng(2))[:, 0]
    assert (wide[:, [0, 3]] > 0).all()
    rest = wide[:, 1:3, 0, 0]
    windowed = (np.abs(rest) < 1e-6).all(axis=1)
    assert 0.25 < windowed.mean() < 0.75
    # Outside of the window the gas is at rest; elsewhere the mean speed is that of sound at T0.
    temperature = wide[:, 3].mean((1, 2)) / wide[:, 0].mean((1, 2))
    mach = np.hypot(wide[:, 1], wide[:, 2]).mean((1, 2)) / np.sqrt(5 / 3 * temperature)
    np.testing.assert_allclose(mach[~windowed], 1, rtol=0.1)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="viscosity needs a periodic boundary"):
        compressible.solve(smooth_1d(16), ONE, eta=0.1, boundary="outflow")
    with pytest.raises(ValueError, match="1 axes need 3 fields and 1 lengths, not 4 and 1"):
        compressible.solve(np.ones((1, 4, 16)), ONE)


# Shallow water


def stoker(x, time, high, low):
    """Return height and velocity after a planar dam breaks at 0 (Stoker 1957), g = 1."""
    fast = np.sqrt(high)

    def shock(height):
        return (height - low) * np.sqrt((height + low) / (2 * height * low)) - 2 * (fast - np.sqrt(height))

    middle = brentq(shock, low, high, xtol=1e-14)
    speed = 2 * (fast - np.sqrt(middle))
    front = middle * speed / (middle - low)
    s = x / time
    fan = ((2 * fast - s) / 3) ** 2
    height = np.select([s < -fast, s < speed - np.sqrt(middle), s < front], [high, fan, middle], low)
    velocity = np.select([s < -fast, s < speed - np.sqrt(middle), s < front], [0, 2 / 3 * (fast + s), speed], 0)
    return height, velocity


@pytest.mark.parametrize("axis", [0, 1])
def test_planar_dam_break_against_the_exact_solution(axis: int) -> None:
    errors = []
    for points in (100, 200):
        x = cell_centres(points, -2.5, 2.5)
        start = np.zeros((1, 3, points, points))
        start[0, 0] = np.where(x < 0, 2.0, 1.0)[:, None]
        start[0, 2 - axis] = 0.25 * start[0, 0]
        start = start[..., :8] if axis == 0 else start.swapaxes(2, 3)[:, :, :8]
        # Cells are square, of side length / (cells of the last axis).
        found = shallow_water.solve(start, np.array([0.8]), length=5.0 * start.shape[-1] / points)
        height = found[0, 0, 0].mean(axis=1 - axis)
        momentum = found[0, 0, 1 + axis].mean(axis=1 - axis)
        exact, velocity = stoker(x, 0.8, 2.0, 1.0)
        errors.append(np.abs(height - exact).mean())
        assert np.abs(momentum / height - velocity).mean() < 0.01
        # What flows along the dam is carried with the water.
        np.testing.assert_allclose(found[0, 0, 2 - axis] / found[0, 0, 0], 0.25, atol=1e-12)
    assert errors[1] < 0.004
    assert observed_order(errors) > 0.75


def test_shallow_water_keeps_its_mass_to_1e_10() -> None:
    heights = shallow_water.dam(np.array([0.35, 0.7]), 64)
    start = np.zeros((2, 3, 64, 64))
    start[:, 0] = heights
    found = shallow_water.solve(start, np.array([0.5, 1.0]))
    mass = found[:, :, 0].sum(axis=(2, 3))
    np.testing.assert_allclose(mass, np.repeat(heights.sum(axis=(1, 2))[:, None], 2, axis=1), rtol=1e-10)


def test_published_dam_break_has_the_published_range() -> None:
    """R = 0.5 on 128 x 128 cells: h(1) in [0.633, 1.239]."""
    start = np.zeros((1, 3, 128, 128))
    start[:, 0] = shallow_water.dam(np.array([0.5]), 128)
    height = shallow_water.solve(start, ONE)[0, 0, 0]
    assert height.min() == pytest.approx(0.633, abs=0.03)
    assert height.max() == pytest.approx(1.239, abs=0.02)


def test_shallow_water_is_symmetric_and_at_rest_stays_so() -> None:
    start = np.zeros((1, 3, 32, 32))
    start[:, 0] = shallow_water.dam(np.array([0.6]), 32)
    found = shallow_water.solve(start, ONE)[0, 0]
    np.testing.assert_allclose(found[0], found[0, ::-1], atol=1e-12)
    np.testing.assert_allclose(found[0], found[0, :, ::-1], atol=1e-12)
    np.testing.assert_allclose(found[0], found[0].T, atol=0.02)
    still = np.zeros((1, 3, 8, 8))
    still[:, 0] = 1.5
    np.testing.assert_array_equal(shallow_water.solve(still, ONE)[:, 0], still)


def test_shallow_water_is_second_order_where_it_is_smooth() -> None:
    solutions = []
    for points in (32, 64, 128):
        x = cell_centres(points, 0, 1)
        start = np.zeros((1, 3, points, points))
        start[0, 0] = 1 + 0.1 * np.sin(2 * np.pi * x)[:, None] * np.cos(2 * np.pi * x)
        solutions.append(shallow_water.solve(start, np.array([0.2]), length=1.0, boundary="periodic")[0, 0])
        np.testing.assert_allclose(solutions[-1].sum((1, 2)), start[0].sum((1, 2)), atol=1e-10)
    errors = [np.abs(a - b.reshape(3, len(a[0]), 2, -1, 2).mean((2, 4))).mean() for a, b in pairwise(solutions)]
    assert observed_order(errors) > 1.7


def test_published_dams_are_few_and_ours_all_differ() -> None:
    x = cell_centres(128, -2.5, 2.5)
    distances = np.unique(np.hypot(x[:64, None], x[:64]).round(9))
    edges = np.concatenate([[0.3], distances[(distances > 0.3) & (distances < 0.7)], [0.7]])
    between = (edges[1:] + edges[:-1]) / 2
    heights = shallow_water.dam(np.concatenate([between, np.random.default_rng(3).uniform(0.3, 0.7, 100)]), 128)
    assert len(between) == len(np.unique(heights.reshape(len(heights), -1), axis=0)) == 81
    assert set(np.unique(heights)) == {1.0, 2.0}
    found = shallow_water.simulate(12, 32, np.array([0.1]), np.random.default_rng(4))
    assert len(np.unique(found[:, 0].reshape(12, -1), axis=0)) == 12
    radius = np.array([0.3, 0.55, 0.7])
    volume = (shallow_water.dam(radius, 64, subcells=8) - 1).sum((1, 2)) * (5 / 64) ** 2
    np.testing.assert_allclose(volume, np.pi * radius**2, rtol=0.01)
    published = shallow_water.simulate_published(5, 16, np.array([0.1]), np.random.default_rng(5))
    again = np.random.default_rng(5).uniform(0.3, 0.7, 5)
    np.testing.assert_array_equal(published[:, 0], shallow_water.dam(again, 16))


# Flow through a porous medium


def test_darcy_against_a_manufactured_solution_at_second_order() -> None:
    """The solution is u = sin(pi x) sin(2 pi y) e^x, a = 2 + cos(pi x y): the source follows by differentiation."""
    errors = []
    for size in (17, 33, 65):
        x = np.linspace(0, 1, size)[:, None]
        y = np.linspace(0, 1, size)[None]
        a = 2 + np.cos(np.pi * x * y)
        ax, ay = -np.pi * y * np.sin(np.pi * x * y), -np.pi * x * np.sin(np.pi * x * y)
        g, gx = np.sin(np.pi * x) * np.exp(x), (np.pi * np.cos(np.pi * x) + np.sin(np.pi * x)) * np.exp(x)
        gxx = (2 * np.pi * np.cos(np.pi * x) + (1 - np.pi**2) * np.sin(np.pi * x)) * np.exp(x)
        s, sy, syy = np.sin(2 * np.pi * y), 2 * np.pi * np.cos(2 * np.pi * y), -4 * np.pi**2 * np.sin(2 * np.pi * y)
        source = -(ax * gx * s + ay * g * sy + a * (gxx * s + g * syy))
        errors.append(np.abs(darcy.solve(a[None], source[None], tolerance=1e-10)[0] - g * s).max())
    assert observed_order(errors) == pytest.approx(2, abs=0.1)


def test_steady_flow_solves_the_published_discrete_equation() -> None:
    nu = porous.coefficients(3, 24, np.random.default_rng(6))
    u = porous.steady(nu, 0.7)
    for row in range(3):
        wide, around = np.pad(nu[row], 1, mode="edge"), np.pad(u[row], 1)
        out = np.zeros((24, 24))
        for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            face = (wide[1:-1, 1:-1] + np.roll(wide, shift, (0, 1))[1:-1, 1:-1]) / 2
            out += face * (u[row] - np.roll(around, shift, (0, 1))[1:-1, 1:-1]) * 24**2
        np.testing.assert_allclose(out, 0.7, atol=2e-4)
    np.testing.assert_allclose(porous.steady(nu, 0.1), u / 7, rtol=1e-5)


def test_transient_flow_against_an_independent_integration_and_its_limit() -> None:
    nu = porous.coefficients(1, 8, np.random.default_rng(7))
    start = porous.initial_fields(1, 8, np.random.default_rng(8))
    wide = np.pad(nu[0], 1, mode="edge")

    def rate(_, flat):
        u = np.pad(flat.reshape(8, 8), 1)
        change = np.full((8, 8), 0.1)
        for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            face = (wide[1:-1, 1:-1] + np.roll(wide, shift, (0, 1))[1:-1, 1:-1]) / 2
            change += face * (np.roll(u, shift, (0, 1)) - u)[1:-1, 1:-1] * 64
        return change.ravel()

    exact = solve_ivp(rate, (0, 0.4), start.ravel(), method="LSODA", rtol=1e-11, atol=1e-13).y[:, -1].reshape(1, 8, 8)
    errors = [np.abs(porous.transient(nu, start, time=0.4, steps=steps) - exact).max() for steps in (40, 80, 160)]
    assert errors[0] < 0.01 * np.abs(exact).max()
    assert observed_order(errors) == pytest.approx(2, abs=0.2)
    np.testing.assert_allclose(porous.transient(nu, start, time=200.0, steps=100), porous.steady(nu, 0.1), rtol=1e-4)


def test_coefficients_follow_the_published_law() -> None:
    """The threshold is the mean of the law: 5 E_s[g(s)^2] with g(s) the mean of exp(-d^2 / s) over the distance d of two uniform numbers."""

    def g(s):
        return np.sqrt(np.pi * s) * erf(1 / np.sqrt(s)) - s * (1 - np.exp(-1 / s))

    assert pytest.approx(5 * quad(lambda s: 2 * g(s) ** 2, 0, 0.5)[0], abs=1e-4) == porous.THRESHOLD
    nu = porous.coefficients(400, 32, np.random.default_rng(9))
    assert set(np.unique(nu)) == {0.1, 1.0}
    assert (nu == 1).mean() == pytest.approx(0.49, abs=0.03)
