"""Which values a score can have at all: those of the metrics in :mod:`pare_bench.metrics`, by the names that tasks give them."""

from __future__ import annotations

import math

_SHARES = frozenset(
    (
        *("error_rate", "macro_f1_error", "macro_f1_error_recordings", "map_error", "auroc_error", "auroc_ovo_error", "auroc_ovr_error"),
        *("mask_auroc_error", "false_negative_rate"),
    )
)
_DISTANCES = frozenset(("relative_l2", "mae_8", "nrmse"))


def range_of(metric: str) -> tuple[float, float]:
    """Return the lowest and the highest value that a metric of this name can have; of a plugin's own metric nothing is known."""
    if metric in _SHARES:
        return 0.0, 1.0
    # One for each channel of a field, too: nrmse_density.
    if metric in _DISTANCES or metric.startswith("nrmse_"):
        return 0.0, math.inf
    return -math.inf, math.inf
