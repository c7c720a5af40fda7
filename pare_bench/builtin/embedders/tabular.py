"""The embedder of tables: every feature of a row becomes a token of its own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.embedder import Embedder
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import InputShape


class Tabular(Embedder):
    """Token of feature j = norm(W_j x_j + b_j), after the feature tokenizer of FT-Transformer (Gorishniy et al., NeurIPS 2021).

    ``x_j`` are the channels of the feature: a scaled number has one weight vector, a one-hot category one vector per category, a missing value
    one. Unlike a convolution, whose kernel is shared, every feature has its own ``W_j``: columns of a table have nothing in common but their row.

    ``b_j`` starts as the backbone's position j (which here only says which feature it is) and the norm as the backbone's; ``W_j`` starts at the
    scale of the positions. A row of more features than the backbone has positions, or than ``max_tokens``, has neighbouring ones summed.
    """

    class Params(Params):
        """Parameters of ``tabular``."""

        max_tokens: int = Field(128, ge=1, description="largest number of tokens; a wider table has several features in a token")

    def __init__(self, params: Params, *, inputs: InputShape, backbone: Backbone) -> None:
        super().__init__(params, inputs=inputs, backbone=backbone)
        weights = backbone.embedder_weights()
        (features,) = inputs.grid
        self.group = math.ceil(features / min(params.max_tokens, backbone.grid[0]))
        self.num_tokens = math.ceil(features / self.group)
        self.grid = (self.num_tokens,)
        self.bias = nn.Parameter(weights["position"][: self.num_tokens].clone())
        scale = float(self.bias.detach().std()) / math.sqrt(self.group)
        self.weight = nn.Parameter(scale * torch.randn(features, inputs.channels, backbone.dim))
        self.norm = nn.LayerNorm(backbone.dim)
        with torch.no_grad():
            self.norm.weight.copy_(weights["norm_weight"])
            self.norm.bias.copy_(weights["norm_bias"])

    def forward(self, inputs: Float[Tensor, "batch channels features"]) -> Float[Tensor, "batch tokens dim"]:
        """Project each feature by its own weights, sum groups, add what says which feature it is, normalise."""
        tokens = torch.einsum("bcf,fcd->bfd", inputs, self.weight)
        if self.group > 1:
            tokens = F.pad(tokens, (0, 0, 0, -tokens.shape[1] % self.group)).unflatten(1, (self.num_tokens, self.group)).sum(2)
        return self.norm(tokens + self.bias)
