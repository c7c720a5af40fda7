"""The digests of a run's backbone: its weights and its configuration files, found out without torch where nothing has changed since last time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pare_bench.config.run_config import RunConfig
from pare_bench.digests.files import stamp_of
from pare_bench.digests.memory import Memory
from pare_bench.registry.names import Registry


@dataclass(frozen=True)
class Body:
    """SHA-256 of the weight files and of the configuration files that a backbone reads, each "" where there are none."""

    weights: str = ""
    architecture: str = ""


def body_digests(registry: Registry, config: RunConfig) -> Body:
    """Return the digests of the backbone of a run.

    Raises:
        DataMissingError: a file that it needs is neither on this machine nor to be had from a hub.
    """
    if config.backbone is None:
        return Body()
    target = registry.spec("backbone", config.backbone.name).target
    memory = Memory("bodies", "1")
    key = f"{target} {registry.code.closure([target]).sha256} {json.dumps(config.backbone.params, sort_keys=True)}"
    known = memory.get(key)
    if known is not None and known["stamps"] == _stamps(map(Path, known["files"])):
        return Body(known["weights"], known["architecture"])
    params = registry.params("backbone", config.backbone.name, config.backbone.params)
    component = registry.component("backbone", config.backbone.name)
    body = Body(component.weights_digest(params), component.architecture_digest(params))
    files: Sequence[Path] | None = component.files(params)
    if files is not None:
        memory.put(
            key, {"weights": body.weights, "architecture": body.architecture, "files": [str(path) for path in files], "stamps": _stamps(files)}
        )
        memory.save()
    return body


def _stamps(files: Any) -> list[list[int]]:
    """Return size and times of files, and those of the folders they lie in: a file that comes or goes moves them."""
    paths = list(files)
    found = []
    for path in [*paths, *sorted({path.parent for path in paths})]:
        try:
            found.append(stamp_of(path))
        except OSError:
            found.append([])
    return found
