"""The gate of PaRe: one linear layer and, where the score itself is used, a sigmoid; shared by target and source tokens."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from pare_bench.builtin.selectors.relaxation import hard_top_k, relaxed_top_k, straight_through
from pare_bench.contracts.params import Params
from pare_bench.contracts.selector import Selection, Selector
from pare_bench.model.parts import nominal_rows


class GateTopK(Selector):
    """Keeps the k tokens with the largest gate score; no noise.

    With ``straight_through`` the gate receives the gradient of the relaxation (see :mod:`.relaxation`); without it, none.
    """

    class Params(Params):
        """Parameters of ``gate_topk``."""

        temperature: float = Field(0.9, gt=0, description="temperature of the relaxation that carries the gradient")
        straight_through: bool = Field(True, description="let the gate receive gradient")

    def __init__(self, params: Params, *, dim: int) -> None:
        super().__init__(params, dim=dim)
        self.params = params
        self.gate = nn.Linear(dim, 1)

    def logits(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens"]:
        """Return the gate's scores before the sigmoid."""
        # Scores in half precision tie too often to choose by.
        with torch.autocast(tokens.device.type, enabled=False):
            # As a matrix-vector product, which is several times faster than a linear layer of one output.
            return torch.mv(tokens.to(self.gate.weight.dtype).flatten(0, 1), self.gate.weight[0]).view(tokens.shape[:2]) + self.gate.bias

    def forward(self, tokens: Float[Tensor, "batch tokens dim"], k: int) -> Selection:
        """Choose the k best tokens; see the contract."""
        return _select(self.logits(tokens), k, self.params.temperature, gradient=self.params.straight_through)


class GateGumbel(GateTopK):
    """Gumbel top-k while learning, plain top-k when settled (PaRe, both phases).

    While learning (progress below ``learning_share``) Gumbel noise is added and the k largest perturbed scores are a sample without
    replacement (Kool et al., ICML 2019: sorted Gumbel top-k draws from the same distribution of subsets as the sequential relaxation of
    Xie & Ermon, IJCAI 2019). The gradient is that of :func:`.relaxation.relaxed_top_k` at the perturbed scores.

    Corrected (default): noise on the logits, scaled down linearly to 0 over the learned phase, gradient stays on afterwards.
    Published: noise of full scale on the *sigmoid* scores, no gradient once settled.
    """

    class Params(GateTopK.Params):
        """Parameters of ``gate_gumbel``."""

        learning_share: float = Field(1 / 6, ge=0, le=1, description="share of training with noise; published: 10 of 60 epochs (2-D), 5 of 15 (1-D)")
        noise_on: Literal["logits", "sigmoid"] = Field("logits", description="what the noise is added to; published: sigmoid")
        anneal: bool = Field(True, description="scale the noise down to 0 over the learned phase; published: no")
        settled_gradient: bool = Field(True, description="straight-through gradient after the learned phase; published: no")

    params: GateGumbel.Params

    def __init__(self, params: Params, *, dim: int) -> None:
        super().__init__(params, dim=dim)
        self.progress = 0.0

    def advance(self, progress: float) -> None:
        """Move through the phases; the noise scale follows from ``progress``."""
        self.progress = progress

    @property
    def learning(self) -> bool:
        """Whether the learned phase is still on."""
        return self.progress < self.params.learning_share

    def forward(self, tokens: Float[Tensor, "batch tokens dim"], k: int) -> Selection:
        """Choose k tokens; see the contract."""
        scores = self.logits(tokens)
        if self.params.noise_on == "sigmoid":
            scores = torch.sigmoid(scores)
        if self.learning and self.training:
            scale = 1 - self.progress / self.params.learning_share if self.params.anneal else 1.0
            # -log(Exp(1)) is Gumbel(0, 1); the exponential sampler never returns 0, so the logarithm is finite.
            noise = nominal_rows(len(scores), lambda examples: scores.new_empty(examples, scores.shape[1]).exponential_())
            scores = scores - scale * noise.log()
        gradient = self.params.straight_through and (self.learning or self.params.settled_gradient)
        return _select(scores, k, self.params.temperature, gradient=gradient, learning=self.learning)


def _select(scores: Tensor, k: int, temperature: float, *, gradient: bool, learning: bool = False) -> Selection:
    if not 0 <= k <= scores.shape[-1]:
        raise ValueError(f"cannot select k = {k} of {scores.shape[-1]} tokens")
    hard, indices = hard_top_k(scores, k)
    mask = straight_through(hard, relaxed_top_k(scores, k, temperature)) if gradient else hard
    return Selection(mask, indices, scores if gradient else scores.detach(), learning)
