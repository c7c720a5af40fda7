"""Whether the components of a run fit each other, as their specs tell it: told in one line before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pare_bench.errors import UsageError
from pare_bench.registry.names import Registry
from pare_bench.registry.specs import EmbedderSpec

#: Modality of inputs -> that of the bodies whose tokens lie in the same way.
_BODY = {"image": "image", "sequence": "sequence", "table": "sequence"}
_TAKEN = {"image": "images", "sequence": "sequences", "table": "tables"}
#: Channels of the images that bodies embed.
_COLOURS = 3
#: What the bodies' own embedders take.
_EMBEDDED = {"image": "images", "sequence": "text"}


def check_fit(registry: Registry, values: Mapping[str, Any]) -> None:
    """Check embedder against task, backbone against embedder, and source against backbone, in the nested values of a run.

    Raises:
        UsageError: two of them are for inputs that lie differently.
    """
    names: dict[str, str] = {slot: values[slot]["name"] for slot in ("task", "embedder", "backbone", "source") if slot in values}
    task, embedder, backbone, source = names["task"], names.get("embedder"), names.get("backbone"), names.get("source")
    if embedder is not None:
        _check_embedder(registry, task, embedder)
    if embedder is not None and backbone is not None:
        _check_backbone(registry, task, embedder, backbone)
    if source is not None and backbone is not None:
        _check_source(registry, values, source, backbone)


def _check_embedder(registry: Registry, task: str, embedder: str) -> None:
    given, taken = registry.spec("task", task).modality, registry.spec("embedder", embedder).modality
    if not _alike(given, taken):
        raise UsageError(
            f"embedder '{embedder}' takes {_TAKEN[taken]}, task '{task}' has {_TAKEN[given]}",
            hint=_choices(registry, "embedder", _BODY[given], f"--task with tasks of {_TAKEN[taken]} alone"),
        )


def _check_backbone(registry: Registry, task: str, embedder: str, backbone: str) -> None:
    made, taken = _tokens(registry, embedder), registry.spec("backbone", backbone).modality
    if not _alike(made, taken):
        raise UsageError(
            f"backbone '{backbone}' takes tokens of {_TAKEN[taken]}, embedder '{embedder}' of task '{task}' makes tokens of {_TAKEN[made]}",
            hint=_choices(registry, "backbone", _BODY[made], f"--task with tasks of {_TAKEN[taken]} alone"),
        )


def _check_source(registry: Registry, values: Mapping[str, Any], source: str, backbone: str) -> None:
    spec, taken = registry.spec("task", source), registry.spec("backbone", backbone).modality
    # Tokens that were embedded beforehand pass through no embedder: their width is checked where they are read.
    if getattr(registry.component("task", source), "embedded", False):
        return
    # The other tasks of sequences are signals: a body of sequences embeds ids of words.
    if spec.modality != taken or (taken == "sequence" and not spec.proxy):
        proxies = (registry.spec("task", name) for name in registry.names("task"))
        fitting = sorted(each.name for each in proxies if each.proxy and each.modality == taken)
        raise UsageError(
            f"source '{source}' has no {_EMBEDDED[taken]}, which backbone '{backbone}' embeds",
            hint=" or ".join(f"-o source={name}" for name in fitting),
        )
    channels = registry.build("task", source, values["source"]["params"]).inputs.channels
    if taken == "image" and channels != _COLOURS:
        raise UsageError(
            f"source '{source}' has {channels} channel{'s' * (channels != 1)}, backbone '{backbone}' embeds images of {_COLOURS}",
            hint="pare-bench list task",
        )


def _tokens(registry: Registry, embedder: str) -> str:
    """Return the modality of the bodies that an embedder's tokens are for."""
    spec: EmbedderSpec = registry.spec("embedder", embedder)
    return spec.tokens or _BODY[spec.modality]


def _alike(first: str, second: str) -> bool:
    return _BODY[first] == _BODY[second]


def _choices(registry: Registry, slot: str, body: str, otherwise: str) -> str:
    fitting = (name for name in registry.names(slot) if _BODY[registry.spec(slot, name).modality] == body)
    return ", ".join([*(f"-o {slot}={name}" for name in fitting), f"or {otherwise}"])
