"""Optimal-transport data-set distance (Alvarez-Melis & Fusi, NeurIPS 2020, arXiv 2002.02923) from target features to a fixed source.

Both data sets are uniform measures over (feature, label) pairs. The ground cost, equation 5 of the paper with the feature cost halved as usual
for p = 2, and the value that is returned are::

    C((x, y), (x', y')) = (|x - x'|^2 + W(y, y')) / 2
    OT(a, b) = min_P  <P, C> + eps KL(P | a b^T)  =  max_{f, g}  <a, f> + <b, g>     (at the optimum)
    S(a, b)  = OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2                               (Feydy et al., AISTATS 2019)

with W(y, y') the squared 2-Wasserstein distance between the features that carry the two labels, exact or between Gaussians of the same mean and
covariance. Every problem is solved to a stated tolerance in float64. An optimal plan is held fixed when differentiating (envelope theorem), so
the gradient costs no more than one evaluation of the cost. First derivatives only.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pare_bench.errors import TrainingDivergedError, UsageError

#: Above this many points on the smaller side one Newton step costs more than the Sinkhorn sweeps it saves.
NEWTON_LIMIT = 2048
#: Network simplex pivots after which an inner exact problem is given up.
PIVOT_LIMIT = 10_000_000


class OTDD:
    """Distance from target features to ``source_features``; everything that depends on the source alone is computed here, once.

    Args:
        source_features: ``[source dim]``; detached.
        source_labels: ``[source]`` integers, any values.
        inner: ``"exact"`` optimal transport between the features of two labels, or ``"gaussian"``: the Bures-Wasserstein formula with the sample
            mean and covariance (n - 1 in the denominator; a label with one example has covariance 0).
        p: order of the distance; 2 only.
        regularisation: eps above, in the units of C (geomloss: blur^p).
        debiased: return S(a, b); otherwise OT(a, b).
        tolerance: largest sum of absolute errors of the marginals at which a problem counts as solved.
        max_iterations: sweeps or Newton steps per problem; beyond it a ``RuntimeWarning`` is issued.

    Attributes:
        marginal_error: largest marginal error of the last call (of the construction before the first call).
        converged: whether that is at most ``tolerance``.

    Raises:
        UsageError: an option outside its range.
        ValueError: shapes that do not fit, no source example, or source features that are NaN or infinite.
    """

    def __init__(
        self,
        source_features: Float[Tensor, "source dim"],
        source_labels: Int[Tensor, " source"],
        *,
        inner: Literal["exact", "gaussian"] = "exact",
        p: int = 2,
        regularisation: float = 0.1,
        debiased: bool = True,
        tolerance: float = 1e-8,
        max_iterations: int = 5000,
    ) -> None:
        if inner not in ("exact", "gaussian"):
            raise UsageError(f"unknown inner distance '{inner}': it is 'exact' or 'gaussian'")
        if p != 2:
            raise UsageError(f"otdd of order '{p}' is not defined here: p is 2")
        if not (math.isfinite(regularisation) and regularisation > 0):
            raise UsageError(f"regularisation must be positive, not '{regularisation}'")
        _check(source_features, source_labels)
        if not bool(torch.isfinite(source_features).all()):
            raise ValueError("source features have NaN or infinite values")
        self.inner = inner
        self.regularisation = regularisation
        self.debiased = debiased
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        # Metal has no float64.
        device = source_features.device if source_features.device.type != "mps" else torch.device("cpu")
        features = source_features.detach().to(device, torch.float64)
        # Distances do not change with the origin; near it, |x|^2 + |z|^2 - 2 x.z loses the fewest digits.
        self._origin = features.mean(dim=0)
        self._features = features - self._origin
        values, self._codes = torch.unique(source_labels.to(device), return_inverse=True)
        self._clouds = self._make_clouds(self._features, self._codes, len(values))
        self._self_cost = 0.0
        self.marginal_error = 0.0
        if debiased:
            label_cost = self._label_cost(self._clouds, self._clouds)
            self._self_cost = float(self._self_transport(self._features, self._codes, label_cost))

    @property
    def converged(self) -> bool:
        """Whether every problem of the last call was solved to the tolerance."""
        return self.marginal_error <= self.tolerance

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
        self.marginal_error = 0.0
        target = features.to(self._features.device, torch.float64) - self._origin
        values, codes = torch.unique(labels.to(target.device), return_inverse=True)
        clouds = self._make_clouds(target, codes, len(values))

        cost = squared_distances(self._features, target)
        cost = (cost + self._label_cost(self._clouds, clouds)[self._codes][:, codes]) / 2
        fixed = cost.detach()
        wide = fixed.shape[0] < fixed.shape[1]
        value, plan, error = _transport(fixed.T if wide else fixed, self.regularisation, self.tolerance, self.max_iterations)
        self._note(error)
        distance = _with_gradient(value, plan.T if wide else plan, cost)
        if self.debiased:
            own = self._self_transport(target, codes, self._label_cost(clouds, clouds))
            distance = distance - (own + self._self_cost) / 2
        return distance.to(features.device, features.dtype)

    def _make_clouds(self, features: Tensor, codes: Tensor, count: int) -> list[Cloud]:
        """Return the features of each label."""
        members = [features[codes == label] for label in range(count)]
        return [Cloud.of(points, gaussian=self.inner == "gaussian") for points in members]

    def _label_cost(self, first: list[Cloud], second: list[Cloud]) -> Tensor:
        """Return W ``[len(first) len(second)]``; when both are the same list, each pair is computed once and the diagonal is 0."""
        distance = gaussian_distance if self.inner == "gaussian" else exact_distance
        same = first is second
        zero = first[0].mean.new_zeros(())
        table = [[zero] * len(second) for _ in first]
        for row, cloud in enumerate(first):
            for column in range(row + 1 if same else 0, len(second)):
                table[row][column] = distance(cloud, second[column])
                if same:
                    table[column][row] = table[row][column]
        return torch.stack([torch.stack(row) for row in table])

    def _self_transport(self, features: Tensor, codes: Tensor, label_cost: Tensor) -> Tensor:
        """Return OT of a data set with itself."""
        cost = (squared_distances(features, features) + label_cost[codes][:, codes]) / 2
        value, potential, error = _symmetric_transport(cost.detach(), self.regularisation, self.tolerance, self.max_iterations)
        self._note(error)
        if not cost.requires_grad:
            return value
        plan = ((potential[:, None] + potential - cost.detach()) / self.regularisation).exp_() / len(cost) ** 2
        return _with_gradient(value, plan, cost)

    def _note(self, error: float) -> None:
        self.marginal_error = max(self.marginal_error, error)
        if error > self.tolerance:
            warnings.warn(
                f"optimal transport stopped after {self.max_iterations} iterations with marginal error {error:.1e} (tolerance {self.tolerance:.1e})",
                RuntimeWarning,
                stacklevel=3,
            )


@dataclass(frozen=True)
class Cloud:
    """The features of one label ``[points dim]``, their mean, and a root R of their covariance: R^T R = cov (``None`` for exact transport)."""

    points: Tensor
    mean: Tensor
    root: Tensor | None

    @classmethod
    def of(cls, points: Tensor, *, gaussian: bool) -> Cloud:
        """Return the cloud of ``points``, its root with n - 1 in the denominator; one point has covariance 0."""
        mean = points.mean(dim=0)
        if not gaussian:
            return cls(points, mean, None)
        root = (points - mean) / math.sqrt(max(len(points) - 1, 1))
        if not points.requires_grad and len(root) > root.shape[1]:
            # Same R^T R with at most dim rows.
            root = torch.linalg.qr(root, mode="r").R
        return cls(points, mean, root)


def exact_distance(first: Cloud, second: Cloud) -> Tensor:
    """Return the squared 2-Wasserstein distance between two uniform point clouds; differentiable, the optimal plan held fixed.

    Raises:
        RuntimeError: the network simplex did not finish.
    """
    cost = squared_distances(first.points, second.points)
    if 1 in cost.shape:
        return cost.mean()
    import ot

    plan, log = ot.emd([], [], cost.detach().cpu().numpy(), numItermax=PIVOT_LIMIT, log=True, center_dual=False)
    if log["warning"] is not None:
        raise RuntimeError(f"exact transport between {cost.shape[0]} and {cost.shape[1]} points did not finish: {log['warning']}")
    distance: Tensor = (torch.from_numpy(plan).to(cost) * cost).sum()
    return distance


def gaussian_distance(first: Cloud, second: Cloud) -> Tensor:
    """Return |m - m'|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) of two Gaussians with means m, m' and covariances A, B; differentiable.

    With A = R^T R and B = Q^T Q the trace of the matrix root is the nuclear norm of R Q^T. That needs no matrix root of the (rank-deficient)
    covariances, and its derivative, the polar factor restricted to the range, stays bounded where eigenvalues vanish.
    """
    if first.root is None or second.root is None:
        raise ValueError("these clouds have no covariance root")
    cross = first.root @ second.root.T
    left, singular, right = torch.linalg.svd(cross.detach(), full_matrices=False)
    kept = (singular > singular[0] * max(cross.shape) * torch.finfo(cross.dtype).eps).to(cross)
    fidelity = (((left * kept) @ right) * cross).sum()
    bures: Tensor = first.root.square().sum() + second.root.square().sum() - 2 * fidelity
    distance: Tensor = (first.mean - second.mean).square().sum() + bures
    return distance


def _check(features: Tensor, labels: Tensor) -> None:
    if features.ndim != 2 or len(features) == 0 or labels.shape != features.shape[:1]:
        raise ValueError(f"need features [n dim] and labels [n] with n > 0, not {list(features.shape)} and {list(labels.shape)}")
    if labels.is_floating_point():
        raise ValueError(f"labels must be integers, not {labels.dtype}")


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Return |x_i - z_j|^2 ``[first second]``, never negative."""
    product = torch.addmm(second.square().sum(dim=1)[None], first, second.T, alpha=-2)
    return (product + first.square().sum(dim=1)[:, None]).clamp(min=0)


