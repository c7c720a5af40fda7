"""A deep 1-D residual network for ECG windows (Hong et al., HOLMES, KDD 2020)."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.task import Classes, InputShape, Labels
from pare_bench_baselines.experts.expert import Expert, needs


class SameConv1d(nn.Module):
    """A convolution whose output has ceil(length / stride) steps; an uneven zero goes to the end."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv1d(before, after, kernel, stride, groups=groups)

    def forward(self, signals: Float[Tensor, "batch before steps"]) -> Float[Tensor, "batch after fewer"]:
        """Return filtered signals."""
        length = signals.shape[-1]
        missing = max(0, (-(-length // self.stride) - 1) * self.stride + self.kernel - length)
        return self.conv(F.pad(signals, (missing // 2, missing - missing // 2)))


class ResidualBlock1d(nn.Module):
    """Batch norm, ReLU, dropout, convolution, twice; the shortcut is pooled where the grid halves, padded with zero channels where it widens."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, groups: int, dropout: float, first: bool) -> None:
        super().__init__()
        self.stride, self.more = stride, after - before
        # The first block follows a norm and a ReLU already.
        self.enter = nn.Identity() if first else nn.Sequential(nn.BatchNorm1d(before), nn.ReLU(), nn.Dropout(dropout))
        self.conv1 = SameConv1d(before, after, kernel, stride, groups)
        self.between = nn.Sequential(nn.BatchNorm1d(after), nn.ReLU(), nn.Dropout(dropout))
        self.conv2 = SameConv1d(after, after, kernel, 1, groups)

    def forward(self, signals: Float[Tensor, "batch before steps"]) -> Float[Tensor, "batch after fewer"]:
        """Return the block's output."""
        shortcut = F.max_pool1d(signals, self.stride, ceil_mode=True) if self.stride > 1 else signals
        shortcut = F.pad(shortcut, (0, 0, self.more // 2, self.more - self.more // 2))
        return shortcut + self.conv2(self.between(self.conv1(self.enter(signals))))


class ResNet1d(nn.Module):
    """``blocks`` blocks; every ``shorten_every``-th halves the grid, every ``widen_every``-th doubles the ``width`` channels; mean over time."""

    def __init__(
        self,
        inputs: InputShape,
        target: Classes | Labels,
        blocks: int,
        width: int,
        kernel: int,
        groups: int,
        shorten_every: int,
        widen_every: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.enter = nn.Sequential(SameConv1d(inputs.channels, width, kernel), nn.BatchNorm1d(width), nn.ReLU())
        layers = []
        before = width
        for number in range(blocks):
            after = width * 2 ** (number // widen_every)
            stride = 2 if number % shorten_every == 1 else 1
            layers.append(ResidualBlock1d(before, after, kernel, stride, groups, dropout, first=number == 0))
            before = after
        self.blocks = nn.Sequential(*layers, nn.BatchNorm1d(before), nn.ReLU())
        self.classify = nn.Linear(before, target.num)

    def forward(self, inputs: Float[Tensor, "batch channels steps"]) -> Float[Tensor, "batch outputs"]:
        """Return logits."""
        return self.classify(self.blocks(self.enter(inputs)).mean(-1))


RESNET1D = Expert(
    name="resnet1d",
    citation="Hong et al., HOLMES: Health OnLine Model Ensemble Serving for Deep Learning Models in Intensive Care Units, KDD 2020",
    tasks=("ecg",),
    build=ResNet1d,
    misfit=needs(1, Classes, Labels),
    sizes={
        "tiny": {"blocks": 4, "width": 8, "kernel": 8, "groups": 1, "shorten_every": 2, "widen_every": 4, "dropout": 0.2},
        "small": {"blocks": 8, "width": 24, "kernel": 16, "groups": 1, "shorten_every": 2, "widen_every": 4, "dropout": 0.2},
        "published": {"blocks": 48, "width": 128, "kernel": 16, "groups": 32, "shorten_every": 6, "widen_every": 12, "dropout": 0.5},
    },
    recipes={
        "tiny": {"recipe.learning_rate": 5e-3, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 5e-3, "recipe.batch_size": 32, "budget.epochs": 8},
        "published": {
            "recipe.optimiser": "adam",
            "recipe.learning_rate": 1e-4,
            "recipe.weight_decay": 5e-4,
            "recipe.decayed": "all",
            "recipe.batch_size": 32,
            "recipe.clip_norm": None,
            "recipe.warmup": 0.0,
            "recipe.schedule": "constant",
            "budget.epochs": 50,
        },
    },
)
