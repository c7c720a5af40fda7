"""Checks of a suite: that its tasks are there, and are tasks of a benchmark."""

from __future__ import annotations

from collections.abc import Iterator

from pare_bench.conformance.reporting import collect
from pare_bench.registry.names import Registry
from pare_bench.registry.specs import SuiteSpec


def check_suite(registry: Registry, spec: SuiteSpec) -> list[str]:
    """Return what keeps the tasks of ``spec`` from being those of a suite."""
    return collect(_suite(registry, spec))


def _suite(registry: Registry, spec: SuiteSpec) -> Iterator[str]:
    for task in spec.tasks:
        if task not in registry.names("task"):
            yield f"its task '{task}' is not registered"
        elif registry.spec("task", task).proxy:
            yield f"its task '{task}' is source data, which methods learn from and no table ranks"
