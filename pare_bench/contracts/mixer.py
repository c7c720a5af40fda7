"""The contract of a mixer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from pare_bench.contracts.params import Params
from pare_bench.contracts.selector import Selection

#: What a mixer promises of the tokens that it returns; see :class:`Mixer`.
Promise = Literal["selected", "whole", "blended"]


@dataclass(frozen=True)
class Mixed:
    """A mixed batch.

    ``tokens`` [batch tokens dim] is a new tensor. ``from_source`` [batch tokens] is True where a token has something of the source in it. ``origin``
    [batch tokens] holds the index of that source token, -1 at target tokens. ``source_share`` is the lambda of the loss: the mean over the places of
    how much of a token is source, the same for every example; k / N where whole tokens are replaced. ``shares`` [batch tokens] says for blended
    tokens how much of each is source; None: 1 where ``from_source``, else 0.
    """

    tokens: Float[Tensor, "batch tokens dim"]
    from_source: Bool[Tensor, "batch tokens"]
    origin: Tensor
    source_share: float
    shares: Float[Tensor, "batch tokens"] | None = None

    def place_shares(self) -> Float[Tensor, "batch tokens"]:
        """Return how much of each token is source: what its place counts in a source loss, and 1 minus that in a target loss."""
        return self.from_source.float() if self.shares is None else self.shares


class Mixer(nn.Module, ABC):
    """Joins target and source tokens, by a curriculum that says how many.

    ``promise`` says what holds of the mixed tokens, and with it how labels count:

    - ``selected``: target tokens stand bit-identical at ``keep``, the source tokens at ``take``, each once and whole, in the free places.
    - ``whole``: each place has the target token that stood there or a source token, bit-identical; which ones, the mixer chooses (CutMix).
    - ``blended``: each token is ``(1 - s) target + s source[origin]``, with its s in ``shares`` (mixup).

    The label of a place is as mixed as its token: it counts ``1 - s`` in the target loss and s in the source loss, and an example as a whole
    ``1 - source_share`` and ``source_share``.
    """

    promise: ClassVar[Promise] = "selected"
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
        """Return the mix of as many source tokens as ``take`` has, by what ``promise`` says; the inputs stay unmodified.

        With ``promise = "selected"``: target tokens at ``keep`` and the source tokens at ``take`` in the free places.
        """
