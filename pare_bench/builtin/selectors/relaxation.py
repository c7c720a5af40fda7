"""A relaxation of top-k whose mass is exactly k.

Soft inclusion of item i is ``p_i = sigmoid((s_i - theta) / temperature)`` with the one threshold ``theta`` for which the p_i sum to k. Every
p_i lies in [0, 1] (the successive softmaxes of Xie & Ermon, IJCAI 2019, give single items more than 1), it costs O(N) per step of a
safeguarded Newton search instead of O(k N), and its gradient follows from the implicit function theorem: with
``w = p (1 - p) / temperature``, ``dp_i/ds_j = w_i (delta_ij - w_j / sum(w))``, so the mass stays k to first order.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_ITERATIONS = 60
_TOLERANCE = 1e-12


class _Relaxation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, k: int, temperature: float) -> Tensor:
        # The threshold is found in double precision: near saturation the mass is flat in theta and single precision would miss k.
        exact = scores.double()
        offset = temperature * math.log(k / (scores.shape[-1] - k))
        low = exact.amin(-1, keepdim=True) - offset
        high = exact.amax(-1, keepdim=True) - offset
        # The k-th largest score is where the hard choice falls: a few steps from where the soft one does.
        threshold = exact.kthvalue(scores.shape[-1] - k + 1, dim=-1, keepdim=True).values.clamp(low, high)
        # Newton's method inside a shrinking bracket: a handful of steps where the mass is smooth, bisection where it is flat.
        for _ in range(_ITERATIONS):
            soft = torch.sigmoid((exact - threshold) / temperature)
            slope = soft * (1 - soft) / temperature
            excess = soft.sum(-1, keepdim=True) - k
            if excess.abs().max() <= _TOLERANCE * k:
                break
            low = torch.where(excess > 0, threshold, low)
            high = torch.where(excess > 0, high, threshold)
            newton = threshold + excess / slope.sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
            threshold = torch.where((newton > low) & (newton < high), newton, (low + high) / 2)
        ctx.save_for_backward(slope)
        return soft.to(scores.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        exact = gradient.double()
        # All slopes vanish when every score is far from the threshold: then nothing moves and the gradient is 0, not 0 / 0.
        total = slope.sum(-1, keepdim=True).clamp_min(torch.finfo(slope.dtype).tiny)
        mean = (slope * exact).sum(-1, keepdim=True) / total
        return (slope * (exact - mean)).to(gradient.dtype), None, None


def relaxed_top_k(scores: Float[Tensor, "batch tokens"], k: int, temperature: float) -> Float[Tensor, "batch tokens"]:
    """Return soft inclusions in [0, 1] that sum to ``k`` in each row; for k = 0 and k = tokens they are exactly 0 and 1.

    Raises:
        ValueError: ``k`` is outside [0, tokens] or ``temperature`` is not positive.
    """
    tokens = scores.shape[-1]
    if not 0 <= k <= tokens:
        raise ValueError(f"k = {k} is outside [0, {tokens}]")
    if temperature <= 0:
        raise ValueError(f"temperature = {temperature} is not positive")
    if k in (0, tokens):
        return scores * 0 + float(k == tokens)
    return _Relaxation.apply(scores, k, temperature)


def hard_top_k(scores: Float[Tensor, "batch tokens"], k: int) -> tuple[Tensor, Tensor]:
    """Return the 0/1 mask [batch tokens] and ascending indices [batch k] of the ``k`` largest scores; ties go to the earlier token."""
    values = scores.detach()
    tokens = values.shape[-1]
    if k in (0, tokens):
        chosen = torch.full_like(values, k == tokens, dtype=torch.bool)
    else:
        # Selecting the k-th value is cheaper than sorting; whoever equals it shares the places that are left, from left to right.
        threshold = values.kthvalue(tokens - k + 1, dim=-1, keepdim=True).values
        above, level = values > threshold, values == threshold
        chosen = above | (level & (level.cumsum(-1) <= k - above.sum(-1, keepdim=True)))
    # Reading the mask from left to right gives the indices in ascending order.
    return chosen.to(values.dtype), chosen.nonzero()[:, -1].reshape(*values.shape[:-1], k)


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Return ``hard`` in value, with the gradient of ``soft``. The bracket is exactly 0, so the value is exactly ``hard``."""
    return hard + (soft - soft.detach())
