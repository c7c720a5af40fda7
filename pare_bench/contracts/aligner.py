"""The contract of an aligner."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from pare_bench.contracts.params import Params


class Aligner(nn.Module, ABC):
    """A distance from target features to fixed source features; what depends on the source alone is computed once, in ``__init__``."""

    Params: ClassVar[type[Params]] = Params

    @abstractmethod
    def __init__(self, params: Params, *, source_features: Float[Tensor, "source dim"], source_labels: Int[Tensor, " source"]) -> None:
        """Keep the source features (mean-pooled tokens) and their class labels."""
        super().__init__()

    @abstractmethod
    def forward(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:
        """Return the distance as a scalar that can be differentiated with respect to ``features``; ``labels=None`` means one target class."""
