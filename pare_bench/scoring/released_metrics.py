"""Scores as the released code of ORCA and PaRe computes them, where that is another number than the definition in ``pare_bench.metrics``.

For the ``paper`` track only; what each one does differently is said where it is defined. This module does not import torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pare_bench.metrics import CONTACT_ANGSTROM, LONG_RANGE_RESIDUES, MIN_DISTANCE_ANGSTROM


def mae_8_released(pred: NDArray[np.floating], target: NDArray[np.floating], lengths: NDArray[np.integer], padding: int = 10) -> float:
    """Return MAE_8 of long-range residue pairs as released, in angstrom; :func:`pare_bench.metrics.mae_8` is the definition.

    Two differences, both of the released evaluation of one protein at a time. The length of the *first* protein of the list is used for every
    protein: of a longer one only the first residues count, a shorter one is unaffected, as what lies outside it is 100 angstrom away. And the map
    is symmetrised twice, the first time in place on the upper triangle alone, so that the value of a pair is 3/4 of the lower and 1/4 of the
    upper prediction, each floored at 0.01 after the first time. Arithmetic is in the type of ``pred``, as there.

    A protein without a pair at least 24 residues apart and at most 8 angstrom away ends the released run with an error; here it is left out of
    the mean.

    Args:
        pred: predicted distances ``[n size size]``.
        target: true distances ``[n size size]``; only the upper triangle counts.
        lengths: residues of each protein ``[n]``; only the first is used.
        padding: padded pixels of a side in all.

    Raises:
        ValueError: the shapes do not fit, ``pred`` is not finite, or no protein has such a pair.
    """
    if pred.shape != target.shape or pred.ndim != 3 or pred.shape[1] != pred.shape[2] or len(lengths) != len(pred):
        raise ValueError(f"pred {list(pred.shape)}, target {list(target.shape)} and lengths {list(lengths.shape)} do not fit")
    if not np.isfinite(pred).all():
        raise ValueError("pred has NaN or infinite values")
    start, length = padding // 2, int(lengths[0])
    if length < 1 or length > pred.shape[1] - padding:
        raise ValueError(f"length {length} with padding {padding} does not fit maps of size {pred.shape[1]}")
    inside = slice(start, start + length)
    values = []
    for outputs, truth in zip(pred[:, inside, inside], target[:, inside, inside], strict=True):
        once = np.maximum(np.where(np.tri(length, k=-1, dtype=bool), outputs, (outputs + outputs.T) / 2), MIN_DISTANCE_ANGSTROM)
        twice = (once + once.T) / 2
        scored = np.triu(truth <= CONTACT_ANGSTROM, k=LONG_RANGE_RESIDUES)
        if scored.any():
            values.append(np.mean(np.abs(truth.astype(np.float64) - twice)[scored]))
    if not values:
        raise ValueError("MAE_8 is undefined: no protein has a pair 24 residues apart within 8 angstrom")
    return float(np.mean(values))
