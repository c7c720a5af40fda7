"""``otdd_released`` against numbers that the released code gave, and against a converged computation of what its gradient leaves out or doubles."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch

from pare_bench.builtin.aligners.otdd import OtddExact, OtddGaussian
from pare_bench.builtin.aligners.otdd_released import OtddReleased, divergence
from pare_bench.errors import TrainingDivergedError, UsageError

#: Made once by ORCA 19b8c1c (its vendored otdd, ``precision="double"``) with geomloss 0.2.6 on :func:`waves`: value, norm of the gradient, one entry.
RELEASED = {
    ("exact", 0.1): (0.12592665103622933, 0.0777498188218655, 0.004861734615141749),
    ("exact", 1.0): (15.977141559502925, 0.8918733026274271, 0.043398812887533895),
    ("exact", 5.0): (400.2307546845773, 4.609838866074287, 0.30259547492907524),
    ("gaussian", 0.1): (0.1262304315337247, 0.23343379487531626, 0.015111216943266632),
    ("gaussian", 1.0): (15.356988173305108, 2.4716103256860564, 0.1509963883314035),
    ("gaussian", 5.0): (384.7067846901858, 12.483409571250617, 0.8515201170958131),
}


def waves(count, num_classes, phase, scale, shift=0.0):
    """Features [count 6] and labels that any generator of random numbers leaves alone."""
    row, column = torch.arange(count, dtype=torch.float64)[:, None], torch.arange(6, dtype=torch.float64)
    features = torch.sin(1.7 * row * (column + 1) + phase) + torch.cos(2.3 * (row % num_classes) * (column + 1))
    return scale * (features + shift), torch.arange(count) % num_classes


def pair(scale):
    return (*waves(60, 4, 0.0, scale), waves(20, 1, 1.0, scale, 0.5)[0].requires_grad_())


def build(source, labels, aligner=OtddReleased, **params):
    return aligner(aligner.Params(**params), source_features=source, source_labels=labels)


def value_and_gradient(aligner, target):
    value = aligner(target)
    (gradient,) = torch.autograd.grad(value, target)
    return value.item(), gradient


@pytest.mark.parametrize(("inner", "scale"), RELEASED)
def test_value_and_gradient_are_the_released_ones(inner, scale):
    source, labels, target = pair(scale)
    value, gradient = value_and_gradient(build(source, labels, inner=inner), target)
    expected, norm, entry = RELEASED[inner, scale]
    assert gradient.norm().item() == pytest.approx(norm, rel=1e-10)
    assert gradient[3, 2].item() == pytest.approx(entry, rel=1e-10)
    # The source's own term is computed once, from the source's own spread; the released code repeats it with each target's.
    assert value == pytest.approx(expected, rel=2e-4)
    # What the aligners before it gave: other gradients, and with exact label distances another value.
    other, other_gradient = value_and_gradient(build(source, labels, OtddExact if inner == "exact" else OtddGaussian), target)
    assert (other_gradient - gradient).norm() > 0.3 * gradient.norm()
    assert inner == "gaussian" or other > 1.01 * expected


def sinkhorn(cost, eps):
    """Value and plan of entropic transport between uniform measures in float64, from POT."""
    plan = ot.bregman.sinkhorn([], [], cost, eps, method="sinkhorn_log", numItermax=20000, stopThr=1e-14, warn=False)
    positive = plan[plan > 0]
    return np.sum(plan * cost) + eps * np.sum(positive * np.log(positive * cost.size)), plan


def squared(first, second):
    return ((first[:, None] - second[None]) ** 2).sum(-1)


def sinkhorn_divergence(first, second, eps):
    cross, own, other = (sinkhorn(squared(a, b), eps)[0] for a, b in ((first, second), (first, first), (second, second)))
    return cross - (own + other) / 2


@pytest.mark.parametrize(("scale", "rel"), [(0.02, 1e-6), (0.1, 1e-5), (0.3, 1e-3)])
def test_exact_label_distances_are_debiased_sinkhorn(scale, rel):
    source, labels, target = pair(scale)
    points = source[labels == 1], target.detach()
    expected = sinkhorn_divergence(*(each.numpy() for each in points), 0.1)
    assert divergence(*points, 0.1).item() == pytest.approx(expected, rel=rel)
    exact = ot.emd2([], [], squared(*(each.numpy() for each in points)))
    # Where eps is not small against the distances, that is not the Wasserstein distance at all.
    assert exact > 1.03 * expected


def gaussian_distance(first, second):
    covariances = [np.cov(each, rowvar=False) for each in (first, second)]
    roots = np.sqrt(np.clip(np.linalg.eigvals(covariances[0] @ covariances[1]).real, 0, None))
    return np.sum((first.mean(0) - second.mean(0)) ** 2) + sum(map(np.trace, covariances)) - 2 * roots.sum()


@pytest.mark.parametrize("inner", ["exact", "gaussian"])
def test_the_gradient_has_the_label_part_twice_for_gaussians_and_never_for_exact_distances(inner):
    # Features so small that the schedule of geomloss ends at the optimum.
    source, labels, target = pair(0.01)
    _, gradient = value_and_gradient(build(source, labels, inner=inner), target)
    x, z, groups = source.numpy(), target.detach().numpy(), [source[labels == label].numpy() for label in range(4)]
    label_distance = gaussian_distance if inner == "gaussian" else lambda first, second: sinkhorn_divergence(first, second, 0.1)
    between = np.array([label_distance(group, z) for group in groups])[labels.numpy()]
    plan = sinkhorn((squared(x, z) + between[:, None]) / 2, 0.1)[1]
    own = sinkhorn(squared(z, z) / 2, 0.1)[1]
    of_features = plan.sum(0)[:, None] * z - plan.T @ x - (own.sum(1)[:, None] * z - own @ z)
    assert inner == "gaussian" or np.linalg.norm(gradient.numpy() - of_features) < 1e-4 * np.linalg.norm(of_features)
    if inner == "exact":
        return
    of_labels = np.zeros_like(z)
    for place in np.ndindex(*z.shape):
        moved = np.zeros_like(z)
        moved[place] = 1e-6
        of_labels[place] = sum(
            plan[labels.numpy() == label].sum() * (label_distance(group, z + moved) - label_distance(group, z - moved)) / 2e-6 / 2
            for label, group in enumerate(groups)
        )
    np.testing.assert_allclose(gradient.numpy(), of_features + 2 * of_labels, atol=1e-3 * np.abs(of_labels).max())


def test_labels_with_one_example_are_left_out():
    source, labels, target = pair(1.0)
    alone = torch.cat([source, 50 + source[:2]]), torch.cat([labels, torch.tensor([77, 78])])
    assert torch.equal(build(*alone)(target), build(source, labels)(target))
    few = torch.zeros(20, dtype=torch.int64)
    few[7] = 3
    kept = target[torch.arange(20) != 7]
    torch.testing.assert_close(build(source, labels)(target, few), build(source, labels)(kept), rtol=1e-12, atol=0)
    nothing = build(source, labels)(target[:1])
    (gradient,) = torch.autograd.grad(nothing, target)
    assert nothing.item() == 0
    assert not gradient.any()
    with pytest.raises(UsageError, match="none of the 60 source labels has 2 examples"):
        build(source, torch.arange(60))


def test_labelled_targets_equal_points_and_divergence():
    source, labels, target = pair(1.0)
    assert build(source, labels)(target, torch.arange(20) % 2).item() != pytest.approx(build(source, labels)(target).item(), rel=1e-3)
    # No spread at all: geomloss takes the logarithm of 0 there.
    same = torch.ones(4, 3)
    assert build(same, torch.zeros(4, dtype=torch.int64))(same).item() == pytest.approx(0, abs=1e-9)
    with pytest.raises(TrainingDivergedError, match="NaN"):
        build(source, labels)(target * torch.inf)
