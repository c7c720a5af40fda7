"""DeepSEA: three convolutions and a dense layer on one-hot DNA (Zhou and Troyanskaya, Nature Methods 12, 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.task import Classes, InputShape, Labels, Target
from pare_bench_baselines.experts.expert import Expert, needs


class DeepSea(nn.Module):
    """Convolutions of ``widths`` channels with ReLU, max pooling by ``pool`` after all but the last, a dense layer of ``hidden`` units.

    As published, both strands count: a training sequence is read from a strand drawn at random, a prediction is the mean of both (here of the
    logits). The reverse complement is both axes reversed, which holds for channels in the order A, C, G, T; ``strands`` false leaves it out.
    """

    def __init__(
        self,
        inputs: InputShape,
        target: Classes | Labels,
        widths: Sequence[int],
        hidden: int,
        dropouts: Sequence[float] = (0.2, 0.2, 0.5),
        kernel: int = 8,
        pool: int = 4,
        strands: bool = True,
    ) -> None:
        super().__init__()
        self.strands = strands and inputs.channels == 4
        layers: list[nn.Module] = []
        before, length = inputs.channels, inputs.grid[0]
        for number, (after, dropout) in enumerate(zip(widths, dropouts, strict=True)):
            layers += [nn.Conv1d(before, after, kernel), nn.ReLU()]
            length -= kernel - 1
            if number + 1 < len(widths):
                layers.append(nn.MaxPool1d(pool))
                length //= pool
            layers.append(nn.Dropout(dropout))
            before = after
        self.read = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * length, hidden), nn.ReLU(), nn.Linear(hidden, target.num))

    def forward(self, inputs: Float[Tensor, "batch channels positions"]) -> Float[Tensor, "batch outputs"]:
        """Return logits."""
        if not self.strands:
            return self.read(inputs)
        complement = inputs.flip((1, 2))
        if not self.training:
            return (self.read(inputs) + self.read(complement)) / 2
        turned = torch.rand(len(inputs), 1, 1).to(inputs.device) < 0.5
        return self.read(torch.where(turned, complement, inputs))


def _misfit(inputs: InputShape, target: Target) -> str | None:
    reason = needs(1, Classes, Labels)(inputs, target)
    if reason is None and inputs.grid[0] < 300:
        return f"takes sequences of at least 300 positions, got {inputs.grid[0]}"
    return reason


DEEPSEA = Expert(
    name="deepsea",
    citation="Zhou and Troyanskaya, Predicting effects of noncoding variants with deep learning-based sequence model, Nature Methods 12, 2015",
    tasks=("deepsea",),
    build=DeepSea,
    misfit=_misfit,
    sizes={
        "tiny": {"widths": (16, 16, 16), "hidden": 16},
        "small": {"widths": (64, 64, 64), "hidden": 64, "kernel": 12},
        "published": {"widths": (320, 480, 960), "hidden": 925},
    },
    recipes={
        "tiny": {"recipe.learning_rate": 2e-3, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 2e-3, "recipe.weight_decay": 0.02, "recipe.batch_size": 32, "budget.epochs": 20},
        "published": {
            "recipe.optimiser": "sgd",
            "recipe.learning_rate": 0.01,
            "recipe.momentum": 0.9,
            "recipe.weight_decay": 5e-7,
            "recipe.decayed": "all",
            "recipe.batch_size": 64,
            "recipe.clip_norm": None,
            "recipe.warmup": 0.0,
            "recipe.schedule": "constant",
            "budget.epochs": 60,
        },
    },
)
