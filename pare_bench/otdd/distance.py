"""Optimal-transport data-set distance (Alvarez-Melis & Fusi, NeurIPS 2020, arXiv 2002.02923) from target features to a fixed source.

Both data sets are uniform measures over (feature, label) pairs. The ground cost, equation 5 of the paper with the feature cost halved as usual
for p = 2, and the value that is returned are::

    C((x, y), (x', y')) = (|x - x'|^2 + W(y, y')) / 2
    OT(a, b) = min_P  <P, C> + eps KL(P | a b^T)  =  max_{f, g}  <a, f> + <b, g>     (at the optimum)
    S(a, b)  = OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2                               (Feydy et al., AISTATS 2019)

with W(y, y') the squared 2-Wasserstein distance between the features that carry the two labels: exact, between Gaussians of the same mean and
covariance, or entropic and debiased. Every problem is solved to a stated tolerance in float64. An optimal plan is held fixed when differentiating
(envelope theorem), so the gradient costs no more than one evaluation of the cost. First derivatives only.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pare_bench.errors import TrainingDivergedError, UsageError
from pare_bench.otdd.labels import Cloud, exact_distance, gaussian_distance, sinkhorn_distance
from pare_bench.otdd.transport import Solver, squared_distances

#: How the distance between two labels is computed.
Inner = Literal["exact", "gaussian", "sinkhorn"]


class OTDD:
    """Distance from target features to ``source_features``; everything that depends on the source alone is computed here, once.

    Args:
        source_features: ``[source dim]``; detached.
        source_labels: ``[source]`` integers, any values.
        inner: ``"exact"`` optimal transport between the features of two labels; ``"gaussian"``: the Bures-Wasserstein formula with the sample
            mean and covariance (n - 1 in the denominator; a label with one example has covariance 0); ``"sinkhorn"``: S of the features of two
            labels for the cost |x - x'|^2.
        p: order of the distance; 2 only.
        regularisation: eps above, in the units of C (geomloss: blur^p).
        inner_regularisation: eps of ``inner="sinkhorn"``, in the units of |x - x'|^2.
        label_gradient: how often the gradient counts the part that runs through W: 1 is the derivative of the value. Released OTDD code has 0
            for its distances between clouds, which it takes as numbers, and 2 for those between Gaussians.
        debiased: return S(a, b); otherwise OT(a, b).
        tolerance: largest sum of absolute errors of the marginals at which a problem counts as solved.
        max_iterations: sweeps or Newton steps per problem; beyond it a ``RuntimeWarning`` is issued.

    Raises:
        UsageError: an option outside its range.
        ValueError: shapes that do not fit, no source example, or source features that are NaN or infinite.
    """

    def __init__(
        self,
        source_features: Float[Tensor, "source dim"],
        source_labels: Int[Tensor, " source"],
        *,
        inner: Inner = "exact",
        p: int = 2,
        regularisation: float = 0.1,
        inner_regularisation: float = 0.1,
        label_gradient: float = 1.0,
        debiased: bool = True,
        tolerance: float = 1e-8,
        max_iterations: int = 5000,
    ) -> None:
        if inner not in get_args(Inner):
            raise UsageError(f"unknown inner distance '{inner}'", hint=f"it is one of {', '.join(get_args(Inner))}")
        if p != 2:
            raise UsageError(f"otdd of order '{p}' is not defined here: p is 2")
        for name, value in (("regularisation", regularisation), ("inner_regularisation", inner_regularisation)):
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be positive, not '{value}'")
        if not (math.isfinite(label_gradient) and label_gradient >= 0):
            raise UsageError(f"label_gradient must be 0 or more, not '{label_gradient}'")
        _check(source_features, source_labels)
        if not bool(torch.isfinite(source_features).all()):
            raise ValueError("source features have NaN or infinite values")
        self.inner = inner
        self.label_gradient = label_gradient
        self.debiased = debiased
        self._solver = Solver(regularisation, tolerance, max_iterations)
        self._inner_solver = Solver(inner_regularisation, tolerance, max_iterations)
        # Metal has no float64.
        device = source_features.device if source_features.device.type != "mps" else torch.device("cpu")
        features = source_features.detach().to(device, torch.float64)
        # Distances do not change with the origin; near it, |x|^2 + |z|^2 - 2 x.z loses the fewest digits.
        self._origin = features.mean(dim=0)
        self._features = features - self._origin
        values, self._codes = torch.unique(source_labels.to(device), return_inverse=True)
        self._clouds = self._make_clouds(self._features, self._codes, len(values))
        self._self_cost = 0.0
        if debiased:
            label_cost = self._label_cost(self._clouds, self._clouds)
            self._self_cost = float(self._self_transport(self._features, self._codes, label_cost))

    @property
    def marginal_error(self) -> float:
        """Largest marginal error of the last call (of the construction before the first call), inner problems included."""
        return max(self._solver.error, self._inner_solver.error)

    @property
    def converged(self) -> bool:
        """Whether every problem of the last call was solved to the tolerance."""
        return self.marginal_error <= self._solver.tolerance

    def __call__(self, features: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, ""]:
        """Return the distance, in the type and on the device of ``features``, differentiable with respect to them.

        ``labels=None`` means that all features belong to one class. The gradient runs through the feature costs and through the label distances.

        Raises:
            ValueError: shapes that do not fit, or no example.
            TrainingDivergedError: features that are NaN or infinite.
        """
        labels = torch.zeros(len(features), dtype=torch.int64, device=features.device) if labels is None else labels
        _check(features, labels)
        if features.shape[1] != self._features.shape[1]:
            raise ValueError(f"features have width {features.shape[1]}, the source has {self._features.shape[1]}")
        if not bool(torch.isfinite(features).all()):
            raise TrainingDivergedError("target features became NaN or infinite", hint="lower the learning rate of the alignment")
        self._solver.error = self._inner_solver.error = 0.0
        target = features.to(self._features.device, torch.float64) - self._origin
        values, codes = torch.unique(labels.to(target.device), return_inverse=True)
        clouds = self._make_clouds(target if self.label_gradient else target.detach(), codes, len(values))

        cost = squared_distances(self._features, target)
        cost = (cost + self._label_cost(self._clouds, clouds)[self._codes][:, codes]) / 2
        distance = self._solver.between(cost)
        if self.debiased:
            own = self._self_transport(target, codes, self._label_cost(clouds, clouds))
            distance = distance - (own + self._self_cost) / 2
        return distance.to(features.device, features.dtype)

    def _make_clouds(self, features: Tensor, codes: Tensor, count: int) -> list[Cloud]:
        """Return the features of each label."""
        members = [features[codes == label] for label in range(count)]
        match self.inner:
            case "exact":
                return [Cloud.plain(points) for points in members]
            case "gaussian":
                return [Cloud.gaussian(points) for points in members]
            case "sinkhorn":
                return [Cloud.entropic(points, self._inner_solver) for points in members]

    def _label_distance(self, first: Cloud, second: Cloud) -> Tensor:
        match self.inner:
            case "exact":
                return exact_distance(first, second)
            case "gaussian":
                return gaussian_distance(first, second)
            case "sinkhorn":
                return sinkhorn_distance(first, second, self._inner_solver)

    def _label_cost(self, first: list[Cloud], second: list[Cloud]) -> Tensor:
        """Return W ``[len(first) len(second)]``; when both are the same list, each pair is computed once and the diagonal is 0."""
        same = first is second
        zero = first[0].mean.new_zeros(())
        table = [[zero] * len(second) for _ in first]
        for row, cloud in enumerate(first):
            for column in range(row + 1 if same else 0, len(second)):
                table[row][column] = self._label_distance(cloud, second[column])
                if same:
                    table[column][row] = table[row][column]
        cost = torch.stack([torch.stack(row) for row in table])
        if self.label_gradient != 1:
            cost = cost.detach() + self.label_gradient * (cost - cost.detach())
        return cost

    def _self_transport(self, features: Tensor, codes: Tensor, label_cost: Tensor) -> Tensor:
        """Return OT of a data set with itself."""
        return self._solver.within((squared_distances(features, features) + label_cost[codes][:, codes]) / 2)


def _check(features: Tensor, labels: Tensor) -> None:
    if features.ndim != 2 or len(features) == 0 or labels.shape != features.shape[:1]:
        raise ValueError(f"need features [n dim] and labels [n] with n > 0, not {list(features.shape)} and {list(labels.shape)}")
    if labels.is_floating_point():
        raise ValueError(f"labels must be integers, not {labels.dtype}")
