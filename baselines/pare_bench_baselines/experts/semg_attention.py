"""Attention over time for surface electromyograms (Josephs et al., sEMG Gesture Recognition with a Simple Model of Attention, ML4H 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.task import Classes, InputShape, Labels
from pare_bench_baselines.experts.expert import Expert, needs


class SemgAttention(nn.Module):
    """Features of each time step, a learned average over time for each feature, then a dense classifier.

    Every channel and row of the input is an electrode, its last axis is time. ``kernel`` 1 gives the published network, in which the features
    of a time step see that step alone (a dense layer); a longer kernel makes it a temporal convolution, which band-limited signed signals
    need. ``hidden`` are the widths of the classifier.
    """

    def __init__(self, inputs: InputShape, target: Classes | Labels, kernel: int, width: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        electrodes, steps = inputs.channels * inputs.grid[0], inputs.grid[1]
        self.scale_steps = nn.BatchNorm1d(steps)
        self.convolve = nn.Conv1d(electrodes, width, kernel, padding=kernel // 2)
        self.norm = nn.LayerNorm(width)
        self.attend = nn.Linear(steps, steps)
        layers: list[nn.Module] = []
        for before, after in zip((width, *hidden), hidden, strict=False):
            layers += [nn.Dropout(dropout), nn.Linear(before, after), nn.Mish(), nn.LayerNorm(after)]
        self.classify = nn.Sequential(*layers, nn.Linear(hidden[-1], target.num))

    def forward(self, inputs: Float[Tensor, "batch channels electrodes steps"]) -> Float[Tensor, "batch outputs"]:
        """Return logits."""
        signals = self.scale_steps(inputs.flatten(1, 2).transpose(1, 2)).transpose(1, 2)
        features = self.norm(F.mish(self.convolve(signals)).transpose(1, 2)).transpose(1, 2)
        weights = self.attend(features).softmax(-1)
        return self.classify((features * weights).sum(-1))


SEMG_ATTENTION = Expert(
    name="semg_attention",
    citation="Josephs, Drake, Heroy and Santerre, sEMG Gesture Recognition with a Simple Model of Attention, ML4H 2020",
    tasks=("ninapro",),
    build=SemgAttention,
    misfit=needs(2, Classes, Labels),
    sizes={
        "tiny": {"kernel": 5, "width": 16, "hidden": (16,), "dropout": 0.36},
        "small": {"kernel": 9, "width": 64, "hidden": (64,), "dropout": 0.5},
        "published": {"kernel": 1, "width": 128, "hidden": (500, 500, 2000), "dropout": 0.36},
    },
    recipes={
        "tiny": {"recipe.learning_rate": 2e-3, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 2e-3, "recipe.weight_decay": 0.05, "recipe.batch_size": 32, "budget.epochs": 25},
        "published": {
            "recipe.optimiser": "adam",
            "recipe.learning_rate": 1e-3,
            "recipe.weight_decay": 0.0,
            "recipe.batch_size": 128,
            "recipe.clip_norm": None,
            "recipe.warmup": 0.0,
            "budget.epochs": 205,
        },
    },
)
