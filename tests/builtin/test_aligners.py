"""The built-in aligners against direct float64 formulas."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pare_bench.builtin.aligners.l2 import L2, L2Released
from pare_bench.builtin.aligners.mmd import Mmd
from pare_bench.builtin.aligners.none import NoAlignment
from pare_bench.builtin.aligners.otdd import OtddExact, OtddGaussian
from pare_bench.builtin.aligners.otdd_released import OtddReleased
from pare_bench.otdd import OTDD

ALIGNERS = (OtddExact, OtddGaussian, OtddReleased, Mmd, L2, L2Released, NoAlignment)


def data(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(40, 6, generator=generator, dtype=torch.float64) + 2
    target = 1.5 * torch.randn(15, 6, generator=generator, dtype=torch.float64) + 1
    return source.to(dtype), torch.arange(40) % 4, target.to(dtype)


def build(aligner, source, labels, **params):
    return aligner(aligner.Params(**params), source_features=source, source_labels=labels)


def direct_mmd(x, z, factors=(0.25, 0.5, 1, 2, 4), bandwidth=None):
    pooled = np.concatenate([x, z])
    squared = ((pooled[:, None] - pooled[None]) ** 2).sum(-1)
    if bandwidth is None:
        bandwidth = squared.sum() / (len(pooled) * (len(pooled) - 1))
    kernel = sum(np.exp(-squared / (bandwidth * factor)) for factor in factors)
    n = len(x)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean(), bandwidth


def test_mmd_against_the_formula():
    source, labels, target = data()
    value = build(Mmd, source, labels)(target)
    assert value.item() == pytest.approx(direct_mmd(source.numpy(), target.numpy())[0], rel=1e-12)
    three = build(Mmd, source, labels, num_bandwidths=3, multiplier=3)(target)
    assert three.item() == pytest.approx(direct_mmd(source.numpy(), target.numpy(), (1 / 3, 1, 3))[0], rel=1e-12)


def test_mmd_gradient_holds_the_bandwidth():
    source, labels, target = data()
    x, z = source.numpy(), target.numpy()
    _, bandwidth = direct_mmd(x, z)
    target.requires_grad_()
    build(Mmd, source, labels)(target).backward()
    for row, column in ((0, 0), (7, 3), (14, 5)):
        moved = [z.copy(), z.copy()]
        moved[0][row, column] += 1e-5
        moved[1][row, column] -= 1e-5
        up, down = (direct_mmd(x, side, bandwidth=bandwidth)[0] for side in moved)
        assert target.grad[row, column].item() == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-10)


def test_mmd_of_equal_sets_is_zero():
    source, labels, _ = data()
    assert build(Mmd, source, labels)(source.flip(0)).item() == pytest.approx(0, abs=1e-12)
    constant = torch.ones(5, 3)
    assert build(Mmd, constant, torch.zeros(5, dtype=torch.int64))(constant[:2]).item() == pytest.approx(0, abs=1e-6)


def test_l2_against_the_formula():
    source, labels, target = data()
    target.requires_grad_()
    value = build(L2, source, labels)(target)
    value.backward()
    gap = target.detach().numpy().mean(0) - source.numpy().mean(0)
    assert value.item() == pytest.approx((gap**2).sum(), rel=1e-12)
    np.testing.assert_allclose(target.grad.numpy(), np.tile(2 * gap / 15, (15, 1)), rtol=1e-12)


def released_l2(feats, source, order):
    """The released objective for one shuffle of the source: groups of the target's size, paired row by row; a smaller group adds nothing."""
    groups = [source[order[start : start + len(feats)]] for start in range(0, len(source), len(feats))]
    total = 0.0
    for place, group in enumerate(groups):
        if len(group) == len(feats) or place == 0:
            total += np.linalg.norm(feats[: len(group)] - group + 1e-6, axis=1).mean()
    return total / len(groups)


