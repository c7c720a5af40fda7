"""The relaxation against autograd and finite differences, hard selection against sorting, and the phases of the gate."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import expit

from pare_bench.builtin.selectors.gate import GateGumbel, GateTopK
from pare_bench.builtin.selectors.random import RandomSelector
from pare_bench.builtin.selectors.relaxation import hard_top_k, relaxed_top_k, straight_through


def scores(batch, tokens, seed=0, dtype=torch.float64):
    return torch.randn(batch, tokens, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def independent_relaxation(row, k, temperature):
    """SciPy's root finder for the threshold, one row at a time."""

    def surplus(threshold):
        return expit((row - threshold) / temperature).sum() - k

    threshold = brentq(surplus, row.min() - 50 * temperature, row.max() + 50 * temperature, xtol=1e-13)
    return expit((row - threshold) / temperature)


@pytest.mark.parametrize("temperature", [0.05, 0.9, 5.0])
@pytest.mark.parametrize("k", [1, 4, 12])
def test_relaxation_values(k, temperature):
    values = scores(3, 13)
    soft = relaxed_top_k(values, k, temperature)
    expected = np.stack([independent_relaxation(row, k, temperature) for row in values.numpy()])
    np.testing.assert_allclose(soft.numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.3, 0.9])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_relaxation_gradient_by_finite_differences(k, temperature):
    values = scores(2, 7, seed=k).requires_grad_()
    assert torch.autograd.gradcheck(lambda row: relaxed_top_k(row, k, temperature), (values,), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("k", [1, 5, 8])
def test_relaxation_gradient_by_an_unrolled_root_finder(k):
    """Newton's method written out in differentiable operations: near the root its last step carries the implicit derivative."""
    temperature, weight = 0.7, scores(2, 9, seed=5)
    values = scores(2, 9, seed=k).requires_grad_()
    exact = relaxed_top_k(values, k, temperature).detach()
    threshold = (values - temperature * torch.logit(exact)).detach().mean(1, keepdim=True)
    for _ in range(3):
        soft = torch.sigmoid((values - threshold) / temperature)
        threshold = threshold + (soft.sum(1, keepdim=True) - k) * temperature / (soft * (1 - soft)).sum(1, keepdim=True)
    unrolled = torch.sigmoid((values - threshold) / temperature)
    (expected,) = torch.autograd.grad((unrolled * weight).sum(), values)
    (actual,) = torch.autograd.grad((relaxed_top_k(values, k, temperature) * weight).sum(), values)
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-10)


def test_relaxation_gradient_keeps_the_mass():
    values = scores(4, 50).requires_grad_()
    relaxed_top_k(values, 20, 0.9).sum().backward()
    torch.testing.assert_close(values.grad, torch.zeros_like(values), rtol=0, atol=1e-14)


@pytest.mark.parametrize("k", [0, 6])
def test_relaxation_of_nothing_and_all(k):
    values = scores(2, 6).requires_grad_()
    soft = relaxed_top_k(values, k, 0.9)
    assert torch.equal(soft, torch.full_like(values, k / 6))
    soft.sum().backward()
    assert torch.equal(values.grad, torch.zeros_like(values))


@pytest.mark.parametrize("bad", [{"k": -1}, {"k": 7}, {"temperature": 0.0}, {"temperature": -1.0}])
def test_relaxation_refuses(bad):
    with pytest.raises(ValueError, match=r"^(k|temperature) = "):
        relaxed_top_k(scores(2, 6), **{"k": 3, "temperature": 0.9, **bad})


def test_hard_top_k_against_sorting():
    values = scores(5, 40)
    mask, indices = hard_top_k(values, 13)
    for row, chosen, inside in zip(values.numpy(), indices.numpy(), mask.numpy(), strict=True):
        assert chosen.tolist() == sorted(np.argsort(-row, kind="stable")[:13].tolist())
        assert np.flatnonzero(inside).tolist() == chosen.tolist()


def test_ties_go_to_the_earlier_token():
    mask, indices = hard_top_k(torch.tensor([[1.0, 2.0, 1.0, 1.0, 2.0]]), 3)
    assert indices.tolist() == [[0, 1, 4]]
    assert mask.tolist() == [[1, 1, 0, 0, 1]]


def test_straight_through_has_the_value_of_one_and_the_gradient_of_the_other():
    soft = torch.tensor([0.1, 0.7], requires_grad=True)
    out = straight_through(torch.tensor([0.0, 1.0]), soft)
    assert out.tolist() == [0.0, 1.0]
    out.sum().backward()
    assert soft.grad.tolist() == [1.0, 1.0]


def gate(component=GateTopK, **params):
    torch.manual_seed(0)
    return component(component.Params(**params), dim=4)


def tokens(batch=3, count=10):
    return torch.randn(batch, count, 4, generator=torch.Generator().manual_seed(1))


