"""Registers the alignment distances."""

from __future__ import annotations

from pare_bench.registry.specs import AlignerSpec

_HERE = "pare_bench.builtin.aligners"
ALIGNERS = (
    AlignerSpec(name="otdd_exact", summary="optimal-transport data-set distance, exact label distances", target=f"{_HERE}.otdd:OtddExact"),
    AlignerSpec(name="otdd_gaussian", summary="optimal-transport data-set distance, Gaussian label distances", target=f"{_HERE}.otdd:OtddGaussian"),
    AlignerSpec(name="mmd", summary="maximum mean discrepancy, five RBF bandwidths", target=f"{_HERE}.mmd:Mmd"),
    AlignerSpec(name="l2", summary="distance of the feature means", target=f"{_HERE}.l2:L2"),
    AlignerSpec(name="none", summary="no alignment (control)", target=f"{_HERE}.none:NoAlignment"),
)