@pytest.mark.parametrize("count", [15, 10, 7])
def test_released_l2_is_the_expected_distance_of_random_pairs(count):
    source, labels, target = data()
    x, z = source.numpy(), target.numpy()[:count]
    value = build(L2Released, source, labels)(target[:count])
    rng = np.random.default_rng(0)
    draws = np.array([released_l2(z, x, rng.permutation(len(x))) for _ in range(4000)])
    assert abs(value.item() - draws.mean()) < 4 * draws.std() / np.sqrt(len(draws))
    share = (40 // count) / -(-40 // count)
    distances = np.linalg.norm(z[:, None] - x[None] + 1e-6, axis=-1)
    assert value.item() == pytest.approx(share * distances.mean(), rel=1e-12)
    # 40 examples make two groups of 15 and a smaller third one, which counts in the divisor alone.
    assert share == {15: 2 / 3, 10: 1.0, 7: 5 / 6}[count]


def test_released_l2_with_fewer_source_than_target_examples_and_its_gradient():
    source, labels, target = data()
    target.requires_grad_()
    value = build(L2Released, source[:5], labels[:5])(target)
    value.backward()
    gaps = target.detach().numpy()[:, None] - source[:5].numpy()[None] + 1e-6
    lengths = np.linalg.norm(gaps, axis=-1, keepdims=True)
    assert value.item() == pytest.approx(lengths.mean(), rel=1e-12)
    np.testing.assert_allclose(target.grad.numpy(), (gaps / lengths).mean(1) / 15, rtol=1e-10)


def test_descent_on_released_l2_brings_the_means_together():
    # The mean distance of pairs itself cannot fall below the spread of the two sides.
    source, labels, target = data()
    built = build(L2Released, source, labels)
    shift = torch.full((6,), 3.0, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([shift], lr=0.3)
    for _ in range(60):
        optimiser.zero_grad()
        built(target + shift).backward()
        optimiser.step()
    gap = target.mean(0) - source.mean(0)
    assert (gap + shift).norm() < 0.2 * (gap + 3).norm()


def test_none_is_zero_with_a_gradient():
    source, labels, target = data()
    target[0] = torch.inf
    target.requires_grad_()
    value = build(NoAlignment, source, labels)(target)
    value.backward()
    assert value.item() == 0
    assert torch.equal(target.grad, torch.zeros_like(target))


@pytest.mark.parametrize(("aligner", "inner"), [(OtddExact, "exact"), (OtddGaussian, "gaussian")])
def test_otdd_passes_its_settings_on(aligner, inner):
    source, labels, target = data()
    target_labels = torch.arange(15) % 3
    expected = OTDD(source, labels, inner=inner, regularisation=0.7)(target, target_labels)
    assert torch.equal(build(aligner, source, labels, regularisation=0.7)(target, target_labels), expected)
    assert aligner.Params().regularisation == 0.1
    with pytest.raises(ValidationError):
        aligner.Params(regularisation=0)


@pytest.mark.parametrize("aligner", ALIGNERS)
def test_scalar_of_the_same_type_with_a_gradient_and_without_parameters(aligner):
    source, labels, target = data(torch.float32)
    target.requires_grad_()
    built = build(aligner, source.requires_grad_(), labels)
    value = built(target, torch.arange(15) % 2)
    value.backward()
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert target.grad.shape == target.shape
    assert torch.isfinite(target.grad).all()
    assert source.grad is None
    assert not list(built.parameters())
    # Nothing of the source belongs in a checkpoint.
    assert not built.state_dict()


@pytest.mark.parametrize("aligner", [OtddExact, OtddGaussian, OtddReleased, Mmd, L2])
def test_descent_brings_the_target_closer(aligner):
    source, labels, target = data()
    built = build(aligner, source, labels)
    shift = torch.full((6,), 3.0, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([shift], lr=0.3)
    before = built(target + shift).item()
    for _ in range(30):
        optimiser.zero_grad()
        built(target + shift).backward()
        optimiser.step()
    assert built(target + shift).item() < 0.5 * before
