"""Bayesian signed-rank test with a region of practical equivalence (Benavoli, Corani, Demsar and Zaffalon, JMLR 2017, section 4.2.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pare_bench.statistics.ties import RELATIVE

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Posterior(NamedTuple):
    """Probabilities that a difference of two tasks taken at random is typically below, inside and above the region."""

    below: float
    inside: float
    above: float


def dirichlet_weights(num: int, samples: int, *words: str | int) -> NDArray[Any]:
    """Return ``samples`` x (1 + num) weights of a prior of strength 1/2 and ``num`` observations, from the random stream ``words``."""
    import numpy as np

    from pare_bench.seeds import stream

    rng = stream(*words)
    gamma = np.concatenate([rng.standard_gamma(0.5, (samples, 1)), rng.standard_exponential((samples, num))], axis=1)
    weights: NDArray[Any] = gamma / gamma.sum(axis=1, keepdims=True)
    return weights


def bayesian_signed_rank(differences: Sequence[float], rope: float, weights: NDArray[Any]) -> Posterior:
    """Return the posterior of the signed-rank test; ``weights`` are those of :func:`dirichlet_weights` for as many differences.

    The prior is half an observation of zero, inside the region (as in baycomp). In each draw the weights of all pairs of observations whose mean
    lies below, inside and above the region are added, and the largest part takes the draw; equal parts share it. A mean on the border lies inside
    (baycomp halves it), also where rounding has put it just beyond. Infinite differences are larger than all others.

    Raises:
        ValueError: a difference is not a number.
    """
    import numpy as np

    if any(map(math.isnan, differences)):
        raise ValueError("the Bayesian signed-rank test takes differences that are numbers")
    values = np.array([0.0, *differences])
    with np.errstate(invalid="ignore"):
        means = np.nan_to_num((values[:, None] + values[None, :]) / 2, nan=0.0, posinf=np.inf, neginf=-np.inf)
    # Gains are shares of a way, of size 1: what rounding makes of a difference on the border is measured by that.
    edge = rope + RELATIVE
    parts = [((weights @ region.astype(float)) * weights).sum(axis=1) for region in (means < -edge, means > edge)]
    # The weights of a draw add up to one only to rounding: without this, a part that is exactly zero could win.
    inside = np.clip(1.0 - parts[0] - parts[1], 0.0, 1.0)
    stacked = np.round(np.stack([parts[0], inside, parts[1]]), 12)
    winners = stacked == stacked.max(axis=0)
    below, middle, above = (winners / winners.sum(axis=0)).mean(axis=1)
    return Posterior(float(below), float(middle), float(above))
