"""Registers PaRe; every other method is a baseline."""

from __future__ import annotations

from pare_bench.registry.specs import MethodSpec

METHODS = (
    MethodSpec(
        name="pare",
        summary="gradual replacement of target patches by source patches (Cai et al., ICML 2024)",
        target="pare_bench.builtin.methods.pare:Pare",
        slots=("backbone", "embedder", "selector", "mixer", "source"),
    ),
)
