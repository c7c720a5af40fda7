"""The scale of outputs whose law is the same at every place."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from pare_bench.contracts.task import Field, Split, Target
from pare_bench.datasets.moments import pointwise_moments


class ChannelScale(nn.Module):
    """Turns normalised outputs ``[batch *channels *grid]`` into the units of the target: ``value = mean + std * output``, one pair per channel.

    Mean and deviation are taken over training examples and places: statistics of single places, of which there are as many as examples and no
    more, would print their noise on a field whose law is the same everywhere. Masks and other targets stay as they are.
    """

    def __init__(self, target: Target, train: Split) -> None:
        super().__init__()
        mean, std = np.zeros(1), np.ones(1)
        if isinstance(target, Field) and target.values == "real":
            means, stds, overall = pointwise_moments(train.targets)
            places = tuple(range(len(target.shape) - len(target.grid), len(target.shape)))
            mean = means.mean(places, keepdims=True)
            # Law of total variance over places.
            std = np.sqrt((stds**2).mean(places, keepdims=True) + means.var(places, keepdims=True)) + 1e-5 * (overall + 1e-12)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.register_buffer("std", torch.from_numpy(std).float())

    def forward(self, outputs: Tensor) -> Tensor:
        """Return outputs in the units of the target."""
        return self.mean + self.std * outputs