def _with_gradient(value: Tensor, plan: Tensor, cost: Tensor) -> Tensor:
    """Return ``value`` with the gradient of <plan, cost>: the derivative of an optimal value with respect to the cost is its optimal plan."""
    linear = (plan * cost).sum()
    return value + (linear - linear.detach())


def _levels(cost: Tensor, epsilon: float) -> list[float]:
    """Return regularisations falling by halves from the range of the cost to ``epsilon``: each solution starts the next."""
    span = float(cost.max() - cost.min())
    steps = math.ceil(math.log2(max(span / epsilon, 1.0)))
    return [epsilon * 2.0**step for step in range(steps, -1, -1)]


def _soft_min(cost: Tensor, potential: Tensor, epsilon: float) -> Tensor:
    """Return -eps log mean_j exp((potential_j - C_ij) / eps) for each row: the potential that makes the row marginals exact."""
    return -epsilon * (torch.logsumexp((potential - cost) / epsilon, dim=1) - math.log(cost.shape[1]))


def _symmetric_transport(cost: Tensor, epsilon: float, tolerance: float, max_iterations: int) -> tuple[Tensor, Tensor, float]:
    """Return value, potential f (= g) and marginal error of a uniform measure with itself.

    The averaged iteration f <- (f + T f) / 2 halves the error, or better, in every sweep where exp(-C / eps) is positive semi-definite.
    """
    potential = cost.new_zeros(len(cost))
    error = math.inf
    for level in _levels(cost, epsilon):
        # Only the last level is solved to the tolerance; before it one sweep per level follows the path closely enough.
        for _ in range(max_iterations if level == epsilon else 1):
            update = _soft_min(cost, potential, level)
            error = float(torch.expm1((potential - update) / level).abs().mean())
            if level == epsilon and error <= tolerance:
                break
            potential = (potential + update) / 2
    return 2 * potential.mean(), potential, error


