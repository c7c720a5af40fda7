"""The checks of selectors and mixers: each deliberately wrong one must be found out, by the problem that it has."""

from dataclasses import replace

import pytest
import torch
from problems import assert_found

from pare_bench.builtin.mixers.patch_replace import PatchReplace
from pare_bench.builtin.selectors.gate import GateTopK
from pare_bench.builtin.selectors.random import RandomSelector
from pare_bench.conformance import check_mixer, check_selector
from pare_bench.conformance.doubles import ImageBody
from pare_bench.contracts.mixer import Mixed, Mixer
from pare_bench.contracts.selector import Selection, Selector


class OneTooMany(GateTopK):
    def forward(self, tokens, k):
        return super().forward(tokens, min(k + 1, tokens.shape[1]))


class Descending(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        return replace(chosen, indices=chosen.indices.flip(1))


class SoftMask(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        return replace(chosen, mask=chosen.mask * 0.999)


class OtherMask(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        return replace(chosen, mask=chosen.mask.roll(1, dims=1))


class InPlace(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        tokens.data.mul_(2)
        return chosen


class Unseeded(RandomSelector):
    def forward(self, tokens, k):
        with torch.random.fork_rng(devices=[]):
            torch.seed()
            return super().forward(tokens, k)


class NoBounds(Selector):
    def __init__(self, params, *, dim):
        super().__init__(params, dim=dim)

    def forward(self, tokens, k):
        k = min(max(k, 0), tokens.shape[1])
        indices = torch.arange(k).expand(len(tokens), k)
        mask = torch.zeros(tokens.shape[:2], dtype=tokens.dtype).scatter(1, indices, 1.0)
        return Selection(mask, indices, tokens.detach().mean(2))


class Overflowing(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        soft = self.logits(tokens).exp()
        return replace(chosen, mask=chosen.mask.detach() + (soft - soft.detach()).nan_to_num(0))


class WrongPrecision(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        return replace(chosen, mask=chosen.mask.float())


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (OneTooMany, ("exactly k",)),
        (Descending, ("ascend",)),
        (SoftMask, ("exactly 0 and 1",)),
        (OtherMask, ("different tokens",)),
        (InPlace, ("changes its input",)),
        (Unseeded, ("deterministic",)),
        (NoBounds, ("does not raise ValueError",)),
        (Overflowing, ("gradient is not finite",)),
        (WrongPrecision, ("type and device",)),
        (ImageBody, ("not a subclass",)),
        (Selector, ("does not implement",)),
    ],
)
def test_selectors(selector, words):
    assert_found(check_selector(selector), *words)


class WritesIntoTarget(PatchReplace):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        target.data.copy_(mixed.tokens.data)
        return mixed


class Blends(PatchReplace):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, tokens=0.99 * mixed.tokens + 0.01 * target)


class WrongOrigin(PatchReplace):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, origin=mixed.origin.clamp_min(0))


class Swapped(PatchReplace):
    def forward(self, target, source, keep, take):
        return super().forward(target, source.flip(1), keep, take)


class TooMany(PatchReplace):
    def source_count(self, num_tokens, progress):
        return num_tokens + 1


class Share(PatchReplace):
    def source_count(self, num_tokens, progress):
        return num_tokens * 0.5


class WrongShare(PatchReplace):
    def forward(self, target, source, keep, take):
        return replace(super().forward(target, source, keep, take), source_share=0.5)


@pytest.mark.parametrize(
    ("mixer", "words"),
    [
        (WritesIntoTarget, ("changes its inputs",)),
        (Blends, ("bit-identical",)),
        (WrongOrigin, ("origin is not -1",)),
        (Swapped, ("not the source tokens that origin names",)),
        (TooMany, ("leaves [0, tokens]",)),
        (Share, ("float, not int",)),
        (WrongShare, ("source_share",)),
    ],
)
def test_mixers(mixer, words):
    assert_found(check_mixer(mixer), *words)


class Stretch(Mixer):
    """CutMix: neighbouring source tokens, whole, at places of the mixer's own choice."""

    promise = "whole"

    def __init__(self, params):
        super().__init__(params)

    def source_count(self, num_tokens, progress):
        return num_tokens // 2

    def forward(self, target, source, keep, take):
        k = take.indices.shape[1]
        start = int(torch.randint(target.shape[1] - k + 1, ()))
        places = torch.arange(target.shape[1]).expand(len(target), -1)
        inside = (places >= start) & (places < start + k)
        arriving = source[:, : target.shape[1]]
        return Mixed(torch.where(inside[..., None], arriving, target), inside, torch.where(inside, places, -1), k / target.shape[1])


class Mixup(Stretch):
    """Every token is partly source."""

    promise = "blended"

    def forward(self, target, source, keep, take):
        share = take.indices.shape[1] / target.shape[1]
        shares = torch.full(target.shape[:2], share, dtype=target.dtype)
        origin = torch.arange(target.shape[1]).expand(len(target), -1) if share else torch.full(target.shape[:2], -1)
        tokens = (1 - share) * target + share * source[:, : target.shape[1]]
        return Mixed(tokens, shares > 0, origin, share, shares)


class CutMixOfNoPromise(Stretch):
    promise = "selected"


class MixupOfNoPromise(Mixup):
    promise = "whole"


class Overpromising(Stretch):
    promise = "best"


class SoftStretch(Stretch):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, tokens=0.99 * mixed.tokens + 0.01 * target)


class OtherTokens(Stretch):
    def forward(self, target, source, keep, take):
        return super().forward(target, source.flip(1), keep, take)


class Nowhere(Stretch):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, origin=torch.where(mixed.from_source, source.shape[1], -1))


