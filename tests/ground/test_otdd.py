"""OTDD against an independent computation built on POT, its axioms, its gradient, and what it computes once."""

import numpy as np
import ot
import pytest
import torch

import pare_bench.otdd as otdd_module
from pare_bench.errors import TrainingDivergedError, UsageError
from pare_bench.otdd import OTDD

INNER = ("exact", "gaussian")


def clouds(count, num_classes, dim, seed, shift=0.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(num_classes, dim, generator=generator, dtype=torch.float64)
    labels = torch.arange(count) % num_classes
    features = centres[labels] + 0.6 * torch.randn(count, dim, generator=generator, dtype=torch.float64) + shift
    return features.to(dtype), labels


def pot_label_distance(first, second, inner):
    if inner == "exact":
        return ot.emd2([], [], ot.dist(first, second, metric="sqeuclidean"))
    moments = [(x.mean(0), np.cov(x, rowvar=False) if len(x) > 1 else np.zeros((x.shape[1],) * 2)) for x in (first, second)]
    (mean, cov), (other_mean, other_cov) = moments
    # A^1/2 B A^1/2 has the eigenvalues of A B; POT's own formula gives NaN for singular covariances.
    roots = np.sqrt(np.clip(np.linalg.eigvals(cov @ other_cov).real, 0, None))
    return np.sum((mean - other_mean) ** 2) + np.trace(cov) + np.trace(other_cov) - 2 * roots.sum()


def pot_transport(x, y, z, w, inner, eps):
    """OT of the definition from POT's plan: transport cost plus eps KL to the product of the marginals."""
    table = {(a, b): pot_label_distance(x[y == a], z[w == b], inner) for a in np.unique(y) for b in np.unique(w)}
    label_cost = np.array([[table[a, b] for b in w] for a in y])
    cost = (ot.dist(x, z, metric="sqeuclidean") + label_cost) / 2
    plan = ot.bregman.sinkhorn([], [], cost, eps, method="sinkhorn", numItermax=5000, stopThr=1e-7, warn=False)
    positive = plan > 0
    divergence = np.sum(plan[positive] * np.log(plan[positive] * len(x) * len(z)))
    return np.sum(plan * cost) + eps * divergence


def pot_otdd(x, y, z, w, inner, eps=0.1):
    x, y, z, w = (np.asarray(value) for value in (x, y, z, w))
    return pot_transport(x, y, z, w, inner, eps) - pot_transport(x, y, x, y, inner, eps) / 2 - pot_transport(z, w, z, w, inner, eps) / 2


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize(("size", "batch", "num_classes", "dim"), [(24, 16, 3, 2), (80, 30, 5, 4), (160, 60, 8, 8)])
def test_agrees_with_pot(inner, size, batch, num_classes, dim):
    source, labels = clouds(size, num_classes, dim, seed=1)
    target, target_labels = clouds(batch, 3, dim, seed=2, shift=0.5)
    for given in (target_labels, None):
        expected = pot_otdd(source, labels, target, torch.zeros(batch) if given is None else given, inner)
        distance = OTDD(source, labels, inner=inner)(target, given)
        assert distance.item() == pytest.approx(expected, rel=1e-4)


def test_without_debiasing_is_the_cross_term():
    source, labels = clouds(40, 4, 3, seed=1)
    target, target_labels = clouds(20, 2, 3, seed=2)
    expected = pot_transport(source.numpy(), labels.numpy(), target.numpy(), target_labels.numpy(), "exact", 0.5)
    distance = OTDD(source, labels, debiased=False, regularisation=0.5)(target, target_labels)
    assert distance.item() == pytest.approx(expected, rel=1e-6)


def test_value_by_hand():
    # One point on each side: the plan is 1, KL is 0, W is |x - z|^2, so C = (9 + 9) / 2; a point to itself costs nothing.
    distance = OTDD(torch.tensor([[0.0, 0.0]]), torch.tensor([5]))(torch.tensor([[3.0, 0.0]]), torch.tensor([7]))
    assert distance.item() == pytest.approx(9.0)
    assert distance.dtype == torch.float32


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_identity_gives_zero(inner, scale):
    features, labels = clouds(60, 4, 5, seed=3)
    shuffled = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    otdd = OTDD(scale * features, labels, inner=inner)
    far = otdd(scale * (features + 1), labels)
    # The names of the labels do not matter, nor does the order of the examples.
    same = otdd(scale * features[shuffled], 7 - labels[shuffled])
    assert abs(same.item()) < 1e-6 * far.item()


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("batch", [25, 50, 70])
def test_symmetric(inner, batch):
    first, first_labels = clouds(50, 4, 3, seed=4)
    second, second_labels = clouds(batch, 3, 3, seed=5, shift=0.3)
    there = OTDD(first, first_labels, inner=inner)(second, second_labels)
    back = OTDD(second, second_labels, inner=inner)(first, first_labels)
    assert there.item() == pytest.approx(back.item(), rel=1e-7)
    assert there.item() > 0


def test_none_means_one_class():
    source, labels = clouds(50, 4, 3, seed=4)
    target, _ = clouds(20, 2, 3, seed=5)
    otdd = OTDD(source, labels)
    assert torch.equal(otdd(target), otdd(target, torch.full((20,), 9)))
    assert otdd(target).item() != pytest.approx(otdd(target, torch.arange(20) % 2).item(), rel=1e-3)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("labelled", [True, False])
def test_gradcheck(inner, labelled):
    source, labels = clouds(15, 3, 3, seed=6)
    target, target_labels = clouds(8, 2, 3, seed=7, shift=0.4)
    otdd = OTDD(source, labels, inner=inner, tolerance=1e-12)
    target.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: otdd(z, target_labels if labelled else None), (target,), eps=1e-5, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("inner", INNER)
def test_gradient_runs_through_the_label_distances(inner):
    source, labels = clouds(12, 2, 3, seed=6)
    target, _ = clouds(1, 1, 3, seed=7, shift=0.4)
    target.requires_grad_()
    OTDD(source, labels, inner=inner, debiased=False)(target).backward()
    # One target point: the plan is uniform, so both |x - z|^2 and W (the mean squared distance to a class, less its spread when Gaussian)
    # have the mean gradient 2 (z - mean x), and C is half their sum.
    torch.testing.assert_close(target.grad[0], 2 * (target.detach()[0] - source.mean(0)))


@pytest.mark.parametrize("inner", INNER)
def test_single_example_classes_and_duplicates(inner):
    source, _ = clouds(9, 3, 4, seed=8)
    source[1] = source[0]
    labels = torch.tensor([0, 0, 1, 2, 2, 2, 2, 3, 4])
    target = torch.stack([source[2]] * 5 + [source[3], source[4]]).requires_grad_()
    target_labels = torch.tensor([0, 0, 0, 0, 0, 1, 2])
    distance = OTDD(source, labels, inner=inner)(target, target_labels)
    distance.backward()
    assert distance.item() == pytest.approx(pot_otdd(source, labels, target.detach(), target_labels, inner), rel=1e-4)
    assert torch.isfinite(target.grad).all()


def test_gaussian_label_distance_for_more_points_than_dimensions_and_fewer():
    generator = torch.Generator().manual_seed(0)
    for count, other in ((3, 30), (30, 3), (40, 50), (4, 3), (1, 12)):
        first, second = torch.randn(count, 6, generator=generator).double(), torch.randn(other, 6, generator=generator).double() + 1
        pair = [otdd_module.Cloud.of(points, gaussian=True) for points in (first, second)]
        expected = pot_label_distance(first.numpy(), second.numpy(), "gaussian")
        # The reference takes roots of eigenvalues that are 0 up to rounding: that costs half the digits.
        assert otdd_module.gaussian_distance(*pair).item() == pytest.approx(expected, rel=1e-6)
        if min(count, other) > 6:
            moments = [value for x in (first, second) for value in (x.mean(0).numpy(), np.cov(x.numpy(), rowvar=False))]
            from_pot = ot.gaussian.bures_wasserstein_distance(moments[0], moments[2], moments[1], moments[3]) ** 2
            assert otdd_module.gaussian_distance(*pair).item() == pytest.approx(from_pot, rel=1e-9)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0, 300.0])
