"""The VGG-like baseline of FSD50K (Fonseca et al., IEEE/ACM TASLP 30, 2022) for log-mel spectrograms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.task import Classes, InputShape, Labels
from pare_bench_baselines.experts.expert import Expert, needs


class VggLike(nn.Module):
    """Groups of 3 x 3 convolutions with batch norm and ReLU, max pooling between groups; mean and maximum over the last maps, side by side, classify.

    ``groups`` are the widths of the convolutions of each group. Convolutions are not padded, as in the implementation that NAS-Bench-360
    released; ``padded`` keeps the grid instead, for small inputs.
    """

    def __init__(self, inputs: InputShape, target: Classes | Labels, groups: Sequence[Sequence[int]], padded: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = inputs.channels
        for number, group in enumerate(groups):
            layers += [nn.MaxPool2d(2)] if number else []
            for after in group:
                layers += [nn.Conv2d(before, after, 3, padding=int(padded)), nn.BatchNorm2d(after), nn.ReLU()]
                before = after
        self.maps = nn.Sequential(*layers)
        self.classify = nn.Linear(2 * before, target.num)

    def forward(self, inputs: Float[Tensor, "batch channels bands frames"]) -> Float[Tensor, "batch outputs"]:
        """Return logits."""
        maps = self.maps(inputs)
        return self.classify(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))


VGG_LIKE = Expert(
    name="vgg_like",
    citation="Fonseca, Favory, Pons, Font and Serra, FSD50K: an Open Dataset of Human-Labeled Sound Events, IEEE/ACM TASLP 30, 2022",
    tasks=("fsd50k",),
    build=VggLike,
    misfit=needs(2, Classes, Labels),
    sizes={
        "tiny": {"groups": ((4,), (8,)), "padded": True},
        "small": {"groups": ((8,), (16, 32), (64,)), "padded": True},
        "published": {"groups": ((32, 32, 32), (64, 64), (128, 128))},
    },
    recipes={
        "tiny": {"recipe.learning_rate": 5e-3, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 5e-3, "recipe.batch_size": 32, "budget.epochs": 15},
        "published": {
            "recipe.optimiser": "adam",
            "recipe.learning_rate": 1e-3,
            "recipe.weight_decay": 0.0,
            "recipe.batch_size": 256,
            "recipe.clip_norm": None,
            "recipe.warmup": 0.0,
            "recipe.schedule": "constant",
            "budget.epochs": 100,
        },
    },
)
