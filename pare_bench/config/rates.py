"""The learning rate that a body asks of the presets made for small ones."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pare_bench.config.run_config import Recipe, RunConfig
from pare_bench.contracts.params import as_json
from pare_bench.errors import PareBenchError, PluginError
from pare_bench.registry.names import Registry

#: The path that ``-o`` takes.
PATH = "recipe.learning_rate"
#: Its rates are published, for bodies of published size.
_PUBLISHED = "paper"
#: What was asked of functions: a body is built for its weights to be counted.
_KNOWN: dict[tuple[str, str], float | None] = {}


def body_rate(registry: Registry, preset: str, name: str, params: Mapping[str, Any]) -> float | None:
    """Return the largest learning rate for backbone ``name``, as its spec declares it; None where the preset's stays.

    It stays in preset ``paper``, and for a body that cannot be built (not on this machine, say): its run ends with the error that says so.

    Raises:
        PluginError: the declared function cannot be loaded, fails, or returns no positive number.
    """
    declared = registry.spec("backbone", name).learning_rate
    if declared is None or preset == _PUBLISHED:
        return None
    return _asked(registry, name, declared, params) if isinstance(declared, str) else float(declared)


def is_asked(registry: Registry, name: str) -> bool:
    """Return whether the rate for a backbone is what a function returns now, so that it cannot be remembered."""
    return isinstance(registry.spec("backbone", name).learning_rate, str)


def _asked(registry: Registry, name: str, declared: str, params: Mapping[str, Any]) -> float | None:
    checked = registry.params("backbone", name, params)
    key = declared, json.dumps(as_json(checked), sort_keys=True)
    if key not in _KNOWN:
        module, _, function = declared.partition(":")
        try:
            rate = getattr(importlib.import_module(module), function)(checked)
        except PluginError:
            raise
        except PareBenchError:
            rate = None
        except Exception as error:
            raise PluginError(
                f"backbone '{name}' cannot say its learning rate: {type(error).__name__}: {error}", hint=f"check learning_rate '{declared}'"
            ) from error
        if rate is not None and not (isinstance(rate, int | float) and 0 < rate < math.inf):
            raise PluginError(f"backbone '{name}' says that its learning rate is {rate!r}", hint=f"'{declared}' returns a positive number")
        _KNOWN[key] = rate
    return _KNOWN[key]


def suited(registry: Registry, values: dict[str, Any], given: Collection[str]) -> bool:
    """Lower the learning rate in the nested values of a run to what the run's body takes, unless its path is among those that were ``given``.

    Returns whether it was lowered.

    Raises:
        PluginError: as :func:`body_rate`.
    """
    chosen = values.get("backbone")
    if chosen is None or PATH in given:
        return False
    rate = body_rate(registry, values["preset"], chosen["name"], chosen["params"])
    recipe = values.get("recipe") or {}
    if rate is None or rate >= recipe.get("learning_rate", Recipe.model_fields["learning_rate"].default):
        return False
    values["recipe"] = {**recipe, "learning_rate": rate}
    return True


def rate_notes(registry: Registry, configs: Iterable[RunConfig]) -> tuple[str, ...]:
    """Return a line for each body that has set the learning rate of some of ``configs``, each once."""
    notes: dict[str, None] = {}
    for config in configs:
        chosen, own = config.backbone, config.recipe.learning_rate
        if chosen is not None and body_rate(registry, config.preset, chosen.name, chosen.params) == own:
            model = chosen.params.get("model")
            what = f"'{chosen.name}'" + (f" ({model})" if model else "")
            notes[f"{PATH} is {own:g}, which backbone {what} asks for; -o {PATH}=RATE sets another"] = None
    return tuple(notes)
