"""The contract of a token selector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from pare_bench.contracts.params import Params


@dataclass(frozen=True)
class Selection:
    """k chosen tokens of each example.

    ``mask`` [batch tokens] is exactly 1 at chosen tokens and 0 elsewhere in value; it may carry a straight-through gradient.
    ``indices`` [batch k] are the chosen positions, ascending. ``scores`` [batch tokens] is what the choice was made by: the selector takes the
    highest, so that in a :meth:`complement` they are left out. ``learning`` says that the selector was in its learned (noisy) phase.
    """

    mask: Float[Tensor, "batch tokens"]
    indices: Int[Tensor, "batch k"]
    scores: Float[Tensor, "batch tokens"]
    learning: bool = False

    def complement(self) -> Selection:
        """Return the selection of exactly the tokens that this one leaves out; the scores stay those of the selector."""
        batch, tokens = self.mask.shape
        free = self.mask.detach() < 0.5
        return Selection(1 - self.mask, free.nonzero()[:, 1].reshape(batch, tokens - self.indices.shape[1]), self.scores, self.learning)


class Selector(nn.Module, ABC):
    """Chooses exactly k of N tokens."""

    Params: ClassVar[type[Params]] = Params

    @abstractmethod
    def __init__(self, params: Params, *, dim: int) -> None:
        """Build for tokens of width ``dim``."""
        super().__init__()

    @abstractmethod
    def forward(self, tokens: Float[Tensor, "batch tokens dim"], k: int) -> Selection:
        """Choose ``k`` tokens of each example.

        Raises:
            ValueError: ``k`` is negative or larger than the number of tokens.
        """

    def advance(self, progress: float) -> None:
        """Tell the selector how much of the training is done (0 to 1); the default ignores it."""
