"""Registers the selectors."""

from __future__ import annotations

from pare_bench.registry.specs import SelectorSpec

_HERE = "pare_bench.builtin.selectors"
SELECTORS = (
    SelectorSpec(name="gate_gumbel", summary="gate with Gumbel noise while learning, then plain top-k (PaRe)", target=f"{_HERE}.gate:GateGumbel"),
    SelectorSpec(name="gate_topk", summary="gate with plain top-k", target=f"{_HERE}.gate:GateTopK"),
    SelectorSpec(name="random", summary="uniformly random tokens (control)", target=f"{_HERE}.random:RandomSelector"),
)
