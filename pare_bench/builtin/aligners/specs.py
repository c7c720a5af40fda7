"""Registers the alignment distances."""

from __future__ import annotations

from pare_bench.registry.specs import AlignerSpec

_HERE = "pare_bench.builtin.aligners"
ALIGNERS = (
    AlignerSpec(name="otdd_exact", summary="optimal-transport data-set distance, exact label distances", target=f"{_HERE}.otdd:OtddExact"),
    AlignerSpec(name="otdd_gaussian", summary="optimal-transport data-set distance, Gaussian label distances", target=f"{_HERE}.otdd:OtddGaussian"),
    AlignerSpec(
        name="otdd_released",
        summary="optimal-transport data-set distance as in ORCA's released code computes it, with its gradient",
        target=f"{_HERE}.otdd_released:OtddReleased",
    ),
    AlignerSpec(name="mmd", summary="maximum mean discrepancy, five RBF bandwidths", target=f"{_HERE}.mmd:Mmd"),
    AlignerSpec(name="l2", summary="distance of the feature means", target=f"{_HERE}.l2:L2"),
    AlignerSpec(name="l2_released", summary="mean distance of source-target pairs, as in ORCA's released code", target=f"{_HERE}.l2:L2Released"),
    AlignerSpec(name="none", summary="no alignment (control)", target=f"{_HERE}.none:NoAlignment"),
)
