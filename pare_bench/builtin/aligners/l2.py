"""Aligner ``l2``: the squared Euclidean distance of the means."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from pare_bench.contracts.aligner import Aligner
from pare_bench.contracts.params import Params


class L2(Aligner):
    """|mean(source) - mean(target)|^2; squared, so that it is smooth where the means meet. Labels are not used."""

    source_mean: Tensor

    def __init__(self, params: Params, *, source_features: Float[Tensor, "source dim"], source_labels: Int[Tensor, " source"]) -> None:
        super().__init__(params, source_features=source_features, source_labels=source_labels)
        self.register_buffer("source_mean", source_features.detach().mean(dim=0), persistent=False)

    def forward(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return the squared distance of the means."""
        return (features.mean(dim=0) - self.source_mean).square().sum()
