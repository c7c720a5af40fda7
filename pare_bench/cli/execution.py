"""Who carries runs out: ``--executor``, ``--jobs`` and ``-o executor.NAME=VALUE`` become one executor with its parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pare_bench.errors import UsageError

if TYPE_CHECKING:
    from pare_bench.registry.names import Registry
    from pare_bench.runs.campaign import Execution

_HEAD = "executor"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)?\Z")
_SECONDS = {None: 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(MB|GB|M|G)?\Z", re.IGNORECASE)


def split_options(options: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the ``-o`` options of the runs, and those of the executor."""
    own = [text for text in options if text.partition("=")[0].partition(".")[0] == _HEAD]
    return [text for text in options if text not in own], own


def execution_of(registry: Registry, executor: str | None, jobs: int | None, options: Sequence[str]) -> Execution:
    """Return the executor that a command asks for; ``--jobs`` alone means ``processes``.

    Raises:
        UnknownNameError: nobody registers it.
        UsageError: it has no such parameter, or the value does not fit.
    """
    from pare_bench.config.run_config import parse_overrides
    from pare_bench.runs.campaign import Execution

    params: dict[str, Any] = {}
    for path, value in parse_overrides(options):
        if len(path) == 1 or path[1:] == ("name",):
            executor = value if executor is None else executor
        elif len(path) == 2 or path[1] == "params":
            params[path[-1]] = value
        else:
            raise UsageError(f"option -o has unknown path '{'.'.join(path)}'", hint=f"pare-bench show executor {executor or 'processes'}")
    if jobs is not None:
        params["jobs"] = jobs
    name = executor or ("processes" if jobs is not None or params else "local")
    registry.entry("executor", name)
    if jobs is not None and "jobs" not in registry.component("executor", name).Params.model_fields:
        raise UsageError(f"--jobs {jobs}: executor '{name}' has no jobs", hint=f"leave --executor out, or see pare-bench show executor {name}")
    registry.params("executor", name, params)
    return Execution(name, params)


def seconds_of(text: str | None) -> float | None:
    """Return the seconds of ``90``, ``90s``, ``15m`` or ``1.5h``.

    Raises:
        UsageError: it is none of these.
    """
    if text is None:
        return None
    found = _DURATION.match(text.strip())
    if found is None or not float(found[1]):
        raise UsageError(f"--time-limit '{text}' is no time", hint="write --time-limit 90s, 15m or 1.5h")
    return float(found[1]) * _SECONDS[found[2]]


def megabytes_of(text: str | None) -> float | None:
    """Return the megabytes of ``800MB`` or ``4GB``; a number alone is megabytes.

    Raises:
        UsageError: it is none of these.
    """
    if text is None:
        return None
    found = _SIZE.match(text.strip())
    if found is None or not float(found[1]):
        raise UsageError(f"--memory-limit '{text}' is no size", hint="write --memory-limit 800MB or 4GB")
    return float(found[1]) * (1024.0 if (found[2] or "").upper().startswith("G") else 1.0)
