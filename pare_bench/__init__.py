"""A benchmark suite for cross-modal fine-tuning: PaRe, ORCA and their controls, through one plugin registry.

The surface here is light: a name is imported when it is first asked for, and nothing imports torch until :func:`load` builds what needs it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pare_bench.registry.versions import PLUGIN_API, __version__

if TYPE_CHECKING:
    from pare_bench.cli.in_python import RunsInterrupted, compare, run
    from pare_bench.contracts.params import Params
    from pare_bench.errors import PareBenchError
    from pare_bench.records.results import Results, load_records
    from pare_bench.registry.hookspecs import hookimpl
    from pare_bench.registry.registering import names, register, unregister
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

__all__ = [
    "PLUGIN_API",
    "AlignerSpec",
    "BackboneSpec",
    "EmbedderSpec",
    "ExecutorSpec",
    "MethodSpec",
    "MixerSpec",
    "Params",
    "PareBenchError",
    "Results",
    "RunsInterrupted",
    "SelectorSpec",
    "SuiteSpec",
    "TaskSpec",
    "__version__",
    "compare",
    "hookimpl",
    "load",
    "load_records",
    "names",
    "register",
    "run",
    "unregister",
]

#: Where the names stand that are not here yet.
_PLACES: Mapping[str, str] = {
    "Params": "pare_bench.contracts.params",
    "PareBenchError": "pare_bench.errors",
    "hookimpl": "pare_bench.registry.hookspecs",
    **dict.fromkeys(("names", "register", "unregister"), "pare_bench.registry.registering"),
    **dict.fromkeys(("Results", "load_records"), "pare_bench.records.results"),
    **dict.fromkeys(("RunsInterrupted", "compare", "run"), "pare_bench.cli.in_python"),
    **{name: "pare_bench.registry.specs" for name in __all__ if name.endswith("Spec")},
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'pare_bench' has no attribute '{name}'")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load(kind: str, name: str, params: Mapping[str, Any] | None = None, **runtime: Any) -> Any:
    """Build any registered component.

    ``params`` are its ``Params`` by name, ``runtime`` the objects its constructor asks for, e.g.
    ``load("selector", "gate_topk", {"straight_through": False}, dim=128)`` or ``load("task", "ecg")``.

    Raises:
        UnknownNameError: no plugin registers ``name``.
        UsageError: ``params`` do not fit, or a runtime argument is missing or not asked for; the message says what the constructor takes.
        PluginError: plugins contradict each other.
    """
    from pare_bench.registry.registering import load as build

    return build(kind, name, params, **runtime)
