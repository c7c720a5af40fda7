"""Squared 2-Wasserstein distance between the features of two labels: by exact transport, between Gaussians, or by debiased entropic transport."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pare_bench.otdd.transport import Solver, squared_distances

#: Network simplex pivots after which an exact problem is given up.
PIVOT_LIMIT = 10_000_000


@dataclass(frozen=True)
class Cloud:
    """The features of one label ``[points dim]`` and their mean.

    ``root`` R has R^T R = covariance (Gaussian distances alone), ``own`` is the entropic transport of the points to themselves (Sinkhorn
    distances alone).
    """

    points: Tensor
    mean: Tensor
    root: Tensor | None = None
    own: Tensor | None = None

    @classmethod
    def plain(cls, points: Tensor) -> Cloud:
        """Return the cloud for exact distances."""
        return cls(points, points.mean(dim=0))

    @classmethod
    def gaussian(cls, points: Tensor) -> Cloud:
        """Return the cloud for distances between Gaussians; the covariance has n - 1 in the denominator, one point has covariance 0."""
        mean = points.mean(dim=0)
        root = (points - mean) / math.sqrt(max(len(points) - 1, 1))
        if not points.requires_grad and len(root) > root.shape[1]:
            # Same R^T R with at most dim rows.
            root = torch.linalg.qr(root, mode="r").R
        return cls(points, mean, root=root)

    @classmethod
    def entropic(cls, points: Tensor, solver: Solver) -> Cloud:
        """Return the cloud for Sinkhorn distances, its transport to itself solved."""
        return cls(points, points.mean(dim=0), own=solver.within(squared_distances(points, points)))


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


def sinkhorn_distance(first: Cloud, second: Cloud, solver: Solver) -> Tensor:
    """Return the Sinkhorn divergence S(a, b) = OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2 for the cost |x - x'|^2; differentiable, plans held fixed."""
    if first.own is None or second.own is None:
        raise ValueError("these clouds have not been transported to themselves")
    return solver.between(squared_distances(first.points, second.points)) - (first.own + second.own) / 2
