"""Entropic optimal transport between uniform measures, solved to a stated tolerance in float64.

What is minimised over the plans P is  <P, C> + eps KL(P | a b^T).

An optimal plan is held fixed when differentiating (envelope theorem): plans are found without a graph, and <P, C> is evaluated with one.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

#: Above this many points on the smaller side one Newton step costs more than the Sinkhorn sweeps it saves.
NEWTON_LIMIT = 2048


class Solver:
    """Solves problems of one regularisation and remembers how well.

    Attributes:
        error: largest marginal error (sum of absolute errors) since it was last set to 0.
    """

    def __init__(self, regularisation: float, tolerance: float, max_iterations: int) -> None:
        self.regularisation = regularisation
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.error = 0.0

    def between(self, cost: Tensor) -> Tensor:
        """Return OT of two uniform measures with ``cost`` ``[n m]``, differentiable with respect to it."""
        fixed = cost.detach()
        wide = fixed.shape[0] < fixed.shape[1]
        value, plan, error = _transport(fixed.T if wide else fixed, self.regularisation, self.tolerance, self.max_iterations)
        self._note(error)
        return _with_gradient(value, plan.T if wide else plan, cost)

    def within(self, cost: Tensor) -> Tensor:
        """Return OT of a uniform measure with itself, ``cost`` ``[n n]`` symmetric; differentiable with respect to it."""
        value, potential, error = _symmetric_transport(cost.detach(), self.regularisation, self.tolerance, self.max_iterations)
        self._note(error)
        if not cost.requires_grad:
            return value
        plan = ((potential[:, None] + potential - cost.detach()) / self.regularisation).exp_() / len(cost) ** 2
        return _with_gradient(value, plan, cost)

    def _note(self, error: float) -> None:
        self.error = max(self.error, error)
        if error > self.tolerance:
            warnings.warn(
                f"optimal transport stopped after {self.max_iterations} iterations with marginal error {error:.1e} (tolerance {self.tolerance:.1e})",
                RuntimeWarning,
                stacklevel=3,
            )


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