class Uneven(Stretch):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        kept = mixed.from_source.clone()
        kept[0] = False
        return replace(mixed, tokens=torch.where(kept[..., None], mixed.tokens, target), from_source=kept, origin=torch.where(kept, mixed.origin, -1))


class Nothing(Stretch):
    def forward(self, target, source, keep, take):
        nowhere = torch.zeros(target.shape[:2], dtype=torch.bool)
        return Mixed(target.clone(), nowhere, torch.full(target.shape[:2], -1), 0.0)


class OwnPlaces(Stretch):
    def forward(self, target, source, keep, take):
        with torch.random.fork_rng(devices=[]):
            torch.seed()
            return super().forward(target, source, keep, take)


class NoShares(Mixup):
    def forward(self, target, source, keep, take):
        return replace(super().forward(target, source, keep, take), shares=None)


class OtherShares(Mixup):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, shares=mixed.shares / 2, source_share=mixed.source_share / 2)


class TooLarge(Mixup):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, shares=3 * mixed.shares)


class OtherLambda(Mixup):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, source_share=mixed.source_share / 2)


@pytest.mark.parametrize("mixer", [Stretch, Mixup])
def test_mixers_that_do_not_ask_the_selector_conform_by_their_promise(mixer):
    """Seen: neither CutMix, the hook's own example, nor mixup could conform."""
    assert check_mixer(mixer) == []


@pytest.mark.parametrize(
    ("mixer", "words"),
    [
        (CutMixOfNoPromise, ("places that were not kept", 'promise = "whole"')),
        (MixupOfNoPromise, ("shares are for blended tokens", 'promise = "blended"')),
        (Overpromising, ("promise is 'best', not one of selected, whole, blended",)),
        (SoftStretch, ("not the source tokens that origin names",)),
        (OtherTokens, ("not the source tokens that origin names",)),
        (Nowhere, ("origin names source tokens that do not exist",)),
        (Uneven, ("k source tokens in every example",)),
        (Nothing, ("no token is of the source",)),
        (OwnPlaces, ("deterministic",)),
        (NoShares, ("blended tokens need shares",)),
        (OtherShares, ("not (1 - share) target + share source",)),
        (TooLarge, ("shares leave [0, 1]",)),
        (OtherLambda, ("source_share is not the mean of shares",)),
    ],
)
def test_promises(mixer, words):
    assert_found(check_mixer(mixer), *words)
