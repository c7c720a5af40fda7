"""The contract of a pretrained body."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from pare_bench.contracts.params import Params


class Backbone(nn.Module, ABC):
    """A body between embedder and head, with the pretrained embedder it was trained with.

    Attributes:
        dim: width of the tokens it takes.
        feats: width of the features it gives.
        grid: layout of the tokens it takes: ``(rows, columns)`` for images, ``(max_tokens,)`` for sequences.
        out_grid: layout of the features: ``(rows, columns)`` for images; None for sequences, where each token has one feature.
        patch_size: side of the patches of its pretrained embedder, 1 for sequences.
    """

    Params: ClassVar[type[Params]] = Params
    dim: int
    feats: int
    grid: tuple[int, ...]
    out_grid: tuple[int, ...] | None
    patch_size: int

    @abstractmethod
    def forward(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch places feats"]:
        """Return one feature vector per place."""

    @abstractmethod
    def embed_source(self, inputs: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch tokens dim"]:
        """Embed data of the backbone's own modality with its pretrained embedder.

        Images: float ``[batch 3 height width]`` in [0, 1], any size. Text: int64 token ids ``[batch tokens]``.
        """

    @abstractmethod
    def embedder_weights(self) -> dict[str, Tensor]:
        """Copies of the pretrained embedder's weights, from which a target embedder is initialised.

        Images: ``weight`` [dim 3 patch patch], ``bias`` [dim], ``norm_weight`` [dim], ``norm_bias`` [dim], optionally ``position`` [tokens dim].
        Sequences: ``norm_weight`` [dim], ``norm_bias`` [dim], ``position`` [max_tokens dim].
        """

    @classmethod
    def weights_digest(cls, params: Params) -> str:  # noqa: ARG003 - the general case loads nothing
        """Return the SHA-256 of the weight files that ``params`` load, "" where there are none; it is part of a run's identity."""
        return ""

    @classmethod
    def files(cls, params: Params) -> Sequence[Path] | None:  # noqa: ARG003 - the general case does not know
        """Return every file that both digests depend on, so that they need not be asked for again while none of them changes.

        None, the default, where they cannot all be named (a hub may hand out another file): the digests are then asked for each time.
        """
        return None

    @classmethod
    def architecture_digest(cls, params: Params) -> str:  # noqa: ARG003 - the general case reads nothing
        """Return the SHA-256 of the configuration files that ``params`` read, weights drawn at random or not, "" where there are none.

        It is part of a run's identity, too: the same weights in a network with another activation are another network.
        """
        return ""

    @classmethod
    def tokenizer(cls, params: Params) -> str | None:  # noqa: ARG003 - the general case reads no text
        """Return hub id or folder of the tokenizer that the body of ``params`` was trained with; None where it has none.

        Text sources take it unless a run names another one.
        """
        return None

    @abstractmethod
    def reinitialise(self) -> None:
        """Replace every pretrained weight by a draw from the architecture's usual initial distribution (the from-scratch control).

        Draws come from torch's default generator, which the runner seeds.
        """
