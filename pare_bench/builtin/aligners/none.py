"""Aligner ``none``: no alignment, the control."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from pare_bench.contracts.aligner import Aligner
from pare_bench.contracts.params import Params


class NoAlignment(Aligner):
    """Zero for any features, with a gradient of zeros, so that a training loop needs no special case."""

    def __init__(self, params: Params, *, source_features: Float[Tensor, "source dim"], source_labels: Int[Tensor, " source"]) -> None:
        super().__init__(params, source_features=source_features, source_labels=source_labels)

    def forward(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return 0."""
        # Of an empty slice: 0 even where features are infinite.
        return features[:0].sum()
