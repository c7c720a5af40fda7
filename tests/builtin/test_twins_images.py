"""The generated twins of the image and field tasks: contract, determinism and the physics of each simulator."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.sparse import diags
from scipy.sparse.linalg import spsolve
from scipy.stats import kstest

from pare_bench.builtin.suites.nas360 import cifar100
from pare_bench.builtin.suites.nas360.cifar100 import Cifar100
from pare_bench.builtin.suites.nas360.cosmic import MASK_SIGMAS, UNIT_ELECTRONS, Cosmic
from pare_bench.builtin.suites.nas360.darcy_flow import DarcyFlow
from pare_bench.builtin.suites.nas360.spherical import Spherical
from pare_bench.contracts.task import Classes, Split, TaskSize
from pare_bench.datasets.simulated import SimulatedTask, simulate_chunk
from pare_bench.seeds import stream
from pare_bench.simulators import darcy, shapes, sky, sphere

COARSE = DarcyFlow.Params(resolution=169)
TASKS = [Cifar100(), Spherical(), Cosmic(), DarcyFlow(COARSE)]


def named(task: SimulatedTask) -> str:
    return task.name


def draw(task: SimulatedTask, split: str = "train", index: int = 0, seed: int = 0, count: int = 8) -> Split:
    return task.simulate(split, count, index, stream(task.name, task.version, seed, split, index))


def digest(split: Split) -> str:
    parts = [split.inputs, split.targets, *(split.extras[name] for name in sorted(split.extras))]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


@pytest.mark.parametrize("task", TASKS, ids=named)
def test_shapes_types_and_values_fit_the_contract(task: SimulatedTask) -> None:
    split = draw(task)
    assert split.inputs.shape == (8, task.inputs.channels, *task.inputs.grid)
    assert split.inputs.dtype == np.float32
    assert np.isfinite(split.inputs).all()
    assert 0.1 < split.inputs.std() < 10
    if isinstance(task.target, Classes):
        assert split.targets.dtype == np.int64
        assert split.targets.shape == (8,)
        assert 0 <= split.targets.min() <= split.targets.max() < task.target.num
    else:
        assert split.targets.dtype == np.float32
        assert split.targets.shape == (8, *task.target.grid)


@pytest.mark.parametrize("task", TASKS, ids=named)
def test_bytes_follow_the_stream(task: SimulatedTask) -> None:
    first = digest(draw(task))
    assert first == digest(draw(type(task)(task.params)))
    others = [draw(task, seed=1), draw(task, index=1), draw(task, "val"), draw(task, "test")]
    assert len({first, *map(digest, others)}) == 5


@pytest.mark.parametrize("task", [Cifar100(), Spherical()], ids=named)
def test_every_class_once_in_a_hundred(task: SimulatedTask) -> None:
    chunk = simulate_chunk(task, 0, "test", 0)
    assert sorted(chunk.targets) == list(range(100))
    assert task.metrics[0].compute(np.eye(100)[chunk.targets], chunk) == 0
    assert task.metrics[0].compute(np.zeros((100, 100)), chunk) == pytest.approx(0.99)


# CIFAR-100


def grid(half_side: float, points: int) -> tuple[np.ndarray, np.ndarray]:
    axis = (np.arange(points) + 0.5) / points * 2 * half_side - half_side
    x, y = np.meshgrid(axis, axis)
    return x, y


def test_outlines_have_their_areas_and_differ() -> None:
    x, y = grid(1.5, 600)
    masks = {shape: shapes.inside(shape, x, y) for shape in shapes.SHAPES}
    areas = {shape: mask.mean() * 9 for shape, mask in masks.items()}
    expected = {
        "disc": np.pi * 0.85**2,
        "ring": np.pi * (1 - 0.52**2),
        "square": 1.5**2,
        "triangle": 3 * np.sqrt(3) * 0.55**2,
        "cross": 2 * 2 * 0.6 - 0.36,
        "bar": 4 * 1.15 * 0.38,
        "hourglass": 2 * 0.95 * (2 * 0.12 + 0.75 * 0.95),
    }
    # The star {5/2} of inradius r: a pentagon of inradius r and five triangles of apex angle 36 degrees on its sides of 2 r tan 36.
    side = 2 * 0.38 * np.tan(np.pi / 5)
    expected["star"] = 5 * (side * 0.38 / 2 + side**2 / 4 * np.tan(2 * np.pi / 5))
    for shape, area in expected.items():
        assert areas[shape] == pytest.approx(area, rel=0.01), shape
    for first in shapes.SHAPES:
        for second in shapes.SHAPES:
            if first < second:
                assert (masks[first] & masks[second]).sum() < 0.85 * (masks[first] | masks[second]).sum(), (first, second)


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_a_flip_keeps_the_outline_up_to_rotation(shape: str) -> None:
    x, y = grid(1.5, 100)
    mask = shapes.inside(shape, x, y)
    assert min((mask != mask[:, ::-1]).mean(), (mask != mask[::-1]).mean()) < 1e-3


@pytest.mark.parametrize(("texture", "low", "high"), [("fine stripes", 2.9, 3.5), ("wide stripes", 6.5, 8.0)])
def test_stripes_have_their_period(texture: str, low: float, high: float) -> None:
    u, v = (np.broadcast_to(axis, (16, 600, 600)) for axis in grid(100, 600))
    profile = shapes.pattern(texture, u, v, np.random.default_rng(0))[:, 0]
    spectrum = np.abs(np.fft.rfft(profile - profile.mean(axis=1, keepdims=True)))
    periods = 200 / spectrum.argmax(axis=1)
    assert ((periods > low * 0.97) & (periods < high * 1.03)).all()
    assert np.ptp(periods) > 0.1


def test_every_texture_but_solid_mixes_two_colours() -> None:
    u, v = (np.broadcast_to(axis, (20, 96, 96)) for axis in grid(16, 96))
    rng = np.random.default_rng(0)
    for texture in shapes.TEXTURES:
        share = shapes.pattern(texture, u, v, rng).mean()
        assert share == 0 if texture == "solid" else 0.2 < share < 0.6, texture


def test_without_clutter_the_background_is_grey_and_the_object_is_not() -> None:
    images = shapes.render(np.arange(100), np.random.default_rng(0), clutter=0.0)
    colourful = np.ptp(images, axis=1) > 0.02
    assert not colourful[:, [0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert (colourful.mean(axis=(1, 2)) > 0.05).mean() > 0.95


def test_normalisation_is_the_published_one() -> None:
    images = draw(Cifar100()).inputs * np.array([0.2675, 0.2565, 0.2761])[:, None, None] + np.array([0.5071, 0.4867, 0.4408])[:, None, None]
    assert -1e-6 < images.min() < 0.05
    assert 0.9 < images.max() < 1 + 1e-6


def test_augmentation_is_a_padded_crop_and_a_flip() -> None:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((300, 3, 32, 32)).astype(np.float32)
    labels = np.arange(300)
    augmented, kept = Cifar100().augment(images, labels, np.random.default_rng(1))
    assert augmented.shape == images.shape
    assert augmented.dtype == np.float32
    np.testing.assert_array_equal(kept, labels)
    black = (-cifar100.MEAN / cifar100.STD)[:, None, None]
    found = []
    for before, after in zip(images, augmented, strict=True):
        canvas = np.broadcast_to(black, (3, 40, 40)).copy()
        canvas[:, 4:36, 4:36] = before
        crops = {(t, s, f): canvas[:, t : t + 32, s : s + 32][..., :: 1 - 2 * f] for t in range(9) for s in range(9) for f in range(2)}
        found.append([place for place, crop in crops.items() if np.array_equal(crop, after)])
    assert all(len(places) == 1 for places in found)
    tops, lefts, flips = np.array(found)[:, 0].T
    assert set(tops) == set(lefts) == set(range(9))
    assert 0.4 < flips.mean() < 0.6


# Spherical


def test_driscoll_healy_grid() -> None:
    points = sphere.driscoll_healy(30)
    assert points.shape == (60, 60, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1)
    np.testing.assert_allclose(np.arccos(points[:, 7, 2]), np.pi * (2 * np.arange(60) + 1) / 120)
    np.testing.assert_allclose(np.mod(np.arctan2(points[20, :, 1], points[20, :, 0]), 2 * np.pi), np.arange(60) * np.pi / 30, atol=1e-12)


def test_rotations_are_uniform() -> None:
    rotations = sphere.random_rotations(4000, np.random.default_rng(0))
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (4000, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    # A column is uniform on the sphere, so each coordinate is uniform on [-1, 1] (Archimedes); the angle has density (1 - cos) / pi.
    assert kstest(rotations[:, 2, 2], "uniform", args=(-1, 2)).pvalue > 0.01
    angle = np.arccos(np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert kstest(angle, lambda t: (t - np.sin(t)) / np.pi).pvalue > 0.01


def test_a_point_shows_the_pixel_that_its_ray_meets() -> None:
    places = np.linspace(-1.5, 1.5, 32)
    # Channel 0 is x, which runs down the rows, channel 1 is y.
    image = np.stack(np.meshgrid(places, places, indexing="ij"))[None] + 10.0
    projected = sphere.project(image, np.eye(3)[None], 30)[0]
    points = sphere.driscoll_healy(30)
    assert not projected[:, :30].any()
    origin = np.array([0, 0, 2.001])
    for row, column in ((59, 3), (50, 20), (40, 41), (35, 58)):
        towards = points[row, column] + [0, 0, 1] - origin
        # origin + t * towards = (x, y, 0)
        solution = np.linalg.solve(np.column_stack([[1, 0, 0], [0, 1, 0], -towards]), origin)
        expected = solution[:2] if np.abs(solution[:2]).max() <= 1.5 else np.array([-10.0, -10.0])
        np.testing.assert_allclose(projected[:, row, column], expected + 10, atol=1e-5)


def test_images_lie_as_in_the_published_template_and_are_not_mirrored() -> None:
    """s2cnn's template places a point at (x + 1.5) / 3 of the rows and (y + 1.5) / 3 of the columns; the transposed image is no rotation of that."""
    image = gaussian_filter(np.random.default_rng(5).random((32, 32)), 2)
    shown = sphere.project(np.broadcast_to(image, (1, 3, 32, 32)), np.eye(3)[None], 30)[0, 0]
    x, y, z = np.moveaxis(sphere.driscoll_healy(30), -1, 0)
    reach = 2.001 / (1.001 - np.minimum(z, 0))
    rows, columns = ((place * reach + 1.5) / 3 for place in (x, y))
    inside = (z < 0) & (np.minimum(rows, columns) > 0.05) & (np.maximum(rows, columns) < 0.95)
    nearest = [image[(a[inside] * 32).astype(int), (b[inside] * 32).astype(int)] for a, b in ((rows, columns), (columns, rows))]
    assert np.corrcoef(shown[inside], nearest[0])[0, 1] > 0.95
    assert np.corrcoef(shown[inside], nearest[1])[0, 1] < 0.5


