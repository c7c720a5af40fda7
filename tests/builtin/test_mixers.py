"""Curricula by their published counts, and where each source token lands."""

import pytest
import torch

from pare_bench.builtin.mixers.curricula import CURRICULA, source_share
from pare_bench.builtin.mixers.patch_replace import NoMixing, PatchReplace
from pare_bench.contracts.selector import Selection


def mixer(**params):
    return PatchReplace(PatchReplace.Params(**params))


@pytest.mark.parametrize(
    ("begin", "drop", "epochs", "tokens"),
    [(2000, 1500, 60, 3136), (1000, 500, 60, 3136), (500, 500, 60, 3136), (32, 32, 15, 64), (32, 32, 7, 512)],
)
def test_linear_gives_the_published_counts(begin, drop, epochs, tokens):
    """k(epoch) = int(begin - drop * epoch / epochs), as released."""
    shares = mixer(begin=begin / tokens, end=(begin - drop) / tokens)
    for epoch in range(epochs):
        exact = begin * epochs - drop * epoch
        assert shares.source_count(tokens, epoch / epochs) == exact // epochs, epoch
    assert shares.source_count(tokens, 1.0) == begin - drop


def test_fsd50k_is_short_of_a_token_in_two_epochs_as_released():
    """1500 * 0.67 is 1005.0000000000001 and 1500 * 0.68 is 1020.0000000000001 in double precision."""
    shares = {"begin": 2000 / 3136, "end": 500 / 3136}
    counts = {
        rounding: [mixer(**shares, rounding=rounding).source_count(3136, epoch / 100) for epoch in range(100)] for rounding in ("exact", "released")
    }
    assert counts["released"] == [int(2000 - 1500 * (epoch / 100)) for epoch in range(100)]
    assert {epoch: counts["released"][epoch] for epoch in range(100) if counts["released"][epoch] != counts["exact"][epoch]} == {67: 994, 68: 979}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", [0.8, 0.65, 0.5, 0.35, 0.2]),
        ("reversed", [0.2, 0.35, 0.5, 0.65, 0.8]),
        ("constant", [0.8] * 5),
        ("cosine", [0.8, 0.71213, 0.5, 0.28787, 0.2]),
    ],
)
def test_curricula(name, expected):
    assert [source_share(name, 0.8, 0.2, step / 4) for step in range(5)] == pytest.approx(expected, abs=1e-5)


def test_every_curriculum_is_a_parameter():
    assert set(PatchReplace.Params.model_json_schema()["properties"]["curriculum"]["enum"]) == set(CURRICULA)


@pytest.mark.parametrize("progress", [-0.1, 1.1])
def test_progress_outside_the_training(progress):
    with pytest.raises(ValueError, match="progress"):
        mixer().source_count(100, progress)


def selection(rows, tokens, scores=None, *, learning=False):
    indices = torch.tensor(rows)
    mask = torch.zeros(len(rows), tokens).scatter_(1, indices, 1.0)
    return Selection(mask, indices, torch.zeros(len(rows), tokens) if scores is None else torch.tensor(scores), learning)


def mix(order="index", *, learning=False, kept=None):
    target = -torch.arange(1.0, 6).reshape(1, 5, 1)
    source = torch.arange(10.0, 70, 10).reshape(1, 6, 1)
    keep = selection([[1, 3]], 5, kept)
    take = selection([[0, 2, 5]], 6, [[0.1, 9.0, 0.5, 9.0, 9.0, 0.3]], learning=learning)
    return mixer(order=order)(target, source, keep, take)


def test_index_order():
    mixed = mix()
    assert mixed.tokens.flatten().tolist() == [10, -2, 30, -4, 60]
    assert mixed.origin.tolist() == [[0, -1, 2, -1, 5]]
    assert mixed.from_source.tolist() == [[True, False, True, False, True]]
    assert mixed.source_share == 3 / 5


def test_score_order():
    assert mix("score").tokens.flatten().tolist() == [30, -2, 60, -4, 10]
    assert mix("score").origin.tolist() == [[2, -1, 5, -1, 0]]


