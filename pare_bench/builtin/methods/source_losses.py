"""l_s of PaRe: what the mixed features tell of the source, by class or by foreground."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.mixer import Mixed
from pare_bench.model.heads import PooledHead
from pare_bench.model.network import Batch, TransferNetwork
from pare_bench.model.source import Source, SourceBatch


class SourceLoss(nn.Module, ABC):
    """l_s: how well the mixed features tell the source label. Its head, if it has one, is dropped after training."""

    def __init__(self, network: TransferNetwork, source: Source) -> None:  # noqa: ARG002 - what a head may need
        super().__init__()

    def target_weight(self, mixed: Mixed, batch: Batch) -> Tensor | None:  # noqa: ARG002 - the general case counts every place
        """Return how much each pixel of the target counts in l_t(M), or None for all alike."""
        return None

    @abstractmethod
    def chance(self, source: Source) -> float:
        """Return the loss of the best constant answer, in nats."""


class ClassSourceLoss(SourceLoss):
    """Cross-entropy of a linear source head over pooled features."""

    def __init__(self, network: TransferNetwork, source: Source) -> None:
        super().__init__(network, source)
        self.head = PooledHead(network.backbone.feats, source.num_classes)

    def forward(self, features: Float[Tensor, "batch places feats"], mixed: Mixed, source: SourceBatch) -> Tensor:  # noqa: ARG002
        """Return the loss."""
        return F.cross_entropy(self.head(features), source.labels)

    def chance(self, source: Source) -> float:
        """Return the entropy of the labels."""
        shares = torch.bincount(source.labels).double() / len(source.labels)
        return float(torch.special.entr(shares).sum())


class LineSourceLoss(ClassSourceLoss):
    """Dense targets of sequences: the source head tells classes, and the target counts under its own tokens only."""

    def target_weight(self, mixed: Mixed, batch: Batch) -> Tensor:
        """Return 1 at places under target tokens, 0 under source tokens, between them under blended ones."""
        kept = 1 - mixed.place_shares()
        length = batch.targets.shape[-1]
        return kept.repeat_interleave(-(-length // kept.shape[1]), 1)[:, :length]


class PatchSourceLoss(SourceLoss):
    """Dense targets, corrected: a separate head tells the foreground share of each replaced patch; the mask moves with its patches.

    Target pixels under replaced patches do not count in l_t(M): they cannot be predicted from another modality's patch.
    """

    def __init__(self, network: TransferNetwork, source: Source) -> None:
        super().__init__(network, source)
        self.grid = network.embedder.grid
        self.out_grid = network.backbone.out_grid
        self.head = nn.Linear(network.backbone.feats, 1)

    def forward(self, features: Float[Tensor, "batch places feats"], mixed: Mixed, source: SourceBatch) -> Tensor:
        """Return the binary cross-entropy at the replaced places; of blended ones, each as much as it has of the source."""
        logits = self.head(features).transpose(1, 2).unflatten(2, self.out_grid)
        if self.out_grid != self.grid:
            logits = F.interpolate(logits, self.grid, mode="bilinear")
        shares = F.adaptive_avg_pool2d(source.masks().unsqueeze(1).float(), (self.grid[0], self.grid[1])).flatten(1)
        moved = shares.gather(1, mixed.origin.clamp_min(0))
        if mixed.shares is None:
            return F.binary_cross_entropy_with_logits(logits.flatten(1)[mixed.from_source], moved[mixed.from_source])
        losses = F.binary_cross_entropy_with_logits(logits.flatten(1), moved, reduction="none")
        return (losses * mixed.shares).sum() / mixed.shares.sum()

    def target_weight(self, mixed: Mixed, batch: Batch) -> Tensor:
        """Return 1 at pixels under target patches, 0 under source patches, between them under blended ones."""
        kept = (1 - mixed.place_shares()).unflatten(1, self.grid).unsqueeze(1)
        return F.interpolate(kept, tuple(batch.targets.shape[-2:]), mode="nearest").squeeze(1)

    def chance(self, source: Source) -> float:
        """Return the entropy of foreground and ground."""
        return _of_masks(source)


class WholeMapSourceLoss(SourceLoss):
    """Dense targets, as published: the target's own map, before its units, is scored as foreground logits against the whole, unmoved mask."""

    def __init__(self, network: TransferNetwork, source: Source) -> None:
        super().__init__(network, source)
        # In a tuple so that the target's head is not registered a second time.
        self._head = (network.head,)

    def forward(self, features: Float[Tensor, "batch places feats"], mixed: Mixed, source: SourceBatch) -> Tensor:  # noqa: ARG002
        """Return the binary cross-entropy over the whole map (each, where the target has several)."""
        logits = self._head[0](features)
        return F.binary_cross_entropy_with_logits(
            logits, F.interpolate(source.masks().unsqueeze(1).float(), logits.shape[-2:], mode="nearest").squeeze(1)
        )

    def chance(self, source: Source) -> float:
        """Return the entropy of foreground and ground."""
        return _of_masks(source)


def _of_masks(source: Source) -> float:
    share = torch.tensor(source.foreground_share(), dtype=torch.float64)
    return float(torch.special.entr(share) + torch.special.entr(1 - share))