@pytest.mark.parametrize(("size", "batch"), [(100, 33), (64, 64), (20, 50)])
def test_converges_at_any_scale(scale, size, batch):
    source, labels = clouds(size, 4, 8, seed=9)
    target, _ = clouds(batch, 1, 8, seed=10)
    otdd = OTDD(scale * source, labels)
    otdd(scale * target)
    assert otdd.converged
    assert otdd.marginal_error <= 1e-8


def test_sweeps_alone_reach_the_same_value(monkeypatch):
    source, labels = clouds(40, 4, 3, seed=1)
    target, _ = clouds(20, 2, 3, seed=2)
    otdd = OTDD(source, labels, regularisation=1.0)
    newton = otdd(target).item()
    monkeypatch.setattr(otdd_module, "NEWTON_LIMIT", 0)
    assert otdd(target).item() == pytest.approx(newton, rel=1e-8)


def test_gives_up_with_a_warning():
    source, labels = clouds(100, 4, 8, seed=9)
    target, _ = clouds(33, 1, 8, seed=10)
    otdd = OTDD(source, labels, max_iterations=2, debiased=False)
    assert otdd.converged
    with pytest.warns(RuntimeWarning, match="stopped after 2 iterations"):
        otdd(target)
    assert not otdd.converged


@pytest.mark.parametrize("inner", INNER)
def test_source_terms_are_computed_once(inner, monkeypatch):
    counts = {"label": 0, "self": []}
    label, own = getattr(otdd_module, f"{inner}_distance"), otdd_module._symmetric_transport

    def counted_label(*args):
        counts["label"] += 1
        return label(*args)

    def counted_self(cost, *args):
        counts["self"].append(len(cost))
        return own(cost, *args)

    monkeypatch.setattr(otdd_module, f"{inner}_distance", counted_label)
    monkeypatch.setattr(otdd_module, "_symmetric_transport", counted_self)
    source, labels = clouds(60, 6, 4, seed=1)
    target, target_labels = clouds(20, 3, 4, seed=2)
    otdd = OTDD(source, labels, inner=inner)
    assert counts == {"label": 15, "self": [60]}  # 6 x 5 / 2 pairs of source labels
    for _ in range(2):
        counts.update({"label": 0, "self": []})
        otdd(target, target_labels)
        assert counts == {"label": 6 * 3 + 3, "self": [20]}
    counts.update({"label": 0, "self": []})
    otdd(target)
    assert counts == {"label": 6, "self": [20]}


