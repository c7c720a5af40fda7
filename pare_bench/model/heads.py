"""Prediction heads and the scale of their outputs: both follow from the target."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.task import Classes, Field, Labels, PairMap, Split, Target
from pare_bench.datasets.moments import clipped_moments, pointwise_moments
from pare_bench.errors import UsageError
from pare_bench.model.line_heads import LineHead, PooledFeaturesHead


class PooledHead(nn.Module):
    """Mean over places, then a linear layer (classes and labels; also the source head of PaRe)."""

    def __init__(self, feats: int, num_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(feats, num_outputs)

    def forward(self, features: Float[Tensor, "batch places feats"]) -> Float[Tensor, "batch outputs"]:
        """Return logits."""
        return self.linear(features.mean(1))


class DenseHead(nn.Module):
    """Values per pixel: each place predicts its own square of pixels, two small convolutions smooth the seams, then bilinear resizing.

    ``hidden`` features are kept per pixel, more where the target has more than two channels. Sub-pixel arrangement after Shi et al., CVPR 2016.
    """

    def __init__(self, feats: int, out_grid: tuple[int, int], size: tuple[int, int], hidden: int = 4, channels: int = 1) -> None:
        super().__init__()
        hidden = max(hidden, 2 * channels)
        self.out_grid = out_grid
        self.size = size
        factor = max(math.ceil(side / count) for side, count in zip(size, out_grid, strict=True))
        self.spread = nn.Linear(feats, hidden * factor * factor)
        self.factor = factor
        self.refine = nn.Sequential(nn.GELU(), nn.Conv2d(hidden, hidden, 3, padding=1), nn.GELU(), nn.Conv2d(hidden, channels, 3, padding=1))

    def forward(self, features: Float[Tensor, "batch places feats"]) -> Float[Tensor, "batch *channels height width"]:
        """Return the values of each pixel of ``size``, without a channel axis where there is one channel."""
        maps = self.spread(features).transpose(1, 2).unflatten(2, self.out_grid)
        pixels = self.refine(F.pixel_shuffle(maps, self.factor))
        if pixels.shape[-2:] != self.size:
            # In single precision at least: antialiasing has no half-precision kernel on the CPU.
            pixels = F.interpolate(pixels.to(torch.promote_types(pixels.dtype, torch.float32)), self.size, mode="bilinear", antialias=True)
        return pixels.squeeze(1)


class SymmetricDenseHead(DenseHead):
    """A dense head whose map is symmetric: a distance from i to j is the distance from j to i."""

    def forward(self, features: Float[Tensor, "batch places feats"]) -> Float[Tensor, "batch size size"]:
        """Return the mean of the map and its transpose."""
        pixels = super().forward(features)
        return (pixels + pixels.transpose(1, 2)) / 2


class MaskedImageHead(nn.Module):
    """The released dense head: the decoder of masked-image modelling (Xie et al., SimMIM, CVPR 2022), here as everywhere from random weights.

    A 1 x 1 convolution gives each place the three channels of its ``stride`` x ``stride`` pixels; their mean is averaged (where ``size`` is
    smaller) or repeated (where it is larger) to ``size`` by adaptive pooling. Nothing else is trained for the task. Several channels of a
    target are averages of the three, too: four of them always obey o0 - 2 o1 + 2 o2 - o3 = 0.
    """

    def __init__(self, feats: int, out_grid: tuple[int, int], size: tuple[int, int], stride: int, channels: int = 1) -> None:
        super().__init__()
        self.out_grid = out_grid
        self.stride = stride
        self.decode = nn.Conv2d(feats, 3 * stride * stride, 1)
        self.channels = channels
        self.pool = nn.AdaptiveAvgPool2d(size)

    def forward(self, features: Float[Tensor, "batch places feats"]) -> Float[Tensor, "batch *channels height width"]:
        """Return the values of each pixel of ``size``, without a channel axis where there is one channel."""
        maps = F.pixel_shuffle(self.decode(features.transpose(1, 2).unflatten(2, self.out_grid)), self.stride)
        if self.channels == 1:
            return self.pool(maps.mean(1))
        spread = F.adaptive_avg_pool1d(maps.flatten(2).transpose(1, 2), self.channels)
        return self.pool(spread.transpose(1, 2).unflatten(2, maps.shape[-2:]))


def build_released_head(target: Field | PairMap, feats: int, out_grid: tuple[int, ...] | None, image_side: int) -> nn.Module:
    """Return the released dense head: of sequences for 1-D fields, else on a body that took square images of ``image_side`` pixels.

    Raises:
        UsageError: the body's features do not lie on a grid of as many axes as the target's.
    """
    if isinstance(target, Field) and len(target.grid) == 1 and out_grid is not None and len(out_grid) == 1:
        return PooledFeaturesHead(out_grid[0], target.grid[0], target.channels)
    rows, columns = _two_sides(out_grid)
    size = (target.size, target.size) if isinstance(target, PairMap) else _two_sides(target.grid)
    channels = 1 if isinstance(target, PairMap) else target.channels
    return MaskedImageHead(feats, (rows, columns), size, math.ceil(image_side / rows), channels)


def build_head(target: Target, feats: int, out_grid: tuple[int, ...] | None) -> nn.Module:
    """Return the head for a target on a body with ``feats`` features at ``out_grid`` places: ``(tokens,)`` for a sequence.

    Raises:
        UsageError: the features of the body do not lie on a grid of as many axes as the target's.
    """
    match target:
        case Classes(num=num) | Labels(num=num):
            return PooledHead(feats, num)
        case Field(grid=(length,), channels=channels) if out_grid is not None and len(out_grid) == 1:
            return LineHead(feats, out_grid[0], length, channels=channels)
        case Field(grid=grid, channels=channels):
            return DenseHead(feats, _two_sides(out_grid), _two_sides(grid), channels=channels)
        case PairMap(size=size):
            return SymmetricDenseHead(feats, _two_sides(out_grid), (size, size))
    raise TypeError(f"no head for target {target!r}")


def _two_sides(grid: tuple[int, ...] | None) -> tuple[int, int]:
    if grid is None or len(grid) != 2:
        raise UsageError(f"a dense target needs places on a 2-D grid, got {grid}", hint="choose an image backbone: pare-bench list backbone")
    return grid[0], grid[1]


class OutputScale(nn.Module):
    """Turns normalised network outputs into the units of the target: ``value = mean + std * output``.

    Real fields: mean and standard deviation per grid point over the training examples; pair maps: one mean and one deviation of the clipped
    training distances; logits stay as they are.
    """

    def __init__(self, target: Target, train: Split) -> None:
        super().__init__()
        mean, std = np.zeros(1), np.ones(1)
        match target:
            case Field(values="real"):
                mean, deviation, overall = pointwise_moments(train.targets)
                std = deviation + 1e-5 * (overall + 1e-12)
            case PairMap(clip=clip):
                mean, std = (np.array([moment]) for moment in clipped_moments(train.targets, clip))
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.register_buffer("std", torch.from_numpy(std).float())

    def forward(self, outputs: Tensor) -> Tensor:
        """Return outputs in the units of the target."""
        return self.mean + self.std * outputs