def _transport(cost: Tensor, epsilon: float, tolerance: float, max_iterations: int) -> tuple[Tensor, Tensor, float]:
    """Return value, plan ``[n m]`` and column-marginal error between uniform measures of n >= m points.

    Row potentials are eliminated (:func:`_soft_min`), which leaves a smooth concave function of the m column potentials g,
    D(g) = mean f(g) + mean g. Damped Newton steps on it converge in a few tens of steps where Sinkhorn sweeps, whose rate tends to 1 as eps / C
    falls, need thousands. The damping falls after a full step and rises after a refused one (Levenberg-Marquardt). For more than
    ``NEWTON_LIMIT`` columns only sweeps are taken.
    """
    columns = cost.shape[1]
    potential = cost.new_zeros(columns)
    iterations = 0
    error, value, plan = math.inf, cost.new_zeros(()), cost
    for level in _levels(cost, epsilon):
        potential = _sweep(cost, potential, level)
        value, plan = _semi_dual(cost, potential, level)
        damping = 1e-3
        while True:
            gap = 1 / columns - plan.sum(dim=0)
            error = float(gap.abs().sum())
            if error <= (tolerance if level == epsilon else max(tolerance, 1e-3)) or iterations >= max_iterations:
                break
            iterations += 1
            if columns > NEWTON_LIMIT:
                potential = _sweep(cost, potential, level)
                value, plan = _semi_dual(cost, potential, level)
                continue
            step = _newton_step(plan, gap, level, damping * min(error, 1.0))
            share = _accepted_share(cost, potential, step, gap, value=value, epsilon=level)
            damping = max(damping / 10, 1e-6) if share == 1.0 else damping * 10
            if share > 0:
                potential = potential + share * step
                value, plan = _semi_dual(cost, potential, level)
    return value, plan, error


