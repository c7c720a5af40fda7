"""Solvers of the scalar PDEBench equations and the random fields they start from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import logsumexp

from pare_bench.simulators.pde import advection, burgers, diffusion_sorption, initial, reaction_diffusion, reaction_diffusion_2d
from pare_bench.simulators.pde.initial import cell_centres


def relative(found, exact):
    axes = tuple(range(1, exact.ndim))
    return np.sqrt(((found - exact) ** 2).sum(axes) / (exact**2).sum(axes))


def observed_order(errors):
    """Return log2 of the last ratio of errors at doubled resolutions."""
    return np.log2(errors[-2] / errors[-1])


# Initial conditions


def test_wave_sums_have_the_published_statistics() -> None:
    u = initial.wave_sums(20_000, np.random.default_rng(0)).at(cell_centres(256))
    assert u.mean(1).std() == pytest.approx(0.593, abs=0.01)
    assert np.abs(u.mean(1)).mean() == pytest.approx(0.474, abs=0.01)
    assert u.std(1).mean() == pytest.approx(0.476, abs=0.01)
    assert 3.0 < np.abs(u).max() < 4.0


def test_wave_sums_are_the_sum_they_say() -> None:
    sums = initial.wave_sums(300, np.random.default_rng(1))
    x = cell_centres(64)
    values = sums.at(x)
    assert sums.windowed.any()
    assert sums.absolute.any()
    for row in range(300):
        expected = sum(a * np.sin(k * x + p) for a, k, p in zip(sums.amplitude[row], sums.wave_number[row], sums.phase[row], strict=True))
        if sums.absolute[row]:
            expected = abs(expected)
        if sums.windowed[row]:
            edge = sums.window[row]
            expected = expected * (np.tanh((x - edge) / 0.01) - np.tanh((x - edge - 0.45) / 0.01)) / 2
        np.testing.assert_allclose(values[row], sums.sign[row] * expected, atol=1e-12)
    # One number decides on the window and places it, as in the published data.
    assert (sums.window[sums.windowed] <= 0.135).all()
    assert (sums.window[~sums.windowed] >= 0.135).all()
    cycles = sums.wave_number * (1 - 1 / 1024) / (2 * np.pi)
    np.testing.assert_allclose(cycles, np.round(cycles), atol=1e-12)
    assert set(np.count_nonzero(cycles, axis=1)) == {1, 2}


def test_random_fields_are_periodic_sums_of_64_modes() -> None:
    fields = initial.random_fields(3, 2, 32, np.random.default_rng(2))
    np.testing.assert_allclose(np.abs(fields).mean(axis=(2, 3)), 1)
    spectrum = np.abs(np.fft.fft2(fields))
    allowed = np.zeros(32, bool)
    allowed[[1, 2, 3, 4, -1, -2, -3, -4]] = True
    inside = allowed[:, None] & allowed
    assert spectrum[..., inside].min() > 0
    assert spectrum[..., ~inside].max() < 1e-10 * spectrum.max()


def test_windows_are_boxes_or_ones() -> None:
    windows = initial.windows_2d(400, 64, np.random.default_rng(3))
    full = (windows == 1).all(axis=(1, 2))
    assert 0.4 < full.mean() < 0.6
    np.testing.assert_allclose(windows[~full].mean(axis=(1, 2)), 0.45**2, rtol=0.02)


# Advection


def test_advection_against_the_exact_solution() -> None:
    """Bound of the issue: relative L2 under 1e-3 at 1024 points, over the published law with its kinks and windows."""
    sums = initial.wave_sums(300, np.random.default_rng(4))
    x, times = cell_centres(1024), np.array([0.37, 2.0])
    found = advection.solve(sums.at(x), times)
    for frame, time in enumerate(times):
        exact = sums.at((x - 0.4 * time) % 1)
        error = relative(found[:, frame], exact)
        assert error.mean() < 2e-4
        assert np.linalg.norm(found[:, frame] - exact) < 3e-4 * np.linalg.norm(exact)
        # The largest belong to samples with a jump at the point where the period closes.
        assert np.quantile(error, 0.95) < 1e-3


def test_advection_is_of_order_six_and_keeps_the_integral() -> None:
    errors = []
    for points in (16, 32, 64):
        x = cell_centres(points)
        # Half a cell beyond a whole number of them: the worst place, and the same one on each grid.
        distance = (points + 0.5) / points
        found = advection.solve(np.sin(2 * np.pi * x)[None] + 1, np.array([distance / 0.4]))
        errors.append(relative(found[:, 0], np.sin(2 * np.pi * (x - distance))[None] + 1)[0])
        assert found.mean() == pytest.approx(1, abs=1e-13)
    assert observed_order(errors) == pytest.approx(6, abs=0.2)


def test_advection_by_whole_cells_is_exact() -> None:
    u = np.random.default_rng(5).standard_normal((2, 50))
    np.testing.assert_allclose(advection.solve(u, np.array([0.05 / 0.4 * 4]))[:, 0], np.roll(u, 10, axis=1), atol=1e-13)


# Burgers


def cole_hopf(x, time, kappa):
    """Return the exact solution from u0 = 0.5 + sin(2 pi x): the mean of (x - y) / t under the Cole-Hopf weight, by fine quadrature."""
    y = np.linspace(-2, 3, 8001)
    primitive = 0.5 * y + (1 - np.cos(2 * np.pi * y)) / (2 * np.pi)
    exponent = -((x[:, None] - y) ** 2 / (4 * kappa * time) + primitive / (2 * kappa))
    weight = np.exp(exponent - logsumexp(exponent, axis=1, keepdims=True))
    return (weight * (x[:, None] - y)).sum(1) / time


@pytest.mark.parametrize(("nu", "time", "bound"), [(1.0, 0.05, 2e-4), (0.1, 0.5, 1e-3), (0.01, 0.5, 1.5e-2)])
def test_burgers_against_cole_hopf(nu: float, time: float, bound: float) -> None:
    errors = []
    for points in (128, 256, 512):
        x = cell_centres(points)
        found = burgers.solve(0.5 + np.sin(2 * np.pi * x)[None], np.array([time]), nu=nu)[:, 0]
        errors.append(relative(found, cole_hopf(x, time, nu / np.pi)[None])[0])
        assert found.mean() == pytest.approx(0.5, abs=1e-13)
    assert errors[1] < bound
    assert observed_order(errors) > 1.6


def test_burgers_shock_moves_at_the_mean_speed() -> None:
    """Nearly inviscid: a step from 1 to 0 moves at 1/2."""
    x = cell_centres(512)
    found = burgers.solve(np.where(x < 0.25, 1.0, 0.0)[None], np.array([0.5]), nu=1e-5)[0, 0]
    crossing = x[np.flatnonzero((found[:-1] > 0.5) & (found[1:] <= 0.5))]
    assert crossing == pytest.approx([0.5], abs=0.004)
    assert found.min() > -1e-9
    assert found.max() < 1 + 1e-9


def test_published_burgers_ends_in_its_mean() -> None:
    """At viscosity 1 the target is a constant field; the clean task takes 0.01."""
    published = burgers.simulate(8, 64, np.array([2.0]), np.random.default_rng(6), nu=1.0)
    np.testing.assert_allclose(published[:, 1], np.repeat(published[:, 0].mean(1)[:, None], 64, axis=1), atol=1e-9)
    ours = burgers.simulate(8, 256, np.array([2.0]), np.random.default_rng(6), nu=0.01)
    assert ours[:, 1].std(1).mean() > 0.05


def test_samples_march_on_their_own() -> None:
    together = burgers.simulate(6, 64, np.array([0.3, 1.0]), np.random.default_rng(7), nu=0.01)
    alone = burgers.solve(together[2:3, 0], np.array([0.3, 1.0]), nu=0.01)
    np.testing.assert_allclose(together[2:3, 1:], alone, atol=1e-12)


# Fisher


def test_fisher_of_a_constant_is_logistic() -> None:
    found = reaction_diffusion.solve(np.full((1, 16), 0.2), np.array([0.5, 1.0]), rho=3.0)
    exact = [0.2 * np.exp(3 * t) / (0.8 + 0.2 * np.exp(3 * t)) for t in (0.5, 1.0)]
    np.testing.assert_allclose(found[0], np.repeat(exact, 16).reshape(2, 16), rtol=1e-12)


def test_fisher_against_an_independent_integration_and_second_order_in_time() -> None:
    points, nu, rho = 32, 0.02, 2.0
    start = 0.5 + 0.4 * np.sin(2 * np.pi * cell_centres(points)) * np.cos(4 * np.pi * cell_centres(points))
    wave = (2 * np.pi * np.fft.fftfreq(points, 1 / points)) ** 2

    def rate(_, u):
        return -nu * np.fft.ifft(wave * np.fft.fft(u)).real + rho * u * (1 - u)

    exact = solve_ivp(rate, (0, 1), start, rtol=1e-11, atol=1e-12).y[:, -1]
    errors = [
        relative(reaction_diffusion.solve(start[None], np.array([1.0]), nu=nu, rho=rho, max_step=step)[:, 0], exact[None])[0]
        for step in (0.1, 0.05, 0.025)
    ]
    assert observed_order(errors) == pytest.approx(2, abs=0.05)
    assert relative(reaction_diffusion.solve(start[None], np.array([1.0]), nu=nu, rho=rho)[:, 0], exact[None])[0] < 1e-6


def test_published_fisher_ends_nearly_constant() -> None:
    found = reaction_diffusion.simulate(16, 128, np.array([0.99]), np.random.default_rng(8))
    assert found[:, 0].min() == 0
    assert found[:, 0].max() == 1
    assert found[:, 1].std(1).max() < 1e-8
    mean = found[:, 0].mean(1)
    grown = mean * np.exp(0.99) / (1 - mean + mean * np.exp(0.99))
    assert np.mean(np.abs(found[:, 1].mean(1) / grown - 1)) < 0.003


# FitzHugh-Nagumo


def test_fitzhugh_nagumo_against_an_independent_integration_and_second_order_in_time() -> None:
    points = 10
    start = np.random.default_rng(9).standard_normal((1, 2, points, points))

    def rate(_, flat):
        u, v = flat.reshape(2, points, points)

        def laplacian(field):
            padded = np.pad(field, 1, mode="edge")
            return (padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2] - 4 * field) * (points / 2) ** 2

        return np.stack([1e-3 * laplacian(u) + u - u**3 - 5e-3 - v, 5e-3 * laplacian(v) + u - v]).ravel()

    exact = solve_ivp(rate, (0, 2), start.ravel(), rtol=1e-10, atol=1e-12).y[:, -1].reshape(start.shape)
    errors = [np.linalg.norm(reaction_diffusion_2d.solve(start, np.array([2.0]), max_step=step)[:, 0] - exact) for step in (0.1, 0.05, 0.025)]
    assert observed_order(errors) == pytest.approx(2, abs=0.1)
    assert errors[1] < 2e-3 * np.linalg.norm(exact)


def test_fitzhugh_nagumo_keeps_the_published_figures() -> None:
    """v(5) has deviation 0.18 and mean -0.03 on the published grid."""
    found = reaction_diffusion_2d.simulate(6, 128, np.array([5.0]), np.random.default_rng(10))
    assert found.dtype == np.float32
    v = found[:, 1, 1]
    assert v.std() == pytest.approx(0.18, abs=0.02)
    assert v.mean() == pytest.approx(-0.03, abs=0.03)


# Diffusion-sorption


def published_rate(u):
    """The published right-hand side, written again: R(u), Dirichlet 1 left, the Cauchy ghost right."""
    dx = 1 / len(u)
    retardation = 1 + 0.71 / 0.29 * 2880 * 3.5e-4 * 0.874 * (u + 1e-6) ** (0.874 - 1)
    left = np.concatenate([[1.0], u[:-1]])
    right = np.concatenate([u[1:], [5e-4 * (u[-2] - u[-1]) / dx]])
    return 5e-4 / retardation * (left - 2 * u + right) / dx**2


def test_diffusion_sorption_against_an_independent_integration_and_second_order_in_time() -> None:
    points, times = 48, np.array([100.0, 500.0])
    start = np.full(points, 0.12)
    exact = solve_ivp(lambda _, u: published_rate(u), (0, 500), start, method="LSODA", lband=1, uband=1, rtol=1e-10, atol=1e-12, t_eval=times).y.T
    found = diffusion_sorption.solve(start[None], times)
    assert relative(found, exact[None])[0] < 3e-4
    # From a smooth field on, with steps of equal length but for the first.
    errors = [
        np.abs(diffusion_sorption.solve(exact[:1], np.array([40.0]), max_step=step, growth=1e9)[0, 0] - _later(exact[0], 40.0)).max()
        for step in (10, 5, 2.5)
    ]
    assert observed_order(errors) == pytest.approx(2, abs=0.25)


def _later(start, duration):
    return solve_ivp(lambda _, u: published_rate(u), (0, duration), start, method="LSODA", lband=1, uband=1, rtol=1e-11, atol=1e-13).y[:, -1]


@pytest.mark.parametrize("points", [32, 200])
def test_diffusion_sorption_steady_state(points: int) -> None:
    """Steady is a straight line from 1, half a cell outside, through both published ghosts."""
    start = np.full((2, points), 0.05)
    start[1] = 0.2
    found = diffusion_sorption.solve(start, np.array([2e6]), max_step=1e5)[:, 0]
    slope = brentq(lambda s: 1 + s * (points + 1) - 5e-4 * -s * points, -1, 0)
    line = 1 + slope * np.arange(1, points + 1)
    np.testing.assert_allclose(found, np.stack([line, line]), atol=1e-8)


def test_diffusion_sorption_is_first_order_in_space_as_published() -> None:
    """The ghost values stand half a cell outside: the scheme inside is second order, the published wall makes it first."""
    coarse = [diffusion_sorption.solve(np.full((1, points), 0.1), np.array([250.0]))[0, 0] for points in (32, 64, 128, 256)]
    errors = [np.abs(a - (b[::2] + b[1::2]) / 2).max() for a, b in pairwise(coarse)]
    assert 0.8 < observed_order(errors) < 1.3


def test_what_enters_stays() -> None:
    """The change of dissolved and sorbed solute is what both walls let through."""
    times = np.linspace(0.05, 50, 1000)
    points = 64
    u = diffusion_sorption.solve(np.full((1, points), 0.1), times, max_step=0.05)[0]
    total = diffusion_sorption.retained(u).mean(1)
    entering = 5e-4 * ((1 - u[:, 0]) - (u[:, -1] - 5e-4 * (u[:, -2] - u[:, -1]) * points)) * points
    gained = np.concatenate([[0], np.cumsum((entering[1:] + entering[:-1]) / 2 * np.diff(times))])
    np.testing.assert_allclose((total - total[0])[100:], gained[100:], rtol=2e-3)
