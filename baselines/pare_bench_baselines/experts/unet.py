"""deepCR: a shallow U-Net that marks cosmic-ray hits (Zhang and Bloom, ApJ 889, 2020; architecture after Ronneberger et al., MICCAI 2015)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.task import Field, InputShape, PairMap
from pare_bench_baselines.experts.expert import Expert, channels_of, keeps_grid


def double_conv(before: int, after: int, axes: int = 2, activation: type[nn.Module] = nn.ReLU, bias: bool = True) -> nn.Sequential:
    """Return two convolutions of 3 places per axis, each with batch norm and ``activation``."""
    convolution, norm = ((nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d))[axes - 1]
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [convolution(channels, after, 3, padding=1, bias=bias), norm(after), activation()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """``scales`` resolutions (deepCR-``scales``-``width``): max pooling down, transposed convolution up, joined with the maps on the way down.

    Sides that do not halve evenly are padded with zeros and cut off again. ``activation`` and ``bias`` are those of the paired convolutions.
    """

    def __init__(
        self, inputs: InputShape, target: Field | PairMap, scales: int, width: int, activation: type[nn.Module] = nn.ReLU, bias: bool = True
    ) -> None:
        super().__init__()
        axes = len(inputs.grid)
        convolution, transposed = ((nn.Conv1d, nn.ConvTranspose1d), (nn.Conv2d, nn.ConvTranspose2d))[axes - 1]
        widths = [width * 2**level for level in range(scales)]
        self.symmetric = isinstance(target, PairMap)
        self.pool = (F.max_pool1d, F.max_pool2d)[axes - 1]
        self.down = nn.ModuleList(
            double_conv(before, after, axes, activation, bias) for before, after in zip([inputs.channels, *widths], widths, strict=False)
        )
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.lift = nn.ModuleList(transposed(coarse, fine, 2, stride=2) for coarse, fine in pairs)
        self.up = nn.ModuleList(double_conv(2 * fine, fine, axes, activation, bias) for _, fine in pairs)
        self.leave = convolution(width, channels_of(target), 1)

    def forward(self, inputs: Float[Tensor, "batch channels *grid"]) -> Float[Tensor, "batch ..."]:
        """Return values per place, without a channel axis where there is one: logits of a mask."""
        grid = inputs.shape[2:]
        step = 2 ** len(self.up)
        # The last axis comes first in F.pad.
        maps = F.pad(inputs, [margin for side in reversed(grid) for margin in (0, -side % step)])
        passed: list[Tensor] = []
        for level, convolve in enumerate(self.down):
            maps = convolve(maps if level == 0 else self.pool(maps, 2))
            passed.append(maps)
        for lift, convolve, beside in zip(self.lift, self.up, passed[-2::-1], strict=True):
            maps = convolve(torch.cat([beside, lift(maps)], 1))
        values = self.leave(maps)[(..., *(slice(side) for side in grid))].squeeze(1)
        return (values + values.transpose(1, 2)) / 2 if self.symmetric else values


UNET = Expert(
    name="unet",
    citation="Zhang and Bloom, deepCR: Cosmic Ray Rejection with Deep Learning, ApJ 889, 2020",
    tasks=("cosmic",),
    build=UNet,
    misfit=keeps_grid((1, 2)),
    sizes={
        "tiny": {"scales": 2, "width": 4},
        "small": {"scales": 2, "width": 8},
        "published": {"scales": 2, "width": 32},
    },
    recipes={
        "tiny": {"recipe.learning_rate": 5e-3, "recipe.batch_size": 8, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 5e-3, "recipe.batch_size": 8, "budget.epochs": 6},
        "published": {
            "recipe.optimiser": "adam",
            "recipe.learning_rate": 5e-3,
            "recipe.weight_decay": 0.0,
            "recipe.batch_size": 16,
            "recipe.clip_norm": None,
            "recipe.warmup": 0.0,
            "budget.epochs": 50,
        },
    },
)