def test_float32_is_computed_in_float64():
    source, labels = clouds(60, 4, 16, seed=1, dtype=torch.float32)
    target, _ = clouds(20, 2, 16, seed=2, dtype=torch.float32)
    # Far from the origin float32 arithmetic would lose all digits of the distances.
    source, target = (source + 1000).requires_grad_(), (target + 1000).requires_grad_()
    distance = OTDD(source, labels)(target)
    distance.backward()
    exact = OTDD(source.detach().double(), labels)(target.detach().double())
    assert distance.dtype == target.grad.dtype == torch.float32
    assert distance.item() == pytest.approx(exact.item(), rel=1e-6)
    assert source.grad is None


def test_refuses_what_does_not_fit():
    source, labels = clouds(10, 2, 3, seed=1)
    for options in ({"inner": "bures"}, {"p": 1}, {"regularisation": 0.0}, {"regularisation": float("nan")}):
        with pytest.raises(UsageError):
            OTDD(source, labels, **options)
    for features, given in (
        (source[:, 0], labels),
        (source, labels[:5]),
        (source[:0], labels[:0]),
        (source, labels.double()),
        (source * torch.nan, labels),
    ):
        with pytest.raises(ValueError, match=r"features|labels"):
            OTDD(features, given)
    otdd = OTDD(source, labels)
    with pytest.raises(ValueError, match="width 2"):
        otdd(source[:, :2])
    with pytest.raises(ValueError, match="need features"):
        otdd(source[:0])
    with pytest.raises(TrainingDivergedError, match="NaN"):
        otdd(source * torch.inf)


@pytest.mark.gpu
def test_same_value_on_the_accelerator():
    if not torch.cuda.is_available():
        pytest.skip("no accelerator")
    source, labels = clouds(60, 4, 16, seed=1, dtype=torch.float32)
    target, _ = clouds(20, 2, 16, seed=2, dtype=torch.float32)
    on_gpu = target.cuda().requires_grad_()
    distance = OTDD(source.cuda(), labels.cuda())(on_gpu)
    distance.backward()
    assert distance.item() == pytest.approx(OTDD(source, labels)(target).item(), rel=1e-5)
