"""Fractal images: the systems contract, labels decide the shape, masks are exact, bytes follow the stream."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pare_bench.builtin.sources.fractals import Fractals
from pare_bench.contracts.task import TaskSize
from pare_bench.datasets.simulated import generate_splits, simulate_chunk
from pare_bench.seeds import stream
from pare_bench.simulators import fractals


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(8), 16)
    return labels, *fractals.render_fractals(labels, np.random.default_rng(0))


def test_systems_contract_and_keep_the_published_bound_on_singular_values() -> None:
    systems = fractals.default_systems(12)
    for matrices, weights in zip(systems.matrices, systems.weights, strict=True):
        used = weights > 0
        singular = np.linalg.svd(matrices[used], compute_uv=False)
        maps = int(used.sum())
        assert 2 <= maps <= fractals.MAX_MAPS
        assert singular.max() < 1
        assert (5 + maps) / 2 - 1e-5 < (singular @ [1.0, 2.0]).sum() < (6 + maps) / 2 + 1e-5
        assert weights.sum() == pytest.approx(1, abs=1e-6)


def test_more_systems_extend_fewer() -> None:
    few, many = (fractals.fractal_systems(num, np.random.default_rng(5)) for num in (3, 5))
    np.testing.assert_array_equal(few.matrices, many.matrices[:3])
    np.testing.assert_array_equal(few.offsets, many.offsets[:3])


def test_orbit_of_the_sierpinski_maps_is_the_sierpinski_triangle() -> None:
    """Three half-size maps to the corners: in binary, no digit of x and y on the attractor is 1 in both."""
    corners = np.zeros((1, fractals.MAX_MAPS, 2), np.float32)
    corners[0, 1, 0] = corners[0, 2, 1] = 0.5
    weights = np.array([[1, 1, 1, 0]], np.float32) / 3
    halves = np.tile(np.eye(2, dtype=np.float32) / 2, (1, fractals.MAX_MAPS, 1, 1))
    points, address = fractals._orbits(fractals.Systems(halves, corners, weights), np.random.default_rng(0))
    x, y = np.floor(points[0] * 32).astype(int).T
    assert np.all(x & y == 0)
    assert len(np.unique(x * 32 + y)) > 0.95 * 3**5
    # The last map chosen is the corner that the point lies nearest to, and adds its number / 3 / 2 to the address.
    second, first = points[0, :, 0] > 0.5, points[0].max(1) < 0.5
    assert address[0][second].mean() - address[0][first].mean() == pytest.approx(1 / 6, abs=0.02)


def test_images_and_masks_have_the_promised_shapes_and_values(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, images, masks = drawn
    assert images.shape == (len(labels), 3, 56, 56)
    assert images.dtype == np.float32
    assert masks.shape == (len(labels), 56, 56)
    assert masks.dtype == np.bool_
    assert images.min() >= 0
    assert images.max() <= 1
    share = masks.mean((1, 2))
    assert 0.03 < np.median(share) < 0.5
    assert share.max() < 0.8


def test_mask_separates_figure_from_ground(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """The mean colour inside the mask differs from outside; the same mask on another image does not fit."""
    _, images, masks = drawn

    def contrast(order: np.ndarray) -> float:
        moved = masks[order]
        inside = (images * moved[:, None]).sum((2, 3)) / np.maximum(moved.sum((1, 2)), 1)[:, None]
        outside = (images * ~moved[:, None]).sum((2, 3)) / (~moved).sum((1, 2))[:, None]
        return float(np.median(np.abs(inside - outside).max(1)))

    matched = contrast(np.arange(len(images)))
    assert matched > 0.2
    assert matched > 2 * contrast(np.roll(np.arange(len(images)), 17))


def test_label_decides_the_shape_whatever_the_pose(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Moments that ignore place, size and turn tell the systems apart far better than chance (1 in 8)."""
    from skimage.measure import moments_central, moments_hu, moments_normalized
    from sklearn.neighbors import KNeighborsClassifier

    labels, _, masks = drawn
    moments = np.stack([moments_hu(moments_normalized(moments_central(mask.astype(float)))) for mask in masks])
    features = np.sign(moments) * np.log1p(1e4 * np.abs(moments))
    train = np.arange(len(labels)) % 2 == 0
    score = KNeighborsClassifier(3).fit(features[train, :4], labels[train]).score(features[~train, :4], labels[~train])
    assert score > 0.25


def test_instances_of_a_system_differ_and_other_sizes_work() -> None:
    images, masks = fractals.render_fractals(np.zeros(6, np.int64), np.random.default_rng(1), size=32)
    assert images.shape == (6, 3, 32, 32)
    assert len({mask.tobytes() for mask in masks}) == 6


def test_bytes_follow_the_stream() -> None:
    labels = np.arange(5)
    digests = [hashlib.sha256(fractals.render_fractals(labels, stream("test", seed))[0].tobytes()).hexdigest() for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_task_fits_its_contract() -> None:
    task = Fractals()
    splits = generate_splits(task, 0, TaskSize(66, 5, 4), workers=1)
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [66, 5, 4]
    assert splits.train.inputs.shape[1:] == (task.inputs.channels, *task.inputs.grid)
    assert splits.train.extras["foreground"].shape == (66, 56, 56)
    assert splits.train.extras["foreground"].dtype == np.bool_
    assert splits.train.targets.dtype == np.int64
    assert set(splits.train.targets[: task.chunk]) == set(range(task.target.num))
    inputs = splits.train.inputs.astype(np.float32)
    assert 0 <= inputs.min() < 0.1
    assert 0.9 < inputs.max() <= 1
    seen = {image.tobytes() for split in (splits.train, splits.val, splits.test) for image in split.inputs}
    assert len(seen) == 75


def test_task_chunks_are_reproducible_and_differ() -> None:
    task = Fractals()
    chunks = [simulate_chunk(task, *where) for where in ((0, "val", 0), (0, "val", 0), (0, "val", 1), (1, "val", 0), (0, "test", 0))]
    digests = [hashlib.sha256(chunk.inputs.tobytes() + chunk.targets.tobytes()).hexdigest() for chunk in chunks]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_perfect_and_constant_predictions_score_as_they_must() -> None:
    task = Fractals()
    chunk = simulate_chunk(task, 0, "test", 0)
    right = np.eye(task.target.num, dtype=np.float32)[chunk.targets]
    assert task.metrics[0].compute(right, chunk) == 0
    assert task.metrics[0].compute(np.zeros_like(right), chunk) == pytest.approx(1 - 1 / 64)
