"""Random selection: the control that shows what the gate is worth."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pare_bench.builtin.selectors.relaxation import hard_top_k
from pare_bench.contracts.params import Params
from pare_bench.contracts.selector import Selection, Selector
from pare_bench.model.parts import nominal_rows


class RandomSelector(Selector):
    """Chooses k tokens uniformly at random; learns nothing."""

    def __init__(self, params: Params, *, dim: int) -> None:
        super().__init__(params, dim=dim)

    def forward(self, tokens: Float[Tensor, "batch tokens dim"], k: int) -> Selection:
        """Choose k tokens; see the contract."""
        if not 0 <= k <= tokens.shape[1]:
            raise ValueError(f"cannot select k = {k} of {tokens.shape[1]} tokens")
        scores = nominal_rows(len(tokens), lambda examples: torch.rand(examples, tokens.shape[1], device=tokens.device))
        mask, indices = hard_top_k(scores, k)
        return Selection(mask.to(tokens.dtype), indices, scores.to(tokens.dtype))
