"""Aligners ``l2``: the squared Euclidean distance of the means, and ``l2_released``: the mean Euclidean distance of random pairs."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pare_bench.contracts.aligner import Aligner
from pare_bench.contracts.params import Params

#: Added to every coordinate's difference by ``torch.nn.PairwiseDistance``, which the released code uses.
_EPS = 1e-6


class L2(Aligner):
    """|mean(source) - mean(target)|^2; squared, so that it is smooth where the means meet. Labels are not used."""

    source_mean: Tensor

    def __init__(self, params: Params, *, source_features: Float[Tensor, "source dim"], source_labels: Int[Tensor, " source"]) -> None:
        super().__init__(params, source_features=source_features, source_labels=source_labels)
        self.register_buffer("source_mean", source_features.detach().mean(dim=0), persistent=False)

    def forward(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return the squared distance of the means."""
        return (features.mean(dim=0) - self.source_mean).square().sum()


class L2Released(Aligner):
    """The objective ``l2`` of ORCA's released code (19b8c1c). Labels are not used.

    The n source examples are shuffled and cut into groups of m, as many as there are target examples. In each full group the i-th target
    example is paired with the i-th source example. The mean distances of the full groups are added and divided by the number of all groups,
    ceil(n / m), to which a smaller last one adds nothing: the expectation is floor(n / m) / ceil(n / m) times the mean distance of all pairs.
    With fewer source than target examples (n < m) there is one group, of the first n target examples.

    Draws come from torch's default generator.
    """

    source: Tensor

    def __init__(self, params: Params, *, source_features: Float[Tensor, "source dim"], source_labels: Int[Tensor, " source"]) -> None:
        super().__init__(params, source_features=source_features, source_labels=source_labels)
        self.register_buffer("source", source_features.detach(), persistent=False)

    def forward(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return the mean distance of random pairs."""
        size, count = len(self.source), len(features)
        groups = size // count
        # On the CPU, so that a run draws the same pairs on every device.
        order = torch.randperm(size)[: max(groups, 1) * count].to(self.source.device)
        paired = features.repeat(groups, 1) if groups else features[:size]
        distances = (paired - self.source[order] + _EPS).norm(dim=1)
        return distances.sum() / min(count, size) / -(-size // count)