def _semi_dual(cost: Tensor, potential: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return D(g) and the plan, whose rows sum to 1 / n exactly."""
    scores = (potential - cost) / epsilon
    top = scores.max(dim=1, keepdim=True).values
    plan = scores.sub_(top).exp_()
    total = plan.sum(dim=1, keepdim=True)
    rows = -epsilon * (top + total.log() - math.log(cost.shape[1]))
    return rows.mean() + potential.mean(), plan.div_(total * len(cost))


def _sweep(cost: Tensor, potential: Tensor, epsilon: float) -> Tensor:
    """Return the column potentials after one Sinkhorn sweep (rows, then columns)."""
    return _soft_min(cost.T, _soft_min(cost, potential, epsilon), epsilon)


def _newton_step(plan: Tensor, gap: Tensor, epsilon: float, damping: float) -> Tensor:
    """Return the damped Newton direction of D: (diag(P^T 1) - n P^T P + damping / m) step = eps gap."""
    rows, columns = plan.shape
    # D does not change when a constant is added to g: the constant matrix 1 / m^2 fixes that direction.
    hessian = torch.diag(plan.sum(dim=0)) - rows * (plan.T @ plan) + 1 / columns**2
    hessian.diagonal().add_(damping / columns + 1e-14)
    step: Tensor = epsilon * torch.linalg.solve(hessian, gap)
    return step


def _accepted_share(cost: Tensor, potential: Tensor, step: Tensor, gap: Tensor, *, value: Tensor, epsilon: float) -> float:
    """Return the first of 1, 1/2, 1/4, 1/8 of the step that raises D enough (Armijo); 0.0 when none does."""
    slope = float(gap @ step)
    # Close to the optimum the rise drowns in the rounding of D.
    rounding = 1e-14 * (1 + abs(float(value)))
    for halving in range(4):
        share = 0.5**halving
        if float(_semi_dual(cost, potential + share * step, epsilon)[0] - value) >= 1e-4 * share * slope - rounding:
            return share
    return 0.0
