"""The generated twins of the signal tasks: contract, determinism, disjoint splits and the physics of each simulator."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pare_bench.builtin.suites.nas360.satellite import Satellite
from pare_bench.contracts.task import Classes, SimulatedTask, Split, TaskSize
from pare_bench.datasets.generate import generate_splits, simulate_chunk
from pare_bench.simulators import phenology

TASKS = (Satellite,)


def digest(split: Split) -> str:
    parts = [split.inputs, split.targets, *(split.extras[name] for name in sorted(split.extras))]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


@pytest.mark.parametrize("task_class", TASKS)
def test_shapes_types_and_values_fit_the_contract(task_class: type[SimulatedTask]) -> None:
    task = task_class()
    splits = generate_splits(task, 0, TaskSize(task.chunk + 1, task.chunk, task.chunk), workers=1)
    for split, count in ((splits.train, task.chunk + 1), (splits.val, task.chunk), (splits.test, task.chunk)):
        assert split.inputs.shape == (count, task.inputs.channels, *task.inputs.grid)
        assert split.inputs.dtype == np.float32
        assert np.isfinite(split.inputs).all()
        assert 0.2 < split.inputs.std() < 20
        assert split.extras["groups"].dtype == np.int64
        if isinstance(task.target, Classes):
            assert split.targets.dtype == np.int64
            assert split.targets.min() >= 0
            assert split.targets.max() < task.target.num
            assert len(np.unique(split.targets)) == task.target.num
        else:
            assert split.targets.dtype == np.float32
            assert split.targets.shape == (count, task.target.num)
            assert set(np.unique(split.targets)) == {0.0, 1.0}


@pytest.mark.parametrize("task_class", TASKS)
def test_bytes_follow_the_stream_and_groups_are_disjoint(task_class: type[SimulatedTask]) -> None:
    task = task_class()
    first = simulate_chunk(task, 0, "train", 0)
    assert digest(first) == digest(simulate_chunk(task_class(), 0, "train", 0))
    others = [simulate_chunk(task, 1, "train", 0), *(simulate_chunk(task, 0, *place) for place in (("train", 1), ("val", 0), ("test", 0)))]
    assert len({digest(split) for split in (first, *others)}) == 5
    seen = [set(split.extras["groups"].tolist()) for split in (first, *others[1:])]
    assert sum(len(groups) for groups in seen) == len(set.union(*seen))
    assert {len(split) for split in (first, *others)} == {task.chunk}


@pytest.mark.parametrize("task_class", TASKS)
def test_the_constant_floor_leaves_room(task_class: type[SimulatedTask]) -> None:
    task = task_class()
    split = simulate_chunk(task, 0, "test", 0)
    num = task.target.num
    constant = np.zeros((len(split), num), dtype=np.float32)
    perfect = np.eye(num, dtype=np.float32)[split.targets] if isinstance(task.target, Classes) else split.targets
    for metric in task.metrics:
        assert metric.compute(constant, split) > 0.65
        assert metric.compute(perfect, split) == pytest.approx(0.0, abs=1e-12)


# Satellite


def typical_year(name: str, shift: float = 0.0) -> np.ndarray:
    label = np.array([[crop.name for crop in phenology.CROPS].index(name)])
    return phenology.clear_sky(label, np.random.default_rng(0), shift=np.array([shift]), stretch=np.ones(1), spread=0.0)[0]


def test_a_typical_year_is_the_double_logistic() -> None:
    crop = phenology.CROPS[0]
    (amplitude, green, rise, brown, fall), days = crop.seasons[0], 8.0 * np.arange(46)
    expected = [crop.soil + amplitude * (1 / (1 + np.exp(-rise * (day - green))) - 1 / (1 + np.exp(-fall * (day - brown)))) for day in days]
    np.testing.assert_allclose(typical_year(crop.name), expected, atol=1e-12)


def test_crops_keep_their_calendar() -> None:
    days = 8 * np.arange(46)
    assert days[typical_year("winter barley").argmax()] < days[typical_year("winter wheat").argmax()] < 140
    assert 190 < days[typical_year("grain maize").argmax()] < 240
    double = typical_year("winter barley then soybean")
    valley = double[(days > 140) & (days < 200)].min()
    assert min(double[days < 140].max(), double[days > 200].max()) - valley > 0.25
    assert np.abs(typical_year("conifers") - typical_year("conifers").mean()).max() < 0.2 < np.ptp(typical_year("winter wheat"))
    # A shift of one step delays the series by one step.
    np.testing.assert_allclose(typical_year("sunflower", shift=8.0)[1:], typical_year("sunflower")[:-1], atol=1e-12)


def test_clouds_push_values_down_and_gaps_are_filled_linearly() -> None:
    rng = np.random.default_rng(3)
    parcels = phenology.simulate_parcels(np.arange(480) % 24, np.arange(480) * 8 // 480, rng)
    residual = parcels.observed - parcels.clear
    clean = ~parcels.filled & ~parcels.outliers
    assert 0.02 < parcels.outliers.mean() < 0.1
    assert 0.15 < parcels.filled.mean() < 0.5
    assert residual[parcels.outliers].mean() < -0.15
    assert abs(residual[clean].mean()) < 0.002
    assert residual[clean].std() == pytest.approx(0.02, rel=0.1)
    assert np.abs(parcels.observed).max() <= 1
    row = int(np.flatnonzero(parcels.filled.any(axis=1))[0])
    known = np.flatnonzero(~parcels.filled[row])
    expected = np.interp(np.arange(46), known, parcels.observed[row, known])
    np.testing.assert_allclose(parcels.observed[row], expected, atol=1e-12)


def test_series_are_standardised() -> None:
    series = simulate_chunk(Satellite(), 0, "val", 0).inputs[:, 0]
    np.testing.assert_allclose(series.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(series.std(axis=1), 1, atol=1e-5)
    assert (phenology.standardise(np.full((1, 46), 0.3)) == 0).all()
