"""Moments of targets that are read in pieces, against numpy on the whole array."""

import numpy as np
import pytest

from pare_bench.contracts.examples import LazyExamples
from pare_bench.contracts.task import Classes, Field, Labels, PairMap, Split
from pare_bench.datasets.moments import clipped_median, clipped_moments, pieces, pointwise_moments, total
from pare_bench.model.heads import OutputScale
from pare_bench.scoring.floor import constant_output


def lazy(array, largest=None):
    def read(indices):
        assert largest is None or len(indices) <= largest, "more was read at once than asked for"
        return array[indices]

    return LazyExamples(array.shape, array.dtype, read)


@pytest.fixture
def fields():
    # A large offset with a small spread, where adding squares up would lose all digits.
    return (1e4 + np.random.default_rng(0).normal(size=(23, 6, 5))).astype(np.float32)


def test_pieces_are_as_large_as_allowed_and_complete(fields):
    parts = list(pieces(lazy(fields, largest=4), piece_bytes=4 * 30 * 8))
    assert [len(part) for part in parts] == [4, 4, 4, 4, 4, 3]
    assert np.array_equal(np.concatenate(parts), fields)


@pytest.mark.parametrize("held", [1, 4, 23, 100])
def test_pointwise_moments(fields, held):
    values = fields.astype(np.float64)
    mean, std, overall = pointwise_moments(lazy(fields, largest=held), piece_bytes=held * 30 * 8)
    np.testing.assert_allclose(mean, values.mean(0), rtol=1e-14)
    np.testing.assert_allclose(std, values.std(0), rtol=1e-9)
    assert overall == pytest.approx(values.std(), rel=1e-9)


@pytest.mark.parametrize("held", [1, 4, 23])
def test_clipped_moments(held):
    values = np.abs(np.random.default_rng(1).normal(10, 8, (23, 6, 6))).astype(np.float32)
    clipped = np.minimum(values.astype(np.float64), 16)
    mean, std = clipped_moments(lazy(values, largest=held), 16.0, piece_bytes=held * 36 * 8)
    assert mean == pytest.approx(clipped.mean(), rel=1e-13)
    assert std == pytest.approx(clipped.std(), rel=1e-13)


@pytest.mark.parametrize("count", [22, 23])
@pytest.mark.parametrize("rows", [1, 4, 6])
def test_the_median_in_bands_is_numpys(count, rows):
    values = np.abs(np.random.default_rng(2).normal(10, 8, (count, 6, 7))).astype(np.float32)
    found = clipped_median(lazy(values), 16.0, piece_bytes=4 * count * 7 * rows)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.median(np.minimum(values, 16), axis=0))


def split(targets):
    return Split(np.zeros((len(targets), 1), np.float32), targets)


@pytest.mark.parametrize(
    ("target", "shape"), [(Classes(4), ()), (Labels(3), (3,)), (Field((6, 5), "mask"), (6, 5)), (Field((6, 5)), (6, 5)), (PairMap(6), (6, 6))]
)
def test_the_floor_of_lazy_targets_is_that_of_the_same_targets_in_memory(target, shape):
    rng = np.random.default_rng(3)
    values = rng.integers(0, 4, 31) if not shape else (rng.random((31, *shape)) * 30).astype(np.float32)
    if isinstance(target, Labels) or target == Field((6, 5), "mask"):
        values = (values > 12).astype(np.float32)
    np.testing.assert_allclose(constant_output(target, split(lazy(values))), constant_output(target, split(values)), rtol=1e-15)


@pytest.mark.parametrize("target", [Field((6, 6)), PairMap(6)])
def test_the_scale_of_lazy_targets_is_that_of_the_same_targets_in_memory(target):
    values = np.abs(np.random.default_rng(4).normal(10, 8, (31, 6, 6))).astype(np.float32)
    whole, streamed = OutputScale(target, split(values)), OutputScale(target, split(lazy(values)))
    np.testing.assert_allclose(streamed.mean.numpy(), whole.mean.numpy(), rtol=1e-6)
    np.testing.assert_allclose(streamed.std.numpy(), whole.std.numpy(), rtol=1e-6)


@pytest.mark.parametrize("target", [Field((6, 6)), PairMap(6)])
def test_what_is_in_memory_gives_the_bits_of_one_numpy_call(target):
    """Runs that were recorded before targets could be lazy must not move by a bit."""
    values = np.abs(np.random.default_rng(5).normal(10, 8, (31, 6, 6))).astype(np.float32)
    wide = values.astype(np.float64)
    if isinstance(target, PairMap):
        wide = np.minimum(wide, 16.0)
        mean, std = wide.mean(keepdims=True)[0, 0], wide.std(keepdims=True)[0, 0]
    else:
        mean, std = wide.mean(0), wide.std(0) + 1e-5 * (wide.std() + 1e-12)
    scale = OutputScale(target, split(values))
    assert np.array_equal(scale.mean.numpy(), mean.astype(np.float32))
    assert np.array_equal(scale.std.numpy(), std.astype(np.float32))


def test_totals_add_up_in_the_type_asked_for():
    ones = np.ones((40, 2), np.float32)
    assert total(lazy(ones), np.float64, piece_bytes=64).dtype == np.float64
    assert total(lazy(ones), piece_bytes=64).dtype == np.float32
    assert np.array_equal(total(lazy(ones), piece_bytes=64), [40, 40])
