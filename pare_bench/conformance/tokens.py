"""Checks of the components that work on tokens: selectors and mixers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import get_args

import torch
from torch import Tensor

from pare_bench.conformance.reporting import class_problems, collect, far_apart, random_tensor, same_bytes, seeded
from pare_bench.contracts.mixer import Mixed, Mixer, Promise
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
    """Return what keeps ``component`` from being a mixer: counts in range, the tokens that its ``promise`` says, inputs left alone."""
    return collect(_mixer(component, params))


def _mixer(component: type[Mixer], params: Params | None) -> Iterator[str]:
    faults = list(class_problems(component, Mixer))
    yield from faults
    if faults:
        return
    with seeded(0):
        mixer = component(component.Params() if params is None else params)
    if mixer.promise not in get_args(Promise):
        yield f"promise is {mixer.promise!r}, not one of {', '.join(get_args(Promise))}"
        return
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
    with seeded(5):
        again = mixer(target, source, keep, take)
    after = (target, source, keep.mask, take.mask, keep.indices, take.indices)
    if not all(same_bytes(old, new.detach()) for old, new in zip(before, after, strict=True)):
        yield f"changes its inputs {where}"
    if mixed.tokens.data_ptr() == target.data_ptr():
        yield f"returns the target's own tensor, not a new one {where}"
    if not same_bytes(mixed.tokens.detach(), again.tokens.detach()):
        yield f"is not deterministic under a seed: draw from torch's default generator only {where}"
    yield from _mixed(mixer, mixed, target, source, keep=keep, take=take, where=where)
    mixed.tokens.square().sum().backward()
    if target.grad is None or not bool(torch.isfinite(target.grad).all()):
        yield f"target tokens receive no finite gradient {where}"


def _mixed(mixer: Mixer, mixed: Mixed, target: Tensor, source: Tensor, *, keep: Selection, take: Selection, where: str) -> Iterator[str]:
    """Yield in what a mix breaks the form that all have, and then the promise of its mixer."""
    places = target.shape[:2]
    if mixed.tokens.shape != target.shape or mixed.tokens.dtype != target.dtype:
        yield f"mixed tokens do not have shape and type of the target tokens {where}"
        return
    if mixed.from_source.dtype != torch.bool or mixed.from_source.shape != places or mixed.origin.shape != places:
        yield f"from_source [batch tokens] bool or origin [batch tokens] has another shape or type {where}"
        return
    if not bool((mixed.origin[~mixed.from_source] == -1).all()):
        yield f"origin is not -1 at target tokens {where}"
    named = mixed.origin[mixed.from_source]
    if not bool(((named >= 0) & (named < source.shape[1])).all()):
        yield f"origin names source tokens that do not exist {where}"
        return
    if mixer.promise == "selected":
        yield from _selected(mixed, keep, take, where)
    if mixer.promise == "blended":
        yield from _blended(mixed, target, source, take, where)
    else:
        yield from _whole(mixed, target, source, take, where)


def _selected(mixed: Mixed, keep: Selection, take: Selection, where: str) -> Iterator[str]:
    """Yield in what the choice of places and tokens is not the selector's."""
    k = take.indices.shape[1]
    free = keep.mask.detach() == 0
    if not torch.equal(mixed.from_source, free):
        yield f'from_source is not True at exactly the {k} places that were not kept: promise = "whole" says that a mixer chooses itself {where}'
        return
    origin = mixed.origin[free].reshape(len(free), k)
    if not torch.equal(origin.sort(dim=1).values, take.indices):
        yield f"origin does not name each taken source token once {where}"


def _whole(mixed: Mixed, target: Tensor, source: Tensor, take: Selection, where: str) -> Iterator[str]:
    """Yield in what tokens are not whole ones, or not as many of the source as the loss is told."""
    moved = mixed.from_source
    if mixed.shares is not None:
        yield f'shares are for blended tokens: promise = "blended" {where}'
    if not same_bytes(mixed.tokens[~moved].detach(), target[~moved].detach()):
        yield f'kept target tokens are not bit-identical: promise = "blended" says that they need not be {where}'
    if not same_bytes(mixed.tokens[moved].detach(), _sources(mixed, source)[moved].to(target.dtype)):
        yield f"tokens from the source are not the source tokens that origin names {where}"
    counts = {int(count) for count in moved.sum(dim=1)}
    if len(counts) > 1 or abs(mixed.source_share - moved.double().mean().item()) > 1e-9:
        yield f"source_share is not k / tokens, k source tokens in every example {where}"
    elif take.indices.shape[1] and not mixed.source_share:
        yield f"no token is of the source where some are asked for {where}"


def _blended(mixed: Mixed, target: Tensor, source: Tensor, take: Selection, where: str) -> Iterator[str]:
    """Yield in what tokens are not the sums that their shares say, or the loss is told another share."""
    shares = mixed.shares
    if shares is None or shares.shape != mixed.from_source.shape or not shares.is_floating_point():
        yield f"blended tokens need shares [batch tokens], floating-point numbers {where}"
        return
    if not bool(((shares >= 0) & (shares <= 1)).all()) or not torch.equal(shares > 0, mixed.from_source):
        yield f"shares leave [0, 1], or are not above 0 exactly where from_source is True {where}"
        return
    weight = shares.detach().double()[..., None]
    if far_apart(mixed.tokens.detach().double(), (1 - weight) * target.detach().double() + weight * _sources(mixed, source).double(), 1e-5):
        yield f"tokens are not (1 - share) target + share source, of the source tokens that origin names {where}"
    if bool((shares.detach().double().mean(dim=1) - mixed.source_share).abs().gt(1e-6).any()):
        yield f"source_share is not the mean of shares in every example {where}"
    elif take.indices.shape[1] and not mixed.source_share:
        yield f"no token has a share of the source where some are asked for {where}"


def _sources(mixed: Mixed, source: Tensor) -> Tensor:
    """Return the source token that origin names for each place [batch tokens dim]; at target tokens, some."""
    return source.detach().gather(1, mixed.origin.clamp_min(0)[..., None].expand(-1, -1, source.shape[-1]))
