"""What holds for any scores: exactly k, mass k, inclusions in [0, 1], finite gradients, no dependence on a shift or on the order of tokens."""

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis.extra.numpy import arrays

from pare_bench.builtin.selectors.gate import GateGumbel, GateTopK
from pare_bench.builtin.selectors.random import RandomSelector
from pare_bench.builtin.selectors.relaxation import hard_top_k, relaxed_top_k

TEMPERATURES = st.floats(0.02, 10)
EXAMPLES = settings(max_examples=60, deadline=None)


@st.composite
def scores_and_k(draw, size=1e4):
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 40)))
    values = draw(arrays(np.float64, shape, elements=st.floats(-size, size)))
    return torch.from_numpy(values), draw(st.integers(0, shape[1]))


@EXAMPLES
@given(scores_and_k(), TEMPERATURES)
def test_relaxation_has_mass_k_and_inclusions_in_the_unit_interval(case, temperature):
    scores, k = case
    soft = relaxed_top_k(scores, k, temperature)
    assert ((soft >= 0) & (soft <= 1)).all()
    # Each bisection halves the interval of the threshold; what 50 of them leave of a range R is R / 2^50, over the temperature.
    allowed = 1e-6 + scores.shape[1] * float(scores.max() - scores.min() + 1) / temperature * 2**-50
    assert (soft.sum(1) - k).abs().max() <= allowed


@EXAMPLES
@given(scores_and_k(size=20), TEMPERATURES)
def test_relaxation_has_mass_k_to_a_millionth_at_the_scores_of_a_gate(case, temperature):
    scores, k = case
    assert (relaxed_top_k(scores, k, temperature).sum(1) - k).abs().max() <= 1e-6
    assert (relaxed_top_k(scores.float(), k, temperature).sum(1) - k).abs().max() <= 1e-5 * max(1, k)


@EXAMPLES
@given(scores_and_k(), TEMPERATURES, st.sampled_from([torch.float32, torch.float64]))
def test_relaxation_gradients_are_finite_and_bounded(case, temperature, dtype):
    scores, k = case
    leaf = scores.to(dtype).requires_grad_()
    weight = torch.linspace(-1, 1, leaf.shape[1], dtype=dtype)
    (relaxed_top_k(leaf, k, temperature) * weight).sum().backward()
    assert torch.isfinite(leaf.grad).all()
    # |dp/ds| <= w_i <= 1 / (4 temperature), for weights that differ by at most 2.
    assert leaf.grad.abs().max() <= 0.5 / temperature + 1e-6


@EXAMPLES
@given(scores_and_k(size=50), TEMPERATURES, st.floats(-100, 100))
def test_relaxation_ignores_a_shift(case, temperature, shift):
    scores, k = case
    torch.testing.assert_close(relaxed_top_k(scores + shift, k, temperature), relaxed_top_k(scores, k, temperature), rtol=0, atol=1e-7)


@EXAMPLES
@given(scores_and_k(size=50), TEMPERATURES, st.randoms(use_true_random=False))
def test_relaxation_follows_the_tokens(case, temperature, random):
    scores, k = case
    order = list(range(scores.shape[1]))
    random.shuffle(order)
    torch.testing.assert_close(relaxed_top_k(scores[:, order], k, temperature), relaxed_top_k(scores, k, temperature)[:, order], rtol=0, atol=1e-9)


@EXAMPLES
@given(scores_and_k(size=50), TEMPERATURES)
def test_relaxation_grows_with_the_score_and_with_k(case, temperature):
    scores, k = case
    assume(k < scores.shape[1])
    soft = relaxed_top_k(scores, k, temperature)
    rank = scores.argsort(dim=1)
    assert (soft.gather(1, rank).diff(dim=1) >= -1e-12).all()
    assert (relaxed_top_k(scores, k + 1, temperature) >= soft - 1e-9).all()


@EXAMPLES
@given(scores_and_k())
def test_hard_selection_takes_exactly_k_and_none_better_is_left(case):
    scores, k = case
    mask, indices = hard_top_k(scores, k)
    assert indices.shape == (len(scores), k)
    assert (indices.diff(dim=1) > 0).all()
    assert torch.equal(mask, torch.zeros_like(scores).scatter(1, indices, 1.0))
    if 0 < k < scores.shape[1]:
        worst_taken = scores.masked_fill(mask == 0, np.inf).amin(1)
        best_left = scores.masked_fill(mask == 1, -np.inf).amax(1)
        assert (worst_taken >= best_left).all()


SELECTORS = st.sampled_from([GateTopK, GateGumbel, RandomSelector])


@EXAMPLES
@given(SELECTORS, st.integers(1, 3), st.integers(1, 30), st.data(), st.booleans(), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_selectors_take_exactly_k(component, batch, count, data, training, progress, seed):
    k = data.draw(st.integers(0, count))
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        selector = component(component.Params(), dim=5).train(training)
        selector.advance(progress)
        tokens = (torch.randn(batch, count, 5, generator=generator) * 10 ** data.draw(st.integers(-3, 4))).requires_grad_()
        chosen = selector(tokens, k)
    assert chosen.indices.shape == (batch, k)
    assert ((chosen.mask == 0) | (chosen.mask == 1)).all()
    assert (chosen.mask.sum(1) == k).all()
    assert (chosen.mask.gather(1, chosen.indices) == 1).all()
    both = torch.cat([chosen.indices, chosen.complement().indices], 1).sort(dim=1).values
    assert torch.equal(both, torch.arange(count).expand(batch, count))
    if chosen.mask.requires_grad:
        (chosen.mask * torch.randn(batch, count, generator=generator)).sum().backward()
        assert torch.isfinite(tokens.grad).all()
        assert all(torch.isfinite(parameter.grad).all() for parameter in selector.parameters())
