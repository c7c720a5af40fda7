"""DEEPCON: a fully convolutional dilated residual network for maps of residue pairs (Adhikari, Bioinformatics 36, 2020)."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.task import Field, InputShape, PairMap
from pare_bench_baselines.experts.expert import Expert, keeps_grid

#: Dilations of successive blocks, over and over.
DILATIONS = (1, 2, 4)


class DilatedBlock(nn.Module):
    """Batch norm, ReLU, 3 x 3 convolution, dropout, ReLU, dilated 3 x 3 convolution, added to the input."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.dilated = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)

    def forward(self, maps: Float[Tensor, "batch width rows columns"]) -> Float[Tensor, "batch width rows columns"]:
        """Return maps of the same shape."""
        return maps + self.dilated(F.relu(self.dropout(self.conv(F.relu(self.norm(maps))))))


class DilatedResNet(nn.Module):
    """A 1 x 1 convolution to ``width`` channels, ``blocks`` dilated blocks and a last convolution to one map; no grid is ever reduced.

    Differs from the published network: no ReLU at the end, since outputs are in units of the training distances, and maps of pairs are
    symmetrised.
    """

    def __init__(self, inputs: InputShape, target: Field | PairMap, blocks: int, width: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.symmetric = isinstance(target, PairMap)
        self.enter = nn.Sequential(nn.BatchNorm2d(inputs.channels), nn.ReLU(), nn.Conv2d(inputs.channels, width, 1))
        self.blocks = nn.Sequential(*(DilatedBlock(width, DILATIONS[number % len(DILATIONS)], dropout) for number in range(blocks)))
        self.leave = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, inputs: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch rows columns"]:
        """Return one value per pair (or place)."""
        values = self.leave(self.blocks(self.enter(inputs))).squeeze(1)
        return (values + values.transpose(1, 2)) / 2 if self.symmetric else values


DILATED_RESNET = Expert(
    name="dilated_resnet",
    citation="Adhikari, DEEPCON: protein contact prediction using dilated convolutional neural networks with dropout, Bioinformatics 36, 2020",
    tasks=("psicov",),
    build=DilatedResNet,
    misfit=keeps_grid(channels=1),
    sizes={
        "tiny": {"blocks": 3, "width": 8},
        "small": {"blocks": 6, "width": 16, "dropout": 0.1},
        "published": {"blocks": 128, "width": 64},
    },
    recipes={
        "tiny": {"recipe.learning_rate": 5e-3, "recipe.batch_size": 4, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 5e-3, "recipe.batch_size": 4, "budget.epochs": 5},
        "published": {
            "recipe.optimiser": "adam",
            "recipe.learning_rate": 1e-3,
            "recipe.weight_decay": 0.0,
            "recipe.batch_size": 2,
            "recipe.clip_norm": None,
            "recipe.warmup": 0.0,
            "recipe.schedule": "constant",
            "budget.epochs": 64,
        },
    },
)
