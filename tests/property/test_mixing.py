"""What holds for any tokens and any choice: whole tokens, each in one place, and counts that follow the curriculum."""

import hypothesis.strategies as st
import torch
from hypothesis import given, settings

from pare_bench.builtin.mixers.curricula import CURRICULA
from pare_bench.builtin.mixers.patch_replace import PatchReplace
from pare_bench.builtin.selectors.relaxation import hard_top_k
from pare_bench.contracts.selector import Selection

EXAMPLES = settings(max_examples=60, deadline=None)
SHARES = st.floats(0, 1)
NAMES = st.sampled_from(sorted(CURRICULA))


@EXAMPLES
@given(NAMES, SHARES, SHARES, st.sampled_from(["exact", "released"]), st.integers(1, 4000), st.lists(SHARES, min_size=2, max_size=8))
def test_counts_are_whole_in_range_and_monotone(name, begin, end, rounding, tokens, moments):
    mixer = PatchReplace(PatchReplace.Params(curriculum=name, begin=begin, end=end, rounding=rounding))
    counts = [mixer.source_count(tokens, moment) for moment in sorted(moments)]
    assert all(isinstance(count, int) for count in counts)
    low, high = sorted((begin, end))
    assert all(int(low * tokens - 1e-6) <= count <= min(tokens, int(high * tokens + 1e-6)) for count in counts)
    assert counts == sorted(counts) or counts == sorted(counts, reverse=True)


@EXAMPLES
@given(SHARES, SHARES, st.integers(1, 4000), SHARES)
def test_reversed_is_linear_backwards(begin, end, tokens, progress):
    forward = PatchReplace(PatchReplace.Params(begin=begin, end=end))
    backward = PatchReplace(PatchReplace.Params(curriculum="reversed", begin=begin, end=end))
    assert abs(backward.source_count(tokens, progress) - forward.source_count(tokens, 1 - progress)) <= 1


@EXAMPLES
@given(NAMES, SHARES, st.integers(1, 500), SHARES)
def test_equal_ends_are_constant(name, share, tokens, progress):
    constant = PatchReplace(PatchReplace.Params(curriculum=name, begin=share, end=share))
    assert abs(constant.source_count(tokens, progress) - int(share * tokens)) <= 1


@st.composite
def mixes(draw):
    batch, tokens, extra = draw(st.integers(1, 3)), draw(st.integers(1, 24)), draw(st.integers(0, 6))
    k = draw(st.integers(0, tokens))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))

    def choice(count, chosen):
        scores = torch.randn(batch, count, generator=generator)
        return Selection(*hard_top_k(scores, chosen), scores, draw(st.booleans()))

    target, source = (torch.randn(batch, count, 3, generator=generator) for count in (tokens, tokens + extra))
    return target, source, choice(tokens, tokens - k), choice(tokens + extra, k)


@EXAMPLES
@given(mixes(), st.sampled_from(["index", "score", "published"]))
def test_every_place_holds_one_whole_token(case, order):
    target, source, keep, take = case
    before = target.clone(), source.clone()
    mixed = PatchReplace(PatchReplace.Params(order=order))(target, source, keep, take)
    assert torch.equal(target, before[0])
    assert torch.equal(source, before[1])
    for row in range(len(target)):
        kept = keep.indices[row].tolist()
        for place in range(target.shape[1]):
            origin = mixed.origin[row, place].item()
            assert (origin == -1) == (place in kept) == (not mixed.from_source[row, place])
            assert torch.equal(mixed.tokens[row, place], target[row, place] if origin == -1 else source[row, origin])
        arrived = mixed.origin[row][mixed.from_source[row]].tolist()
        assert sorted(arrived) == take.indices[row].tolist()
        if order == "index":
            assert arrived == sorted(arrived)
        elif order == "score":
            falling = take.scores[row, arrived].tolist()
            assert falling == sorted(falling, reverse=True)
        elif not take.learning:
            by_target = sorted(mixed.from_source[row].nonzero()[:, 0].tolist(), key=lambda place: keep.scores[row, place].item())
            falling = [take.scores[row, mixed.origin[row, place]].item() for place in by_target]
            assert falling == sorted(falling, reverse=True)
    assert mixed.source_share == take.indices.shape[1] / target.shape[1]