def test_turning_about_the_axis_shifts_the_columns() -> None:
    image = np.random.default_rng(0).random((1, 3, 32, 32))
    quarter = np.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
    np.testing.assert_allclose(sphere.project(image, quarter, 30), np.roll(sphere.project(image, np.eye(3)[None], 30), -15, axis=-1), atol=1e-5)


def test_quantisation_spans_all_bytes_jointly() -> None:
    images = np.random.default_rng(0).normal(3, 2, (4, 3, 9, 9))
    images[3] = 7
    quantised = sphere.quantise(images)
    assert quantised.dtype == np.uint8
    assert quantised[:3].min(axis=(1, 2, 3)).tolist() == [0, 0, 0]
    assert quantised[:3].max(axis=(1, 2, 3)).tolist() == [255, 255, 255]
    assert not quantised[3].any()
    inputs = draw(Spherical()).inputs
    np.testing.assert_allclose(inputs * 255, np.rint(inputs * 255), atol=1e-4)
    assert (inputs.max(axis=(1, 2, 3)) == 1).all()


# Darcy flow


def test_second_order_for_a_smooth_coefficient() -> None:
    errors = []
    for size in (22, 43, 85):
        x, y = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size), indexing="ij")
        a = 2 + np.sin(3 * x) * np.cos(2 * y)
        u = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        a_x, a_y = 3 * np.cos(3 * x) * np.cos(2 * y), -2 * np.sin(3 * x) * np.sin(2 * y)
        u_x, u_y = np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y), 2 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
        source = 5 * np.pi**2 * a * u - a_x * u_x - a_y * u_y
        errors.append(np.abs(darcy.solve(a[None], source[None], tolerance=1e-9)[0] - u).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert ((orders > 1.9) & (orders < 2.1)).all()


def direct_solution(a: np.ndarray) -> np.ndarray:
    size = len(a)
    number = np.arange(size * size).reshape(size, size)
    on_rim = np.ones((size, size), dtype=bool)
    on_rim[1:-1, 1:-1] = False
    matrix = diags([np.zeros(size * size)], [0]).tolil()
    for row in range(size):
        for column in range(size):
            here = number[row, column]
            if on_rim[row, column]:
                matrix[here, here] = 1
                continue
            for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                face = (a[row, column] + a[r, c]) / 2 * (size - 1) ** 2
                matrix[here, here] += face
                matrix[here, number[r, c]] -= face
    return spsolve(matrix.tocsr(), (~on_rim).ravel().astype(float)).reshape(size, size)


def test_agrees_with_a_direct_solver() -> None:
    a = darcy.two_phase_coefficient(2, 33, np.random.default_rng(0))
    solved = darcy.solve(a, tolerance=1e-11)
    for coefficient, u in zip(a, solved, strict=True):
        expected = direct_solution(coefficient)
        assert np.linalg.norm(u - expected) / np.linalg.norm(expected) < 1e-8
    loose = darcy.solve(a, tolerance=1e-5)
    assert np.linalg.norm(loose - solved) / np.linalg.norm(solved) < 1e-5


def test_constant_coefficient_gives_the_series() -> None:
    size = 85
    x = np.linspace(0, 1, size)
    odd = np.arange(1, 200, 2)
    waves = np.sin(np.pi * np.outer(odd, x))
    amplitude = 16 / (np.pi**4 * odd[:, None] * odd * (odd[:, None] ** 2 + odd**2))
    series = waves.T @ amplitude @ waves
    assert series[42, 42] == pytest.approx(0.0736713, abs=1e-6)
    np.testing.assert_allclose(darcy.solve(np.full((1, size, size), 3.0))[0], series / 3, atol=1e-5)


def test_solve_refuses_what_is_no_coefficient() -> None:
    with pytest.raises(ValueError, match="positive"):
        darcy.solve(np.zeros((1, 5, 5)))
    with pytest.raises(ValueError, match="size"):
        darcy.solve(np.ones((1, 5, 6)))
    assert not darcy.solve(np.ones((1, 5, 5)), 0.0).any()


def test_the_field_has_the_stated_covariance() -> None:
    size, count = 13, 6000
    fields = darcy.gaussian_field(count, size, np.random.default_rng(0))
    x = np.linspace(0, 1, size)
    modes = np.array([np.ones(size), *(np.sqrt(2) * np.cos(np.pi * k * x) for k in range(1, size - 1))])
    k = np.arange(size - 1)
    spectrum = (np.pi**2 * (k[:, None] ** 2 + k**2) + 9.0) ** -2
    spectrum[0, 0] = 0
    for first, second in (((0, 0), (0, 0)), ((6, 6), (6, 6)), ((2, 5), (4, 4)), ((0, 6), (12, 6))):
        expected = np.einsum("ij,i,j,i,j", spectrum, modes[:, first[0]], modes[:, first[1]], modes[:, second[0]], modes[:, second[1]])
        scale = np.sqrt(fields[:, *first].var() * fields[:, *second].var() / count)
        assert abs((fields[:, *first] * fields[:, *second]).mean() - expected) < 5 * scale


def test_the_coefficient_has_two_values_half_each() -> None:
    a = darcy.two_phase_coefficient(400, 29, np.random.default_rng(0))
    assert set(np.unique(a)) == {3.0, 12.0}
    assert abs((a == 12).mean() - 0.5) < 0.02
    np.testing.assert_allclose((a == 12).mean(axis=0), 0.5, atol=0.12)
    # No direction is preferred: neighbours differ equally often down and across.
    down, across = (a[:, 1:] != a[:, :-1]).mean(), (a[:, :, 1:] != a[:, :, :-1]).mean()
    assert down == pytest.approx(across, rel=0.08)


def test_darcy_statistics_come_from_train_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # worker processes cost more here than they save
    task = DarcyFlow(COARSE)
    splits = task.generated(0, TaskSize(20, 3, 3))
    raw = {name: simulate_chunk(task, 0, name, 0) for name in ("train", "val")}
    reference = raw["train"].inputs[:, 0].astype(np.float64)
    mean, std = reference.mean(0), np.sqrt(((reference - reference.mean(0)) ** 2).sum(0) / 19)
    for name, split in (("train", splits.train), ("val", splits.val)):
        np.testing.assert_allclose(split.inputs[:, 0], ((raw[name].inputs[:, 0] - mean) / (std + 1e-5))[: len(split)], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(split.targets, raw[name].targets[: len(split)])
    assert set(np.unique(reference)) == {3.0, 12.0}
    x = np.linspace(0, 1, 85, dtype=np.float32)
    assert (splits.test.inputs[:, 1] == x[None, None, :]).all()
    assert (splits.test.inputs[:, 2] == x[None, :, None]).all()
    with pytest.raises(ValueError, match="at least 2"):
        task.generated(0, TaskSize(1, 1, 1))


def test_darcy_targets_are_in_physical_units() -> None:
    targets = draw(DarcyFlow(COARSE)).targets
    # Published statistics with {3, 12}: mean .0056, deviation .0039, maximum .0158.
    assert targets.mean() == pytest.approx(0.0056, rel=0.15)
    assert targets.std() == pytest.approx(0.0039, rel=0.15)
    rim = np.ones((85, 85), dtype=bool)
    rim[1:-1, 1:-1] = False
    assert not targets[:, rim].any()
    assert (targets[:, ~rim] > 0).all()
    assert DarcyFlow(DarcyFlow.Params(**DarcyFlow.preset_params["smoke"])).params == COARSE
    assert DarcyFlow().params.resolution == 421


# Cosmic


def test_moffat_and_sersic_profiles() -> None:
    r = np.linspace(0, 400, 400_001)
    for width, beta in ((2.0, 2.5), (2.4, 4.0)):
        profile = sky.moffat(r**2, width, beta)
        assert np.trapezoid(2 * np.pi * r * profile, r) == pytest.approx(1, abs=2e-3)
        assert np.interp(width / 2, r, profile) == pytest.approx(profile[0] / 2, rel=1e-3)
    radius = np.geomspace(1e-6, 2000, 200_000)
    for index in (0.5, 1.0, 2.0, 4.0):
        light = np.cumsum(sky.sersic(radius, 3.0, index) * radius * np.gradient(radius))
        assert np.interp(3.0, radius, light / light[-1]) == pytest.approx(0.5, abs=0.005)


def test_splits_see_disjoint_parts_of_the_real_sky(monkeypatch: pytest.MonkeyPatch) -> None:
    intervals = sorted(sky.HUBBLE_COLUMNS.values())
    assert all(high - low >= 128 for low, high in intervals)
    assert all(first[1] <= second[0] for first, second in pairwise(intervals))
    assert intervals[-1][1] <= sky.hubble_picture().shape[1]
    for split, (low, high) in sky.HUBBLE_COLUMNS.items():
        picture = np.full((872, 1000), 1000.0, dtype=np.float32)
        picture[:, low:high] = 14.0
        monkeypatch.setattr(sky, "hubble_picture", lambda picture=picture: picture)
        assert sky.hubble_cutouts(40, 128, sky.HUBBLE_COLUMNS[split], np.random.default_rng(0)).max() < 10


def track_extents(track: np.ndarray, position: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Length along and rms width across the principal axis of each track."""
    lengths, widths = np.zeros(count), np.zeros(count)
    for index, points in enumerate(np.split(position, np.flatnonzero(np.diff(track)) + 1, axis=1)):
        centred = points - points.mean(axis=1, keepdims=True)
        axes = np.linalg.svd(centred, full_matrices=False)[0]
        along, across = axes.T @ centred
        lengths[index], widths[index] = np.ptp(along), np.sqrt((across**2).mean())
    return lengths, widths


def test_muons_are_straight_and_isotropic_worms_curl() -> None:
    rng = np.random.default_rng(0)
    track, position, electrons = sky.muon_tracks(np.zeros((2, 2000)), rng)
    assert (electrons > 0).all()
    lengths, widths = track_extents(track, position, 2000)
    # P(tan > t) = 1 / (1 + t^2) for an isotropic flux through a plane; diffusion adds about one pixel to an extent.
    assert (lengths > 6.0).mean() == pytest.approx(1 / (1 + 5.0**2), abs=0.015)
    assert widths[lengths > 6].max() < 0.6
    track, position, _ = sky.worm_tracks(np.zeros((2, 300)), rng)
    lengths, widths = track_extents(track, position, 300)
    assert (widths[lengths > 6] > 1.0).mean() > 0.3


def test_hits_are_sharper_than_stars() -> None:
    charge = sky.cosmic_rays(40, 128, np.random.default_rng(0))
    assert (charge >= 0).all()
    peaks = charge[:, 1:-1, 1:-1]
    around = [charge[:, 1 + dy : 127 + dy, 1 + dx : 127 + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    local = (peaks == np.max(around, axis=0)) & (peaks > 300)
    star = sky.moffat(np.add.outer(np.array([1.0, 0, 1]), np.array([1.0, 0, 1])), 2.0, 3.0)
    share = (peaks / np.maximum(np.sum(around, axis=0), 1))[local]
    assert np.median(share) > 1.2 * star.max() / star.sum()


def test_noise_saturation_and_defects() -> None:
    exposures = sky.expose(np.zeros((6, 128, 128), dtype=np.float32), np.random.default_rng(0))
    for image, charge, ignore, level in zip(exposures.images, exposures.charge, exposures.ignore, exposures.sky, strict=True):
        quiet = (charge == 0) & ~ignore
        spread = np.diff(np.percentile(image[quiet], [15.87, 84.13]))[0] / 2
        assert spread == pytest.approx(np.sqrt(level + sky.READ_NOISE**2 + 0.5), rel=0.05)
        assert np.median(image[quiet]) == pytest.approx(level, abs=4.0)
    bright = sky.expose(np.full((1, 32, 32), 2e5, dtype=np.float32), np.random.default_rng(0))
    assert bright.ignore.all()
    assert bright.images.max() == np.float32(sky.SATURATION)


def test_the_mask_is_what_was_hit() -> None:
    split = draw(Cosmic())
    assert set(np.unique(split.targets)) == {0.0, 1.0}
    assert 0.008 < split.targets.mean() < 0.05
    assert split.extras["ignore"].dtype == np.bool_
    assert 0 < split.extras["ignore"].mean() < 0.02
    hit, hidden = split.targets > 0, split.extras["ignore"]
    for image, struck, ignored in zip(split.inputs[:, 0] * UNIT_ELECTRONS, hit, hidden, strict=True):
        empty = image[~struck & ~ignored]
        # A hit pixel holds at least MASK_SIGMAS noise levels more than its sky; 5 electrons is the least noise there is.
        assert np.percentile(image[struck & ~ignored], 20) > np.percentile(empty, 20) + MASK_SIGMAS * sky.READ_NOISE


def test_ignored_pixels_count_as_correct_negatives() -> None:
    task, split = Cosmic(), draw(Cosmic())
    score, missed = (metric.compute for metric in task.metrics)
    perfect = np.where(split.targets > 0, 1.0, -1.0)
    assert score(perfect, split) == 0
    assert missed(perfect, split) == 0
    assert score(np.where(split.extras["ignore"], -perfect, perfect), split) == 0
    nothing = np.full(split.targets.shape, -1.0)
    assert score(nothing, split) == 0.5
    assert missed(nothing, split) == 1
    alarm = np.ones(split.targets.shape)
    shown = ~split.extras["ignore"] & (split.targets == 0)
    negatives = shown | split.extras["ignore"]
    assert score(alarm, split) == pytest.approx(0.5 * shown.sum() / negatives.sum())
