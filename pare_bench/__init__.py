"""A benchmark suite for cross-modal fine-tuning: PaRe, ORCA and their controls, through one plugin registry.

The surface here is light: nothing below imports torch until :func:`load` builds something that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pare_bench.contracts.params import Params
from pare_bench.errors import PareBenchError
from pare_bench.registry.hookspecs import hookimpl
from pare_bench.registry.specs import (
    AlignerSpec,
    BackboneSpec,
    EmbedderSpec,
    ExecutorSpec,
    MethodSpec,
    MixerSpec,
    SelectorSpec,
    SuiteSpec,
    TaskSpec,
)
from pare_bench.version import __version__

__all__ = [
    "AlignerSpec",
    "BackboneSpec",
    "EmbedderSpec",
    "ExecutorSpec",
    "MethodSpec",
    "MixerSpec",
    "Params",
    "PareBenchError",
    "SelectorSpec",
    "SuiteSpec",
    "TaskSpec",
    "__version__",
    "hookimpl",
    "load",
]


def load(kind: str, name: str, params: Mapping[str, Any] | None = None, **runtime: Any) -> Any:
    """Build any registered component.

    ``params`` are its ``Params`` by name, ``runtime`` the objects its constructor asks for, e.g.
    ``load("selector", "gate_topk", {"straight_through": False}, dim=128)`` or ``load("task", "ecg")``.

    Raises:
        UnknownNameError: no plugin registers ``name``.
        UsageError: ``params`` do not fit.
        PluginError: plugins contradict each other.
    """
    from pare_bench.registry.names import Registry

    return Registry.from_environment().build(kind, name, params, **runtime)
