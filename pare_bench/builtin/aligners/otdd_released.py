"""Aligner ``otdd_released``: the distance that ORCA's released code (19b8c1c) computes, with its gradient.

The released code calls microsoft/otdd with p = 2, ``debiased_loss``, ``inner_ot_debiased``, ``entreg`` and ``inner_ot_entreg`` 0.1, and that calls
geomloss ``SamplesLoss("sinkhorn")``. Against :class:`pare_bench.otdd.OTDD` four things differ:

- "exact" label distances are Sinkhorn divergences for the cost |x - x'|^2, and numbers to the gradient;
- Gaussian label distances are differentiated in both halves of the cost: geomloss detaches one side's features in each half, but not the
  table of label distances that both halves share, so their gradient counts about twice;
- geomloss stops after a fixed schedule, well before the marginals are right where eps is small against the cost: its gradient is another one;
- labels with one example are left out.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from pare_bench.contracts.aligner import Aligner
from pare_bench.contracts.params import Params as BaseParams
from pare_bench.errors import TrainingDivergedError, UsageError
from pare_bench.otdd import Cloud, gaussian_distance, squared_distances

#: Labels with fewer examples are left out (``min_labelcount``).
_LEAST = 2
#: geomloss's ``scaling``: eps falls by its square from one sweep to the next.
_SCALING = 0.5


class OtddReleased(Aligner):
    """OTDD as ORCA's released code computes it, in float64."""

    class Params(BaseParams):
        """What the released call sets; ``inner`` is ``exact`` in every released configuration."""

        inner: Literal["exact", "gaussian"] = Field(default="exact", description="label distances: objective otdd-exact or otdd-gaussian")
        regularisation: float = Field(default=0.1, gt=0, description="of the transport between data sets, in the units of |x - x'|^2 / 2")
        inner_regularisation: float = Field(default=0.1, gt=0, description="of the transport between labels, in the units of |x - x'|^2")

    def __init__(self, params: Params, *, source_features: Float[Tensor, "source dim"], source_labels: Int[Tensor, " source"]) -> None:
        """Take the source; distances between its labels and its transport to itself are computed here.

        Raises:
            UsageError: no source label has two examples.
        """
        super().__init__(params, source_features=source_features, source_labels=source_labels)
        self.params = params
        # Metal has no float64.
        device = source_features.device if source_features.device.type != "mps" else torch.device("cpu")
        _, codes, counts = torch.unique(source_labels.to(device), return_inverse=True, return_counts=True)
        kept = counts[codes] >= _LEAST
        if not bool(kept.any()):
            raise UsageError(f"none of the {len(counts)} source labels has {_LEAST} examples", hint="-o method.source_samples=NUMBER, more of them")
        features = source_features.detach().to(device, torch.float64)[kept]
        # Distances do not change with the origin; near it, |x|^2 + |z|^2 - 2 x.z loses the fewest digits.
        self._origin = features.mean(dim=0)
        self._features = features - self._origin
        values, self._codes = torch.unique(codes[kept], return_inverse=True)
        self._clouds = self._members(self._features, self._codes, len(values))
        # In the released code the target's spread, too, sets where the schedule starts; it is recomputed there at every call.
        cost = (squared_distances(self._features, self._features) + self._table(self._clouds, self._clouds)[self._codes][:, self._codes]) / 2
        schedule = _schedule(_diameter(self._features, self._features, len(values)), params.regularisation)
        self._own = _within(cost, schedule)[0].mean()

    def forward(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:
        """Return the distance, in the type and on the device of ``features``; 0 where no target label has two examples.

        Raises:
            TrainingDivergedError: features that are NaN or infinite.
        """
        if not bool(torch.isfinite(features).all()):
            raise TrainingDivergedError("target features became NaN or infinite", hint="lower the learning rate of the alignment")
        labels = torch.zeros(len(features), dtype=torch.int64) if labels is None else labels
        _, codes, counts = torch.unique(labels.to(self._features.device), return_inverse=True, return_counts=True)
        kept = counts[codes] >= _LEAST
        if not bool(kept.any()):
            return features[:0].sum()
        target = features.to(self._features.device, torch.float64)[kept] - self._origin
        values, codes = torch.unique(codes[kept], return_inverse=True)
        clouds = self._members(target, codes, len(values))
        between = self._table(self._clouds, clouds)[self._codes][:, codes]
        inside = self._table(clouds, clouds)[codes][:, codes]

        fixed = target.detach()
        schedule = _schedule(_diameter(self._features, fixed, len(self._clouds) + len(clouds)), self.params.regularisation)
        source_potential, target_potential, rows, columns = _between((squared_distances(self._features, fixed) + between.detach()) / 2, schedule)
        own_potential, own = _within((squared_distances(fixed, fixed) + inside.detach()) / 2, schedule)
        value = source_potential.mean() - self._own + target_potential.mean() - own_potential.mean()

        # geomloss differentiates its last sweep alone, and of the target's features only those of the side that a potential belongs to; the label
        # distances are in both sides.
        moved = (columns * squared_distances(self._features, target)).sum() - (own * squared_distances(target, fixed)).sum()
        moved = moved + ((rows + columns) * between).sum() - (own * inside).sum()
        return (value + (moved - moved.detach()) / 2).to(features.device, features.dtype)

    def _members(self, features: Tensor, codes: Tensor, count: int) -> list[Cloud]:
        """Return the features of each label."""
        return [Cloud.of(features[codes == label], gaussian=self.params.inner == "gaussian") for label in range(count)]

    def _table(self, first: list[Cloud], second: list[Cloud]) -> Tensor:
        """Return the label distances ``[len(first) len(second)]``; 0 on the diagonal where both are the same list."""
        same = first is second
        table = [[first[0].mean.new_zeros(())] * len(second) for _ in first]
        for row, cloud in enumerate(first):
            for column in range(row + 1 if same else 0, len(second)):
                table[row][column] = self._label_distance(cloud, second[column])
                if same:
                    table[column][row] = table[row][column]
        return torch.stack([torch.stack(row) for row in table])

    def _label_distance(self, first: Cloud, second: Cloud) -> Tensor:
        if self.params.inner == "gaussian":
            return gaussian_distance(first, second)
        return divergence(first.points.detach(), second.points.detach(), self.params.inner_regularisation)


def divergence(first: Tensor, second: Tensor, regularisation: float) -> Tensor:
    """Return the Sinkhorn divergence of two uniform point clouds for the cost |x - x'|^2, as geomloss approximates it; no gradient."""
    schedule = _schedule(_diameter(first, second, 1), regularisation)
    potential, other, _, _ = _between(squared_distances(first, second), schedule)
    own, own_other = (_within(squared_distances(points, points), schedule)[0] for points in (first, second))
    return (potential - own).mean() + (other - own_other).mean()


def _diameter(first: Tensor, second: Tensor, labels: int) -> float:
    """Return the diagonal of the box around both sides, their labels 0 .. ``labels`` - 1 being one more coordinate."""
    low = torch.minimum(first.amin(dim=0), second.amin(dim=0))
    high = torch.maximum(first.amax(dim=0), second.amax(dim=0))
    return math.hypot(float((high - low).norm()), labels - 1)


def _schedule(diameter: float, regularisation: float) -> list[float]:
    """Return eps of each sweep: the squared diameter twice, then falling by ``_SCALING``^2 to above ``regularisation``, which is the last."""
    if diameter == 0:
        return [regularisation]
    start, factor = 2 * math.log(diameter), 2 * math.log(_SCALING)
    steps = max(0, math.ceil((math.log(regularisation) - start) / factor))
    return [diameter**2, *(math.exp(start + step * factor) for step in range(steps)), regularisation]


def _soft_min(cost: Tensor, potential: Tensor, epsilon: float) -> Tensor:
    """Return -eps log mean_j exp((potential_j - C_ij) / eps) of each row."""
    return -epsilon * (torch.logsumexp((potential - cost) / epsilon, dim=1) - math.log(cost.shape[1]))


def _weights(cost: Tensor, potential: Tensor, epsilon: float) -> Tensor:
    """Return the derivative of the mean of :func:`_soft_min` with respect to the cost ``[n m]``: rows sum to 1 / n."""
    return torch.softmax((potential - cost) / epsilon, dim=1) / len(cost)


def _between(cost: Tensor, schedule: list[float]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the potentials of rows and columns, and the derivatives ``[n m]`` of their means with respect to the cost."""
    other = cost.T
    rows, columns = _soft_min(cost, cost.new_zeros(()), schedule[0]), _soft_min(other, cost.new_zeros(()), schedule[0])
    for epsilon in schedule:
        rows, columns = (rows + _soft_min(cost, columns, epsilon)) / 2, (columns + _soft_min(other, rows, epsilon)) / 2
    last = schedule[-1]
    by_row, by_column = _weights(cost, columns, last), _weights(other, rows, last).T
    return _soft_min(cost, columns, last), _soft_min(other, rows, last), by_row, by_column


def _within(cost: Tensor, schedule: list[float]) -> tuple[Tensor, Tensor]:
    """Return the potential of a side against itself, and the derivative ``[n n]`` of its mean with respect to the cost."""
    potential = _soft_min(cost, cost.new_zeros(()), schedule[0])
    for epsilon in schedule:
        potential = (potential + _soft_min(cost, potential, epsilon)) / 2
    return _soft_min(cost, potential, schedule[-1]), _weights(cost, potential, schedule[-1])
