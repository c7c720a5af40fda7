"""The 1-D embedder: stretches of a sequence become tokens."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.embedder import Embedder
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import InputShape


class Patch1d(Embedder):
    """Strided convolution, position embeddings and layer norm (ORCA's 1-D embedder).

    The stride is the smallest divisor of the length that leaves at most ``target_seq_len`` tokens. A length with no such divisor other than
    itself (a prime) is padded with zeros to the next multiple instead of collapsing into one token. Norm and positions start from the
    backbone's; there is no pretrained kernel for 1-D data.

    ``order: position_norm`` gives norm(convolution + position), the form in which the backbone was trained; the convolution starts at the
    scale of the positions for inputs of unit variance. ``order: norm_position`` is the published norm(convolution) + position, started
    Xavier-uniform with gain sqrt(2): the norm then takes the size of a one-value stretch away, all but its sign.
    """

    class Params(Params):
        """Parameters of ``patch1d``."""

        target_seq_len: int = Field(64, ge=1, description="largest number of tokens; published: 64 (ECG), 512 (Satellite, DeepSEA)")
        order: Literal["position_norm", "norm_position"] = Field("position_norm", description="published: norm_position")

    def __init__(self, params: Params, *, inputs: InputShape, backbone: Backbone) -> None:
        super().__init__(params, inputs=inputs, backbone=backbone)
        self.params = params
        weights = backbone.embedder_weights()
        (length,) = inputs.grid
        limit = min(params.target_seq_len, backbone.grid[0])
        stride, self.padding = _stride(length, limit)
        self.num_tokens = (length + self.padding) // stride
        self.grid = (self.num_tokens,)
        self.project = nn.Conv1d(inputs.channels, backbone.dim, stride, stride=stride)
        self.norm = nn.LayerNorm(backbone.dim)
        self.position = nn.Parameter(weights["position"][: self.num_tokens].clone())
        if params.order == "position_norm":
            nn.init.normal_(self.project.weight, std=float(self.position.detach().std()) / math.sqrt(inputs.channels * stride))
        else:
            nn.init.xavier_uniform_(self.project.weight, gain=math.sqrt(2))
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.norm.weight.copy_(weights["norm_weight"])
            self.norm.bias.copy_(weights["norm_bias"])

    def forward(self, inputs: Float[Tensor, "batch channels length"]) -> Float[Tensor, "batch tokens dim"]:
        """Cut into stretches, project, add positions, normalise."""
        tokens = self.project(F.pad(inputs, (0, self.padding))).transpose(1, 2)
        if self.params.order == "position_norm":
            return self.norm(tokens + self.position)
        return self.norm(tokens) + self.position


def _stride(length: int, limit: int) -> tuple[int, int]:
    """Return (stride, zeros to append) so that at most ``limit`` whole stretches cover ``length``."""
    for stride in range(1, length):
        if length % stride == 0 and length // stride <= limit:
            if length // stride * 4 >= limit or stride == 1:
                return stride, 0
            break  # the smallest fitting divisor wastes most of the allowed tokens: pad instead
    stride = math.ceil(length / limit)
    return stride, -length % stride
