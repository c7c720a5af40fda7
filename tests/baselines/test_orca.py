"""ORCA: pseudo-classes of dense targets, and the released alignment rate."""

from __future__ import annotations

import numpy as np
import pytest

from pare_bench.contracts.examples import LazyExamples
from pare_bench.contracts.method import TrainData
from pare_bench.contracts.task import Classes, Field, InputShape, Split
from pare_bench.training.context import EVALUATION_BATCH, evaluation_batch
from pare_bench_baselines.orca import Orca, pseudo_labels


def data(target, targets):
    split = Split(np.zeros((len(targets), 1, 2), np.float32), targets)
    return TrainData("toy", InputShape(1, (2,)), target, (), split, split)


def fields(side, count=30):
    """Three groups of maps far apart, ten of each."""
    rng = np.random.default_rng(0)
    return (np.repeat([0.0, 5.0, 10.0], count // 3)[:, None, None] + 0.1 * rng.normal(size=(count, side, side))).astype(np.float32)


def test_classes_are_their_own_pseudo_classes():
    labels = np.array([2, 0, 1, 2])
    assert np.array_equal(pseudo_labels(data(Classes(3), labels), 10, 0), labels)


@pytest.mark.parametrize("lazy", [False, True])
def test_pseudo_classes_are_clusters_of_the_targets(lazy):
    stored = fields(130)
    targets = LazyExamples(stored.shape, stored.dtype, lambda indices: stored[indices]) if lazy else stored
    found = pseudo_labels(data(Field((130, 130)), targets), 3, 7)
    groups = [set(found[start : start + 10]) for start in (0, 10, 20)]
    assert [len(group) for group in groups] == [1, 1, 1]
    assert len(set.union(*groups)) == 3
    assert np.array_equal(found, pseudo_labels(data(Field((130, 130)), targets), 3, 7))


def test_the_alignment_rate_is_the_released_one():
    orca = Orca(Orca.Params(rate_milestones=(20, 40, 60), rate_decay=0.2))
    rates = [orca.alignment_rate(1e-4, epoch) for epoch in range(80)]
    # The released scheduler compares with a strict ">" on epochs counted from 0.
    expected = [1e-3 * (1 if epoch <= 20 else 0.2 if epoch <= 40 else 0.04 if epoch <= 60 else 0.008) for epoch in range(80)]
    assert rates == pytest.approx(expected)
    assert orca.alignment_rate(0.01, 0) == 0.01
    assert Orca(Orca.Params()).alignment_rate(1e-3, 59) == pytest.approx(0.01)


@pytest.mark.parametrize(("shape", "expected"), [((3, 32, 32), 64), ((57, 128, 128), 64), ((57, 512, 512), 8), ((1000, 1000, 1000), 1)])
def test_large_examples_are_predicted_few_at_a_time(shape, expected):
    assert evaluation_batch(shape) == expected <= EVALUATION_BATCH