def test_published_order_is_by_index_while_learning_and_by_score_afterwards():
    assert torch.equal(mix("published", learning=True).tokens, mix("index").tokens)
    # Places alike in score are filled from left to right.
    assert torch.equal(mix("published").tokens, mix("score").tokens)
    # The target token at place 4 has the lowest score, then place 0, then place 2: they receive the source tokens of score 0.5, 0.3 and 0.1.
    mixed = mix("published", kept=[[0.2, 9.0, 0.8, 9.0, -0.7]])
    assert mixed.tokens.flatten().tolist() == [60, -2, 10, -4, 30]
    assert mixed.origin.tolist() == [[5, -1, 0, -1, 2]]


def test_counts_that_do_not_add_up():
    with pytest.raises(ValueError, match="2 kept and 2 taken tokens do not make 5"):
        mixer()(torch.zeros(1, 5, 1), torch.zeros(1, 6, 1), selection([[1, 3]], 5), selection([[0, 2]], 6))


def test_gradient_reaches_masks_and_tokens():
    target, source = torch.randn(1, 5, 2, requires_grad=True), torch.randn(1, 6, 2, requires_grad=True)
    keep, take = selection([[1, 3]], 5), selection([[0, 2, 5]], 6)
    keep.mask.requires_grad_()
    take.mask.requires_grad_()
    mixer()(target, source, keep, take).tokens.sum().backward()
    assert target.grad[0, :, 0].tolist() == [0, 1, 0, 1, 0]
    assert source.grad[0, :, 0].tolist() == [1, 0, 1, 0, 0, 1]
    # d(token * mask)/d(mask) is the token itself, for the tokens that stay and those that go; of the source only the taken ones are read.
    torch.testing.assert_close(keep.mask.grad, target.sum(2))
    torch.testing.assert_close(take.mask.grad, torch.where(take.mask.bool(), source.sum(2), 0.0))


@pytest.mark.parametrize("order", ["index", "score", "published"])
@pytest.mark.parametrize("keep_gradient", ["all", "kept"])
def test_gradients_are_those_of_the_products(order, keep_gradient):
    """All: of ``target * keep + source * take``. Kept: of the same with the source tokens written into ``target * keep``, as released."""
    generator = torch.Generator().manual_seed(5)
    target, source, weight = (torch.randn(2, count, 3, generator=generator).requires_grad_() for count in (7, 9, 7))
    keep = selection([[1, 3, 6], [0, 2, 3]], 7, torch.randn(2, 7, generator=generator).tolist())
    take = selection([[0, 2, 5, 8], [1, 2, 3, 7]], 9, torch.randn(2, 9, generator=generator).tolist())
    leaves = (target, source, keep.mask.requires_grad_(), take.mask.requires_grad_())
    mixed = mixer(order=order, keep_gradient=keep_gradient)(target, source, keep, take)
    found = torch.autograd.grad((mixed.tokens * weight).sum(), leaves)

    arriving = (source * take.mask.unsqueeze(2)).gather(1, mixed.origin.clamp_min(0).unsqueeze(2).expand(-1, -1, 3))
    stays, at = target * keep.mask.unsqueeze(2), mixed.from_source.unsqueeze(2)
    expected = torch.where(at, arriving, stays) if keep_gradient == "kept" else stays + arriving * at
    torch.testing.assert_close(mixed.tokens, expected)
    for ours, theirs in zip(found, torch.autograd.grad((expected * weight).sum(), leaves), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert bool((found[2][mixed.from_source] == 0).all()) == (keep_gradient == "kept")


def test_none_returns_a_copy():
    nothing, target = NoMixing(NoMixing.Params()), torch.randn(2, 5, 3)
    mixed = nothing(target, torch.randn(2, 6, 3), selection([[0, 1, 2, 3, 4]] * 2, 5), selection([[0]] * 2, 6))
    assert torch.equal(mixed.tokens, target)
    assert mixed.tokens.data_ptr() != target.data_ptr()
    assert not mixed.from_source.any()
    assert (mixed.origin == -1).all()
    assert (nothing.source_count(100, 0.0), mixed.source_share) == (0, 0.0)
