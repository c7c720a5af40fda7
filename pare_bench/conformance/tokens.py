"""Checks of the components that work on tokens: selectors and mixers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from pare_bench.conformance.reporting import class_problems, collect, random_tensor, same_bytes, seeded
from pare_bench.contracts.mixer import Mixed, Mixer
from pare_bench.contracts.params import Params
from pare_bench.contracts.selector import Selection, Selector

BATCH, TOKENS, DIM = 3, 9, 6


def check_selector(component: type[Selector], params: Params | None = None) -> list[str]:
    """Return what keeps ``component`` from being a selector: shapes, exactness, gradients, errors, randomness."""
    return collect(_selector(component, params))


def _selector(component: type[Selector], params: Params | None) -> Iterator[str]:
    faults = list(class_problems(component, Selector))
    yield from faults
    if faults:
        return
    with seeded(0):
        selector = component(component.Params() if params is None else params, dim=DIM)
    for dtype, training, progress, k in product((torch.float32, torch.float64), (True, False), (0.0, 0.5, 1.0), (0, 1, 4, TOKENS)):
        where = f"[k = {k} of {TOKENS}, {dtype}, {'training' if training else 'evaluation'}, progress {progress}]"
        selector.to(dtype).train(training)
        selector.advance(progress)
        tokens = random_tensor(BATCH, TOKENS, DIM, seed=k, dtype=dtype)
        untouched = tokens.clone()
        with seeded(1):
            chosen = selector(tokens, k)
        with seeded(1):
            again = selector(tokens, k)
        yield from selection_problems(chosen, tokens, k, where)
        if not same_bytes(tokens, untouched):
            yield f"changes its input {where}"
        if not (torch.equal(chosen.indices, again.indices) and torch.equal(chosen.mask, again.mask)):
            yield f"is not deterministic under a seed: draw from torch's default generator only {where}"
    yield from _bounds(selector)
    for scale in (1.0, 1e4):
        yield from _gradients(selector, scale)


def selection_problems(chosen: Selection, tokens: Tensor, k: int, where: str) -> Iterator[str]:
    """Yield what is wrong with one selection of ``k`` of ``tokens`` [batch tokens dim]."""
    batch, count, _ = tokens.shape
    mask, indices = chosen.mask.detach(), chosen.indices
    if mask.shape != (batch, count) or chosen.scores.shape != (batch, count):
        yield f"mask or scores do not have shape [batch tokens] {where}"
        return
    if indices.shape != (batch, k) or indices.dtype != torch.int64:
        yield f"indices are not int64 of shape [batch k]: exactly k must be chosen {where}"
        return
    if mask.dtype != tokens.dtype or mask.device != tokens.device or indices.device != tokens.device:
        yield f"mask and indices do not follow type and device of the tokens {where}"
    if not bool(((mask == 0) | (mask == 1)).all()):
        yield f"mask has values other than exactly 0 and 1 {where}"
    if k and not bool(((indices >= 0) & (indices < count)).all()):
        yield f"indices leave the range of the tokens {where}"
    elif not torch.equal(torch.zeros_like(mask).scatter(1, indices, 1.0), mask):
        yield f"mask and indices choose different tokens {where}"
    if not bool((indices.diff(dim=1) > 0).all()):
        yield f"indices do not ascend {where}"
    if not bool(torch.isfinite(chosen.scores).all()):
        yield f"scores are not finite {where}"


def _bounds(selector: Selector) -> Iterator[str]:
    for k in (-1, TOKENS + 1):
        try:
            selector(random_tensor(1, TOKENS, DIM, dtype=torch.float64), k)
        except ValueError:
            continue
        yield f"does not raise ValueError for k = {k} of {TOKENS}"


def _gradients(selector: Selector, scale: float) -> Iterator[str]:
    where = f"[tokens of size {scale:g}]"
    selector.float().train()
    for progress in (0.0, 1.0):
        selector.advance(progress)
        selector.zero_grad()
        tokens = (scale * random_tensor(BATCH, TOKENS, DIM)).requires_grad_()
        with seeded(2):
            chosen = selector(tokens, 4)
        yield from selection_problems(chosen, tokens, 4, where)
        if not chosen.mask.requires_grad:
            continue
        (chosen.mask * random_tensor(BATCH, TOKENS, seed=3)).sum().backward()
        gradients = [leaf.grad for leaf in (tokens, *selector.parameters()) if leaf.grad is not None]
        if not all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
            yield f"gradient is not finite {where}"


def check_mixer(component: type[Mixer], params: Params | None = None) -> list[str]:
    """Return what keeps ``component`` from being a mixer: counts in range, whole tokens in the right places, inputs left alone."""
    return collect(_mixer(component, params))


def _mixer(component: type[Mixer], params: Params | None) -> Iterator[str]:
    faults = list(class_problems(component, Mixer))
    yield from faults
    if faults:
        return
    with seeded(0):
        mixer = component(component.Params() if params is None else params)
    asked = set()
    for count, step in product((1, TOKENS, 64), range(11)):
        k = mixer.source_count(count, step / 10)
        where = f"[{count} tokens, progress {step / 10}]"
        if not isinstance(k, int):
            yield f"source_count gives {type(k).__name__}, not int {where}"
            return
        if not 0 <= k <= count:
            yield f"source_count leaves [0, tokens] {where}"
        elif count == TOKENS:
            asked.add(k)
    # A source with fewer tokens than asked for lowers k, so a mixer that ever mixes must do so at any smaller k, too.
    for k, dtype in product(range(max(asked, default=0) + 1), (torch.float32, torch.float64)):
        yield from _mixes(mixer, k, dtype)


def random_selection(count: int, k: int, *, seed: int, dtype: torch.dtype = torch.float32) -> Selection:
    """Return ``k`` random tokens of ``count`` for each of ``BATCH`` examples, with a mask that can receive gradient."""
    scores = random_tensor(BATCH, count, seed=seed, dtype=dtype)
    indices = scores.argsort(dim=1)[:, :k].sort(dim=1).values
    return Selection(torch.zeros_like(scores).scatter(1, indices, 1.0).requires_grad_(), indices, scores)


def _mixes(mixer: Mixer, k: int, dtype: torch.dtype) -> Iterator[str]:
    where = f"[k = {k} of {TOKENS}, {dtype}]"
    target = random_tensor(BATCH, TOKENS, DIM, seed=1, dtype=dtype).requires_grad_()
    source = random_tensor(BATCH, TOKENS + 2, DIM, seed=2, dtype=dtype).requires_grad_()
    keep, take = random_selection(TOKENS, TOKENS - k, seed=3, dtype=dtype), random_selection(TOKENS + 2, k, seed=4, dtype=dtype)
    before = [tensor.detach().clone() for tensor in (target, source, keep.mask, take.mask, keep.indices, take.indices)]
    with seeded(5):
        mixed = mixer(target, source, keep, take)
    after = (target, source, keep.mask, take.mask, keep.indices, take.indices)
    if not all(same_bytes(old, new.detach()) for old, new in zip(before, after, strict=True)):
        yield f"changes its inputs {where}"
    if mixed.tokens.data_ptr() == target.data_ptr():
        yield f"returns the target's own tensor, not a new one {where}"
    yield from _mixed(mixed, target, source, keep=keep, take=take, where=where)
    mixed.tokens.square().sum().backward()
    if target.grad is None or not bool(torch.isfinite(target.grad).all()):
        yield f"target tokens receive no finite gradient {where}"


def _mixed(mixed: Mixed, target: Tensor, source: Tensor, *, keep: Selection, take: Selection, where: str) -> Iterator[str]:
    k = take.indices.shape[1]
    places = keep.mask.detach() == 0
    if mixed.tokens.shape != target.shape or mixed.tokens.dtype != target.dtype:
        yield f"mixed tokens do not have shape and type of the target tokens {where}"
        return
    if mixed.from_source.dtype != torch.bool or mixed.from_source.shape != places.shape or mixed.origin.shape != places.shape:
        yield f"from_source [batch tokens] bool or origin [batch tokens] has another shape or type {where}"
        return
    if not torch.equal(mixed.from_source, places):
        yield f"from_source is not True at exactly the {k} places that were not kept {where}"
        return
    if not same_bytes(mixed.tokens[~places].detach(), target[~places].detach()):
        yield f"kept target tokens are not bit-identical {where}"
    if not bool((mixed.origin[~places] == -1).all()):
        yield f"origin is not -1 at target tokens {where}"
    origin = mixed.origin[places].reshape(len(target), k)
    if not torch.equal(origin.sort(dim=1).values, take.indices):
        yield f"origin does not name each taken source token once {where}"
        return
    if not same_bytes(mixed.tokens[places].detach(), source.gather(1, origin[..., None].expand(-1, -1, source.shape[-1])).flatten(0, 1).detach()):
        yield f"tokens from the source are not the source tokens that origin names {where}"
    if abs(mixed.source_share - k / target.shape[1]) > 1e-9:
        yield f"source_share is not k / tokens {where}"
