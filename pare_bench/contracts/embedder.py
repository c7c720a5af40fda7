"""The contract of an embedder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import InputShape


class Embedder(nn.Module, ABC):
    """Turns inputs of a task into tokens for a backbone.

    Attributes:
        num_tokens: tokens per example.
        grid: their layout, ``(rows, columns)`` or ``(num_tokens,)``.
    """

    Params: ClassVar[type[Params]] = Params
    num_tokens: int
    grid: tuple[int, ...]

    @abstractmethod
    def __init__(self, params: Params, *, inputs: InputShape, backbone: Backbone) -> None:
        """Build for examples of shape ``inputs``, initialised from ``backbone.embedder_weights()``."""
        super().__init__()

    @abstractmethod
    def forward(self, inputs: Float[Tensor, "batch channels *grid"]) -> Float[Tensor, "batch tokens dim"]:
        """Return ``num_tokens`` tokens of width ``backbone.dim``."""
