"""Aligners ``otdd_exact`` and ``otdd_gaussian``: ORCA's distance (Shen et al., ICML 2023)."""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from pare_bench.contracts.aligner import Aligner
from pare_bench.contracts.params import Params as BaseParams
from pare_bench.otdd import OTDD


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
