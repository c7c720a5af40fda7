"""Aligners ``otdd_exact``, ``otdd_gaussian`` and ``otdd_released``: ORCA's distance (Shen et al., ICML 2023)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from pare_bench.contracts.aligner import Aligner
from pare_bench.contracts.params import Params as BaseParams
from pare_bench.otdd import OTDD

#: Source labels with fewer examples are left out by the released code (``min_labelcount`` of microsoft/otdd).
_LEAST = 2


class _OtddAligner(Aligner):
    """Optimal-transport data-set distance; ``inner`` says how the distance between two labels is computed."""

    inner: ClassVar[Literal["exact", "gaussian"]]

    class Params(BaseParams):
        """``regularisation``: entropic regularisation in the units of the ground cost."""

        regularisation: float = Field(default=0.1, gt=0)

    def __init__(self, params: Params, *, source_features: Float[Tensor, "source dim"], source_labels: Int[Tensor, " source"]) -> None:
        super().__init__(params, source_features=source_features, source_labels=source_labels)
        self.otdd = OTDD(source_features, source_labels, inner=self.inner, regularisation=params.regularisation)

    def forward(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:
        """Return the distance (see :class:`pare_bench.otdd.OTDD`)."""
        return self.otdd(features, labels)


class OtddExact(_OtddAligner):
    """OTDD whose label distances are exact squared 2-Wasserstein distances."""

    inner = "exact"


class OtddGaussian(_OtddAligner):
    """OTDD whose label distances are those between Gaussians of the same mean and covariance."""

    inner = "gaussian"


class OtddReleased(Aligner):
    """OTDD as ORCA's released code calls it (microsoft/otdd, ``debiased_loss`` and ``inner_ot_debiased``, ``entreg`` and ``inner_ot_entreg`` 0.1).

    Its "exact" label distances are Sinkhorn divergences of the squared distance and numbers to the gradient; its Gaussian ones are differentiated
    twice over, since geomloss detaches one side's features in each half of the cost, but not the table of label distances that both halves
    share. Source labels with one example are left out.
    """

    class Params(BaseParams):
        """What the released call sets; ``inner`` is ``exact`` in every released configuration."""

        inner: Literal["exact", "gaussian"] = Field(default="exact", description="label distances: objective otdd-exact or otdd-gaussian")
        regularisation: float = Field(default=0.1, gt=0, description="of the transport between data sets, in the units of |x - x'|^2 / 2")
        inner_regularisation: float = Field(default=0.1, gt=0, description="of the transport between labels, in the units of |x - x'|^2")

    def __init__(self, params: Params, *, source_features: Float[Tensor, "source dim"], source_labels: Int[Tensor, " source"]) -> None:
        super().__init__(params, source_features=source_features, source_labels=source_labels)
        _, codes, counts = torch.unique(source_labels, return_inverse=True, return_counts=True)
        kept = counts[codes] >= _LEAST
        if not bool(kept.any()):
            raise ValueError(f"none of the {len(counts)} source labels has {_LEAST} examples, and labels with fewer are left out")
        exact = params.inner == "exact"
        self.otdd = OTDD(
            source_features[kept],
            source_labels[kept],
            inner="sinkhorn" if exact else "gaussian",
            regularisation=params.regularisation,
            inner_regularisation=params.inner_regularisation,
            label_gradient=0.0 if exact else 2.0,
        )

    def forward(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:
        """Return the distance (see :class:`pare_bench.otdd.OTDD`)."""
        return self.otdd(features, labels)
