"""Aligners ``l2``: the squared Euclidean distance of the means, and ``l2_released``: the mean Euclidean distance of pairs."""

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
    """The objective ``l2`` of ORCA's released code (19b8c1c), its random pairs averaged out. Labels are not used.

    Released, the n source examples are shuffled and cut into groups of m, as many as there are target examples. In each full group the i-th
    target example is paired with the i-th source example. The mean distances of the full groups are added and divided by the number of all
    groups, ceil(n / m), to which a smaller last one adds nothing. With n < m there is one group, of n of the target examples.

    Returned is the expectation of that over the shuffles, floor(n / m) / ceil(n / m) times the mean distance of all pairs (1 times for n < m): a
    distance does not depend on the order of the examples.
    """

    source: Tensor

    def __init__(self, params: Params, *, source_features: Float[Tensor, "source dim"], source_labels: Int[Tensor, " source"]) -> None:
        super().__init__(params, source_features=source_features, source_labels=source_labels)
        self.register_buffer("source", source_features.detach(), persistent=False)

    def forward(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return the mean distance of the pairs."""
        size, count = len(self.source), len(features)
        share = (size // count) / -(-size // count) if size >= count else 1.0
        # Matrix products would lose the digits of features far from the origin, whose distances are not squared here.
        distances = torch.cdist(features + _EPS, self.source, compute_mode="donot_use_mm_for_euclid_dist")
        return share * distances.mean()
