"""Patch replacement: source tokens stand, whole, where target tokens gave way (PaRe, step 4)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from pare_bench.builtin.mixers.curricula import source_share
from pare_bench.contracts.mixer import Mixed, Mixer
from pare_bench.contracts.params import Params
from pare_bench.contracts.selector import Selection


class PatchReplace(Mixer):
    """Replaces tokens without blending their values; always a new tensor.

    The j-th chosen source token goes to the j-th free place: places ascending, source tokens ascending (``order: index``) or by falling
    score (``order: score``). ``order: published`` is what the released code does: index order while the selector learns; afterwards source tokens by
    falling score into places by ascending score of the target token that stood there.
    """

    class Params(Params):
        """Parameters of ``patch_replace``; shares are of the number of target tokens."""

        curriculum: Literal["linear", "constant", "cosine", "reversed"] = Field("linear", description="how the share moves from begin to end")
        begin: float = Field(2000 / 3136, ge=0, le=1, description="source share at the start; published 2-D: 2000 of 3136")
        end: float = Field(500 / 3136, ge=0, le=1, description="source share at the end; published 2-D: 500 of 3136")
        order: Literal["index", "score", "published"] = Field("index", description="order in which source tokens fill the free places")
        rounding: Literal["exact", "released"] = Field(
            "exact", description="k of the linear curriculum: exact, or as the released code rounds (1 token less in 2 of FSD50K's 100 epochs)"
        )
        keep_gradient: Literal["all", "kept"] = Field(
            "all", description="target tokens whose choice receives gradient; published: kept ones, since overwriting in place cuts off the others"
        )

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self.params = params

    def source_count(self, num_tokens: int, progress: float) -> int:
        """Return k(p) = int(N * share(p)); the small addition keeps 500/3136 * 3136 from rounding down to 499.

        ``rounding: released`` is int(begin - drop * p) in counts of tokens: 2000 - 1500 * 0.67 is 994.9999999999999 in double precision, so 994.
        """
        if self.params.rounding == "released" and self.params.curriculum == "linear":
            begin, drop = (_whole(num_tokens * share) for share in (self.params.begin, self.params.begin - self.params.end))
            return max(0, min(num_tokens, int(begin - drop * progress)))
        share = source_share(self.params.curriculum, self.params.begin, self.params.end, progress)
        return min(num_tokens, int(num_tokens * share + 1e-9))

    def forward(
        self,
        target: Float[Tensor, "batch tokens dim"],
        source: Float[Tensor, "batch source_tokens dim"],
        keep: Selection,
        take: Selection,
    ) -> Mixed:
        """Mix; see the contract.

        Raises:
            ValueError: kept and taken tokens do not add up to the number of target tokens.
        """
        batch, tokens, _ = target.shape
        k = take.indices.shape[1]
        if keep.indices.shape[1] + k != tokens:
            raise ValueError(f"{keep.indices.shape[1]} kept and {k} taken tokens do not make {tokens}")
        from_source = torch.ones(batch, tokens, dtype=torch.bool, device=target.device).scatter_(1, keep.indices, False)
        places = from_source.nonzero()[:, 1].reshape(batch, k)
        chosen = take.indices
        as_released = self.params.order == "published" and not take.learning
        if as_released or self.params.order == "score":
            chosen = _by_score(chosen, take.scores, descending=True)
        if as_released:
            places = _by_score(places, keep.scores, descending=False)
        everywhere = self.params.keep_gradient == "all"
        mixed = _Replace.apply(target, source.to(target.dtype), keep.mask, take.mask.gather(1, chosen), places, chosen, everywhere)
        origin = torch.full((batch, tokens), -1, dtype=torch.long, device=target.device).scatter_(1, places, chosen)
        return Mixed(mixed, from_source, origin, k / tokens)


def _whole(count: float) -> float:
    """Return a count of tokens without the rounding of its share: 3136 * (500 / 3136) is 500."""
    return float(round(count)) if abs(count - round(count)) < 1e-6 else count


def _by_score(indices: Int[Tensor, "batch k"], scores: Float[Tensor, "batch tokens"], *, descending: bool) -> Int[Tensor, "batch k"]:
    """Return each example's ``indices`` in the order of their scores; of equal ones the earlier goes first."""
    return indices.gather(1, scores.detach().gather(1, indices).argsort(dim=1, descending=descending, stable=True))


class _Replace(torch.autograd.Function):
    """``target * keep + scatter(source[chosen] * take)`` for masks that are 0 and 1 in value, without forming the products.

    Forward copies once and overwrites k places. Backward is that of the products: the masks receive the inner product of the gradient with
    what they multiply, which is how the selector learns. Not ``everywhere``: ``keep`` receives 0 at the overwritten places, as it does when the
    source tokens are written into the product.
    """

    @staticmethod
    def forward(
        ctx: Any,
        target: Tensor,
        source: Tensor,
        keep: Tensor,  # noqa: ARG004 - its value is in places
        take: Tensor,
        places: Tensor,
        chosen: Tensor,
        everywhere: bool,
    ) -> Tensor:
        # Rows of the flattened batch: copying whole rows is several times faster than indexing by (example, token).
        example = torch.arange(len(target), device=target.device).unsqueeze(1)
        to_rows, from_rows = (example * target.shape[1] + places).flatten(), (example * source.shape[1] + chosen).flatten()
        arriving = source.flatten(0, 1).index_select(0, from_rows)
        mixed = target.flatten(0, 1).index_copy(0, to_rows, arriving).view(target.shape)
        ctx.save_for_backward(target, arriving, to_rows, from_rows)
        ctx.source_shape, ctx.take_shape, ctx.everywhere = source.shape, take.shape, everywhere
        return mixed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        target, arriving, to_rows, from_rows = ctx.saved_tensors
        wants_target, wants_source, wants_keep, wants_take, *_ = ctx.needs_input_grad
        at_places = gradient.flatten(0, 1).index_select(0, to_rows)
        for_keep = torch.einsum("btd,btd->bt", gradient, target) if wants_keep else None
        if for_keep is not None and not ctx.everywhere:
            for_keep = for_keep.flatten().index_fill(0, to_rows, 0.0).view(for_keep.shape)
        for_take = torch.einsum("rd,rd->r", at_places, arriving).view(ctx.take_shape) if wants_take else None
        for_target = for_source = None
        if wants_source:
            for_source = gradient.new_zeros(ctx.source_shape).flatten(0, 1).index_copy_(0, from_rows, at_places).view(ctx.source_shape)
        if wants_target:
            for_target = gradient.flatten(0, 1).index_fill(0, to_rows, 0.0).view(gradient.shape)
        return for_target, for_source, for_keep, for_take, None, None, None


class NoMixing(Mixer):
    """Never takes a source token: the control in which the mixed pass is a second pass over the target."""

    def __init__(self, params: Params) -> None:
        super().__init__(params)

    def source_count(self, num_tokens: int, progress: float) -> int:  # noqa: ARG002 - the contract's signature
        """Return 0."""
        return 0

    def forward(
        self,
        target: Float[Tensor, "batch tokens dim"],
        source: Float[Tensor, "batch source_tokens dim"],  # noqa: ARG002 - the contract's signature
        keep: Selection,  # noqa: ARG002
        take: Selection,  # noqa: ARG002
    ) -> Mixed:
        """Return a copy of the target tokens."""
        nowhere = torch.zeros(target.shape[:2], dtype=torch.bool, device=target.device)
        return Mixed(target.clone(), nowhere, torch.full(target.shape[:2], -1, dtype=torch.long, device=target.device), 0.0)
