"""Registers suites ``openml`` and ``openml_full``, their tables, and tables from a causal model."""

from __future__ import annotations

from pare_bench.builtin.suites.openml.catalogue import CATALOGUE
from pare_bench.registry.specs import SuiteSpec, TaskSpec

_HERE = "pare_bench.builtin.suites.openml"
TASKS = (
    *(
        TaskSpec(
            name=entry.name,
            summary=entry.summary,
            target=f"{_HERE}.tasks:Openml{entry.id}",
            modality="table",
            tiers=("bundled", "official") if entry.source else ("official",),
        )
        for entry in CATALOGUE
    ),
    TaskSpec(
        name="causal_table",
        summary="tables of any size and shape from a random causal model",
        target=f"{_HERE}.causal_table:CausalTable",
        modality="table",
    ),
)
SUITES = (
    SuiteSpec(
        name="openml",
        summary="the 12 of ORCA's OpenML tables that are on every machine (Shen et al., ICML 2023)",
        tasks=tuple(entry.name for entry in CATALOGUE if entry.source),
    ),
    SuiteSpec(
        name="openml_full",
        summary="all 42 OpenML tables of ORCA; 30 of them need OpenML's files",
        tasks=tuple(entry.name for entry in CATALOGUE),
    ),
)
