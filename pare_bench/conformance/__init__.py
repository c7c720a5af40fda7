"""What any component must satisfy, built-in or from a third party: checks that return the problems they find, none when it conforms.

``pare-bench check NAME`` and the project's own tests call :func:`check`; an author's tests may call the check of a kind on a class directly::

    assert check_selector(MySelector) == []
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pare_bench.conformance.alignment import check_aligner
from pare_bench.conformance.bodies import check_backbone, check_embedder
from pare_bench.conformance.executors import check_executor
from pare_bench.conformance.methods import check_method
from pare_bench.conformance.observers import check_observer, observers
from pare_bench.conformance.suites import check_suite
from pare_bench.conformance.tasks import check_task
from pare_bench.conformance.tokens import check_mixer, check_selector
from pare_bench.contracts.params import Params
from pare_bench.errors import PluginError, UsageError, unknown_name
from pare_bench.registry.names import Registry

__all__ = [
    "check",
    "check_aligner",
    "check_backbone",
    "check_embedder",
    "check_executor",
    "check_method",
    "check_mixer",
    "check_observer",
    "check_selector",
    "check_suite",
    "check_task",
    "observers",
]


def check(registry: Registry, kind: str, name: str, params: dict[str, Any] | None = None) -> list[str]:
    """Return the problems of a registered component, with default parameters or ``params``, or of kind ``observer``, whose name is its plugin's.

    Raises:
        UnknownNameError: nobody registers it.
        UsageError: ``params`` do not fit.
        DataMissingError: it needs files that are not on this machine (weights from a hub).
    """
    if kind == "observer":
        if name not in observers(registry):
            raise unknown_name(kind, name, observers(registry), hint="pare-bench plugins")
        return check_observer(registry, name)
    spec = registry.spec(kind, name)
    if kind == "suite":
        return check_suite(registry, spec)
    try:
        component = registry.component(kind, name)
        chosen: Params = registry.params(kind, name, params)
    except (PluginError, UsageError) as error:
        if params:
            raise
        return [str(error)]
    checks: dict[str, Callable[[], list[str]]] = {
        "task": lambda: check_task(component, chosen, spec=spec),
        "method": lambda: check_method(component, chosen, slots=spec.slots, registry=registry),
        "backbone": lambda: check_backbone(component, chosen, modality=spec.modality),
        "embedder": lambda: check_embedder(component, chosen, modality=spec.modality),
        "selector": lambda: check_selector(component, chosen),
        "mixer": lambda: check_mixer(component, chosen),
        "aligner": lambda: check_aligner(component, chosen),
        "executor": lambda: check_executor(component, chosen),
    }
    return checks[kind]()