def test_gate_takes_the_best_scored_tokens():
    selector, values = gate(), tokens()
    chosen = selector(values, 4)
    expected = (values @ selector.gate.weight[0] + selector.gate.bias).topk(4, dim=1).indices.sort(dim=1).values
    assert torch.equal(chosen.indices, expected)


def test_gate_receives_the_gradient_of_the_relaxation():
    selector, values = gate(temperature=0.4), tokens()
    weight = torch.randn(3, 10, generator=torch.Generator().manual_seed(2))
    (selector(values, 4).mask * weight).sum().backward()
    logits = (values @ selector.gate.weight[0] + selector.gate.bias).detach().requires_grad_()
    (relaxed_top_k(logits, 4, 0.4) * weight).sum().backward()
    torch.testing.assert_close(selector.gate.weight.grad[0], (logits.grad[..., None] * values).sum((0, 1)))


def test_gate_without_straight_through_receives_none():
    chosen = gate(straight_through=False)(tokens(), 4)
    assert not chosen.mask.requires_grad
    assert not chosen.scores.requires_grad


def test_complement_is_the_rest_and_passes_the_gradient_with_the_other_sign():
    selector, values = gate(), tokens()
    kept = selector(values, 7)
    dropped = kept.complement()
    assert torch.equal(torch.cat([kept.indices, dropped.indices], 1).sort(dim=1).values, torch.arange(10).expand(3, 10))
    assert (dropped.indices.diff(dim=1) > 0).all()
    weight = torch.randn(3, 10, generator=torch.Generator().manual_seed(3))
    (first,) = torch.autograd.grad((kept.mask * weight).sum(), selector.gate.weight, retain_graph=True)
    (second,) = torch.autograd.grad((dropped.mask * weight).sum(), selector.gate.weight)
    torch.testing.assert_close(first, -second)


def gumbel(progress=0.0, training=True, **params):
    selector = gate(GateGumbel, **params)
    selector.train(training)
    selector.advance(progress)
    return selector


def test_gumbel_is_noisy_only_while_learning_and_training():
    values = tokens()
    plain = gate()(values, 4).indices

    def draws(selector):
        torch.manual_seed(7)
        return [selector(values, 4) for _ in range(20)]

    assert len({tuple(map(tuple, each.indices.tolist())) for each in draws(gumbel())}) > 1
    for settled in (gumbel(progress=0.5), gumbel(training=False)):
        assert all(torch.equal(each.indices, plain) for each in draws(settled))
    assert gumbel()(values, 4).learning
    assert not gumbel(progress=1 / 6)(values, 4).learning


def test_gumbel_draws_without_replacement_in_proportion_to_the_exponentials():
    """K = 1: the Gumbel-max trick draws token i with probability softmax(logits)_i."""
    selector = gumbel(anneal=False)
    with torch.no_grad():
        selector.gate.weight.copy_(torch.tensor([[1.0, 0, 0, 0]]))
        selector.gate.bias.zero_()
    logits = torch.tensor([1.5, 0.0, -1.0, 0.5])
    values = torch.zeros(40_000, 4, 4)
    values[..., 0] = logits
    torch.manual_seed(0)
    counts = torch.bincount(selector(values, 1).indices[:, 0], minlength=4) / 40_000
    torch.testing.assert_close(counts, torch.softmax(logits, 0), rtol=0, atol=0.012)


def test_noise_is_annealed_linearly():
    values = tokens(batch=400)

    def noise(progress, **params):
        selector = gumbel(progress=progress, learning_share=0.5, **params)
        torch.manual_seed(1)
        return selector(values, 4).scores - selector.logits(values)

    full, half = noise(0.0), noise(0.25)
    torch.testing.assert_close(half, full / 2, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(noise(0.25, anneal=False), full, rtol=1e-4, atol=1e-4)
    assert full.std().item() == pytest.approx(math.pi / math.sqrt(6), rel=0.05)
    assert full.mean().item() == pytest.approx(0.5772, abs=0.06)


def test_published_noise_lands_on_the_sigmoid():
    values, selector = tokens(), gumbel(progress=0.5, noise_on="sigmoid")
    torch.testing.assert_close(selector(values, 4).scores, torch.sigmoid(selector.logits(values)))


def test_published_gate_learns_nothing_once_settled():
    assert not gumbel(progress=0.5, settled_gradient=False)(tokens(), 4).mask.requires_grad
    assert gumbel(progress=0.0, settled_gradient=False)(tokens(), 4).mask.requires_grad
    assert gumbel(progress=0.5)(tokens(), 4).mask.requires_grad


def test_random_is_uniform():
    selector = RandomSelector(RandomSelector.Params(), dim=4)
    torch.manual_seed(0)
    counts = selector(torch.zeros(20_000, 8, 4), 3).mask.mean(0)
    torch.testing.assert_close(counts, torch.full((8,), 3 / 8), rtol=0, atol=0.012)
    assert not list(selector.parameters())
