"""Aligner ``mmd``: the squared maximum mean discrepancy with a sum of Gaussian kernels (Gretton et al. 2012; Long et al. 2015, DAN)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from pare_bench.contracts.aligner import Aligner
from pare_bench.contracts.params import Params as BaseParams


class Mmd(Aligner):
    """mean k(x, x') + mean k(z, z') - 2 mean k(x, z) over all pairs (V-statistic, never negative). Labels are not used.

    k(x, z) = sum_i exp(-|x - z|^2 / b_i) with b_i = b multiplier^(i - num // 2), i = 0 .. num - 1, and b the mean squared distance between two
    different examples of source and target pooled. b follows the features but is held constant in the gradient, as in DAN.
    """

    class Params(BaseParams):
        """``num_bandwidths`` Gaussian kernels, each ``multiplier`` times as wide (in squared distance) as the one before."""

        num_bandwidths: int = Field(default=5, ge=1)
        multiplier: float = Field(default=2.0, gt=1)

    source: Tensor
    pair_distances: Tensor
    distance_sum: Tensor

    def __init__(self, params: Params, *, source_features: Float[Tensor, "source dim"], source_labels: Int[Tensor, " source"]) -> None:
        super().__init__(params, source_features=source_features, source_labels=source_labels)
        source = source_features.detach()
        half = params.num_bandwidths // 2
        self.factors = [params.multiplier ** (index - half) for index in range(params.num_bandwidths)]
        self.register_buffer("source", source, persistent=False)
        # The distances between source examples never change; only the bandwidth they are divided by does.
        self.register_buffer("pair_distances", torch.pdist(source).square_(), persistent=False)
        self.register_buffer("distance_sum", 2 * self.pair_distances.sum(), persistent=False)

    def forward(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return the squared discrepancy."""
        cross = _squared_distances(self.source, features)
        own = _squared_distances(features, features)
        count = len(self.source) + len(features)
        total = self.distance_sum + own.detach().sum() + 2 * cross.detach().sum()
        # All examples equal: any bandwidth gives 0.
        bandwidth = (total / (count * (count - 1))).clamp(min=torch.finfo(features.dtype).tiny)
        size = len(self.source)
        within_source = (2 * self._kernel(self.pair_distances, bandwidth).sum() + size * len(self.factors)) / size**2
        return within_source + self._kernel(own, bandwidth).mean() - 2 * self._kernel(cross, bandwidth).mean()

    def _kernel(self, squared_distances: Tensor, bandwidth: Tensor) -> Tensor:
        total = torch.zeros_like(squared_distances)
        for factor in self.factors:
            total = total + (squared_distances / (-bandwidth * factor)).exp()
        return total


def _squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Return |x_i - z_j|^2 ``[first second]``, about a common origin, where the expansion loses the fewest digits."""
    origin = first.detach().mean(dim=0)
    first, second = first - origin, second - origin
    product = torch.addmm(second.square().sum(dim=1)[None], first, second.T, alpha=-2)
    return (product + first.square().sum(dim=1)[:, None]).clamp(min=0)
