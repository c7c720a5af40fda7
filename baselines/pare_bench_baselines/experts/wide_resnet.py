"""Wide residual networks (Zagoruyko and Komodakis, BMVC 2016) for natural images."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.task import Classes, InputShape, Labels
from pare_bench_baselines.experts.expert import Expert, needs


class WideBlock(nn.Module):
    """Two 3 x 3 convolutions after batch norm and ReLU each, dropout between them (figure 1d of the paper); ``stride`` in the first."""

    def __init__(self, before: int, after: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(before), nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(after), nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        # Where width or grid change, the shortcut is a projection of the activated input.
        self.project = None if before == after and stride == 1 else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, maps: Float[Tensor, "batch before height width"]) -> Float[Tensor, "batch after rows columns"]:
        """Return maps of the new width, on a grid ``stride`` times coarser."""
        active = F.relu(self.norm1(maps))
        shortcut = maps if self.project is None else self.project(active)
        return shortcut + self.conv2(self.dropout(F.relu(self.norm2(self.conv1(active)))))


class WideResNet(nn.Module):
    """WRN-``depth``-``width``: three groups of (depth - 4) / 6 blocks with 16, 32 and 64 times ``width`` channels (table 1)."""

    def __init__(self, inputs: InputShape, target: Classes | Labels, depth: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        channels = [16, 16 * width, 32 * width, 64 * width]
        per_group = (depth - 4) // 6
        layers: list[nn.Module] = [nn.Conv2d(inputs.channels, channels[0], 3, 1, 1, bias=False)]
        for group in range(3):
            for place in range(per_group):
                before = channels[group] if place == 0 else channels[group + 1]
                layers.append(WideBlock(before, channels[group + 1], 2 if group > 0 and place == 0 else 1, dropout))
        self.blocks = nn.Sequential(*layers, nn.BatchNorm2d(channels[3]), nn.ReLU())
        self.classify = nn.Linear(channels[3], target.num)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outputs"]:
        """Return logits."""
        return self.classify(self.blocks(inputs).mean((2, 3)))


WIDE_RESNET = Expert(
    name="wide_resnet",
    citation="Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016",
    tasks=("cifar100",),
    build=WideResNet,
    misfit=needs(2, Classes, Labels),
    sizes={
        "tiny": {"depth": 10, "width": 1},
        "small": {"depth": 10, "width": 2},
        "published": {"depth": 28, "width": 10, "dropout": 0.3},
    },
    recipes={
        "tiny": {"recipe.learning_rate": 5e-3, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 5e-3, "recipe.weight_decay": 0.05, "recipe.batch_size": 32, "budget.epochs": 25},
        "published": {
            "recipe.optimiser": "sgd",
            "recipe.learning_rate": 0.1,
            "recipe.momentum": 0.9,
            "recipe.weight_decay": 5e-4,
            "recipe.decayed": "all",
            "recipe.batch_size": 128,
            "recipe.clip_norm": None,
            "recipe.warmup": 0.0,
            "budget.epochs": 200,
        },
    },
)
