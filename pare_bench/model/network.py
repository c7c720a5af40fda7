"""The network that is fine-tuned: embed, encode, decode as separate calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.embedder import Embedder
from pare_bench.contracts.examples import Examples
from pare_bench.contracts.task import Split


@dataclass(frozen=True)
class Batch:
    """Examples as tensors: ``inputs`` [batch channels *grid], ``targets`` and per-example ``extras``."""

    inputs: Tensor
    targets: Tensor
    extras: Mapping[str, Tensor]


def to_batch(split: Split, device: torch.device | str) -> Batch:
    """Copy a (small) split to tensors on ``device``; stored half-precision inputs become float32, integers stay."""
    return Batch(
        _tensor(split.inputs).to(device), _tensor(split.targets).to(device), {name: _tensor(array).to(device) for name, array in split.extras.items()}
    )


def _tensor(array: Examples) -> Tensor:
    values = np.ascontiguousarray(np.asarray(array))
    # A tensor shares the memory of its array: one that must not be written to is copied.
    tensor = torch.from_numpy(values if values.flags.writeable else values.copy())
    return tensor.float() if tensor.is_floating_point() else tensor


class TransferNetwork(nn.Module):
    """Embedder, backbone and head of the target task; inference is ``decode(encode(embed(x)))`` and nothing else."""

    def __init__(self, embedder: Embedder, backbone: Backbone, head: nn.Module, scale: nn.Module) -> None:
        super().__init__()
        self.embedder = embedder
        self.backbone = backbone
        self.head = head
        self.scale = scale

    def embed(self, inputs: Float[Tensor, "batch channels *grid"]) -> Float[Tensor, "batch tokens dim"]:
        """Inputs to tokens."""
        return self.embedder(inputs)

    def encode(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch places feats"]:
        """Tokens to features."""
        return self.backbone(tokens)

    def decode(self, features: Float[Tensor, "batch places feats"]) -> Tensor:
        """Features to outputs in the units of the target, in single precision at least, whatever the layers computed in."""
        outputs = self.head(features)
        return self.scale(outputs.to(torch.promote_types(outputs.dtype, torch.float32)))

    def forward(self, inputs: Float[Tensor, "batch channels *grid"]) -> Tensor:
        """Inputs to outputs."""
        return self.decode(self.encode(self.embed(inputs)))
