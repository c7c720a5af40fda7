"""The contract of a mixer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

from pare_bench.contracts.params import Params
from pare_bench.contracts.selector import Selection


@dataclass(frozen=True)
class Mixed:
    """A mixed batch.

    ``tokens`` [batch tokens dim] is a new tensor. ``from_source`` [batch tokens] is True where a source token stands. ``origin`` [batch tokens]
    holds the index of the source token that stands there, -1 at target tokens. ``source_share`` is the lambda of the loss, k / N.
    """

    tokens: Float[Tensor, "batch tokens dim"]
    from_source: Bool[Tensor, "batch tokens"]
    origin: Tensor
    source_share: float


class Mixer(nn.Module, ABC):
    """Joins target and source tokens, by a curriculum that says how many."""

    Params: ClassVar[type[Params]] = Params

    @abstractmethod
    def __init__(self, params: Params) -> None:
        super().__init__()

    @abstractmethod
    def source_count(self, num_tokens: int, progress: float) -> int:
        """Return k, the number of source tokens among ``num_tokens`` at training ``progress`` in [0, 1]."""

    @abstractmethod
    def forward(
        self,
        target: Float[Tensor, "batch tokens dim"],
        source: Float[Tensor, "batch source_tokens dim"],
        keep: Selection,
        take: Selection,
    ) -> Mixed:
        """Return target tokens at ``keep`` and the source tokens at ``take`` in the free places; the inputs stay unmodified."""
