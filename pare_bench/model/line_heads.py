"""Dense heads of sequences: values at each place of a line."""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class LineHead(nn.Module):
    """Values per place of a line: each token predicts its own stretch, two small convolutions smooth the seams; what lies beyond the end is cut off.

    The 1-D counterpart of :class:`pare_bench.model.heads.DenseHead`, aligned with an embedder that pads its last stretch.
    """

    def __init__(self, feats: int, tokens: int, length: int, *, hidden: int = 4, channels: int = 1) -> None:
        super().__init__()
        hidden = max(hidden, 2 * channels)
        self.length = length
        self.hidden = hidden
        self.spread = nn.Linear(feats, hidden * math.ceil(length / tokens))
        self.refine = nn.Sequential(nn.GELU(), nn.Conv1d(hidden, hidden, 3, padding=1), nn.GELU(), nn.Conv1d(hidden, channels, 3, padding=1))

    def forward(self, features: Float[Tensor, "batch tokens feats"]) -> Float[Tensor, "batch *channels length"]:
        """Return the values of each place, without a channel axis where there is one channel."""
        stretches = self.spread(features).unflatten(2, (self.hidden, -1))
        line = self.refine(stretches.transpose(1, 2).flatten(2))
        return line[..., : self.length].squeeze(1)


class PooledFeaturesHead(nn.Module):
    """ORCA's released dense head of sequences, which has no weights: a token's features are averaged to the values of its stretch.

    Several channels are consecutive parts of one line, as in the released data.
    """

    def __init__(self, tokens: int, length: int, channels: int = 1) -> None:
        super().__init__()
        self.length = length
        self.channels = channels
        self.per_token = math.ceil(length * channels / tokens)

    def forward(self, features: Float[Tensor, "batch tokens feats"]) -> Float[Tensor, "batch *channels length"]:
        """Return the values of each place, without a channel axis where there is one channel."""
        line = F.adaptive_avg_pool1d(features, self.per_token).flatten(1)[:, : self.length * self.channels]
        return line.unflatten(1, (self.channels, self.length)).squeeze(1)
