"""What a command resolved to last time: a request that was resolved before needs no component's class, and so no torch, to be served."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import VERSION, ValidationError

from pare_bench.config.rates import is_asked
from pare_bench.config.resolution import Request, resolve_one
from pare_bench.config.run_config import RunConfig
from pare_bench.digests.files import sha256_of
from pare_bench.digests.memory import Memory
from pare_bench.errors import UnknownNameError
from pare_bench.provenance.identity import components_of, specs_of
from pare_bench.registry.names import Registry

#: Rooms and modules that take part in every resolution.
_RESOLVING = ("config", "registry", "contracts/params.py")


class Plans:
    """Resolved requests, remembered as long as the code of every component in them, their registration and the resolving itself stay as they are."""

    def __init__(self) -> None:
        self._memory = Memory("plans", f"1 {VERSION} {_resolving()}")

    def one(self, registry: Registry, request: Request, task: str, seed: int, overrides: Sequence[tuple[tuple[str, ...], Any]]) -> RunConfig:
        """Return what :func:`pare_bench.config.resolution.resolve_one` returns; the seed changes nothing but itself."""
        asked = {**asdict(request), "seeds": (), "tasks": (), "tiers": {task: request.tiers.get(task)}, "task": task}
        key = json.dumps(asked, sort_keys=True)
        known = self._memory.get(key)
        if known is not None:
            try:
                config = RunConfig.model_validate({**known["config"], "seed": seed})
                if known["state"] == _state(registry, config):
                    return config
            except (ValidationError, KeyError, TypeError, UnknownNameError):
                pass
        config = resolve_one(registry, request, task, seed, overrides)
        if config.backbone is not None and is_asked(registry, config.backbone.name):
            # The files of the body, which its learning rate depends on, are not part of the state.
            return config
        self._memory.put(key, {"config": json.loads(config.canonical()), "state": _state(registry, config)})
        return config

    def save(self) -> None:
        """Write down what was resolved for the first time."""
        self._memory.save()


def _state(registry: Registry, config: RunConfig) -> str:
    """Return a digest over the code and the registration of the components of a run; no class is imported."""
    specs = specs_of(registry, components_of(config))
    code = registry.code.closure([spec.target for spec in specs]).sha256
    return hashlib.sha256("\n".join([code, *map(repr, specs)]).encode()).hexdigest()


def _resolving() -> str:
    root = Path(str(files("pare_bench")))
    places = [path for name in _RESOLVING for path in (sorted((root / name).glob("*.py")) if (root / name).is_dir() else [root / name])]
    return hashlib.sha256("".join(map(sha256_of, places)).encode()).hexdigest()
