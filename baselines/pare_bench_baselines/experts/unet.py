"""deepCR: a shallow U-Net that marks cosmic-ray hits (Zhang and Bloom, ApJ 889, 2020; architecture after Ronneberger et al., MICCAI 2015)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.task import Field, InputShape, PairMap
from pare_bench_baselines.experts.expert import Expert, keeps_grid


def double_conv(before: int, after: int) -> nn.Sequential:
    """Return two 3 x 3 convolutions, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """``scales`` resolutions (deepCR-``scales``-``width``): max pooling down, transposed convolution up, joined with the maps on the way down.

    Sides that do not halve evenly are padded with zeros and cut off again.
    """

    def __init__(self, inputs: InputShape, target: Field | PairMap, scales: int, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(scales)]
        self.symmetric = isinstance(target, PairMap)
        self.down = nn.ModuleList(double_conv(before, after) for before, after in zip([inputs.channels, *widths], widths, strict=False))
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.lift = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for coarse, fine in pairs)
        self.up = nn.ModuleList(double_conv(2 * fine, fine) for _, fine in pairs)
        self.leave = nn.Conv2d(width, 1, 1)

    def forward(self, inputs: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch height width"]:
        """Return one value per pixel: logits of a mask."""
        height, width = inputs.shape[-2:]
        step = 2 ** len(self.up)
        maps = F.pad(inputs, (0, -width % step, 0, -height % step))
        passed: list[Tensor] = []
        for level, convolve in enumerate(self.down):
            maps = convolve(maps if level == 0 else F.max_pool2d(maps, 2))
            passed.append(maps)
        for lift, convolve, beside in zip(self.lift, self.up, passed[-2::-1], strict=True):
            maps = convolve(torch.cat([beside, lift(maps)], 1))
        values = self.leave(maps).squeeze(1)[:, :height, :width]
        return (values + values.transpose(1, 2)) / 2 if self.symmetric else values


UNET = Expert(
    name="unet",
    citation="Zhang and Bloom, deepCR: Cosmic Ray Rejection with Deep Learning, ApJ 889, 2020",
    tasks=("cosmic",),
    build=UNet,
    misfit=keeps_grid,
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
