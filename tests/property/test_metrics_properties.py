"""What must hold for every input of a metric."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pare_bench import metrics

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(4, 40)


def class_example(seed, size):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, size)
    labels[:2] = 0, 3
    # Few distinct scores: ties are common.
    return rng.integers(-3, 4, (size, 4)) * rng.choice([0.5, 1.0, 40.0]), labels


def label_example(seed, size):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, (size, 3))
    targets[0], targets[1] = 0, 1
    return rng.integers(-4, 5, (size, 3)) / 2, targets


def field_example(seed, size):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, 6)), rng.normal(size=(size, 6)) * rng.choice([1e-3, 1.0, 1e6])


def pair_example(seed, size):
    rng = np.random.default_rng(seed)
    target = rng.uniform(2, 12, (size, 36, 36))
    target[0, 5, 30] = 4.0
    return rng.uniform(0, 12, (size, 36, 36)), target


def mae_8(pred, target):
    return metrics.mae_8(pred, target, np.full(len(target), 26))


BOUNDED = [
    (metrics.error_rate, class_example),
    (metrics.macro_f1_error, class_example),
    (metrics.auroc_ovo_error, class_example),
    (metrics.map_error, label_example),
    (metrics.auroc_error, label_example),
    (metrics.mask_auroc_error, label_example),
    (metrics.false_negative_rate, label_example),
]
ALL = [*BOUNDED, (metrics.relative_l2, field_example), (metrics.nrmse, field_example), (mae_8, pair_example)]


@pytest.mark.parametrize(("metric", "example"), ALL)
@given(seed=SEEDS, size=SIZES)
@settings(max_examples=25, deadline=None)
def test_order_of_the_examples_does_not_matter(metric, example, seed, size):
    outputs, targets = example(seed, size)
    order = np.random.default_rng(seed + 1).permutation(size)
    assert metric(outputs[order], targets[order]) == pytest.approx(metric(outputs, targets), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("metric", "example"), BOUNDED)
@given(seed=SEEDS, size=SIZES)
@settings(max_examples=50, deadline=None)
def test_lies_between_0_and_1(metric, example, seed, size):
    assert 0 <= metric(*example(seed, size)) <= 1


@pytest.mark.parametrize(("metric", "example"), ALL)
@given(seed=SEEDS, size=SIZES)
@settings(max_examples=25, deadline=None)
def test_the_truth_scores_0(metric, example, seed, size):
    _, targets = example(seed, size)
    if example is class_example:
        perfect = 5.0 * np.eye(4)[targets]
    elif example is label_example:
        perfect = 2.0 * targets - 1
    elif example is pair_example:
        targets = (targets + targets.transpose(0, 2, 1)) / 2
        targets[0, 5, 30] = targets[0, 30, 5] = 4.0
        perfect = targets
    else:
        perfect = targets
    assert metric(perfect, targets) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", [metrics.auroc_error, metrics.map_error])
@given(seed=SEEDS, size=SIZES)
@settings(max_examples=50, deadline=None)
def test_only_the_order_of_the_scores_counts(metric, seed, size):
    logits, targets = label_example(seed, size)
    assert metric(np.exp(logits), targets) == metric(logits, targets)
    assert metric(7 * logits**3 - 100, targets) == metric(logits, targets)


@given(seed=SEEDS, size=SIZES)
@settings(max_examples=50, deadline=None)
def test_reversing_the_scores_mirrors_auroc(seed, size):
    logits, targets = label_example(seed, size)
    assert metrics.auroc_error(-logits, targets) == pytest.approx(1 - metrics.auroc_error(logits, targets), abs=1e-12)


@pytest.mark.parametrize("metric", [metrics.relative_l2, metrics.nrmse])
@given(seed=SEEDS, size=SIZES, scale=st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_relative_errors_have_no_unit(metric, seed, size, scale):
    pred, target = field_example(seed, size)
    assert metric(scale * pred, scale * target) == pytest.approx(metric(pred, target), rel=1e-10)
    assert metric(np.zeros_like(pred), target) == pytest.approx(1)
