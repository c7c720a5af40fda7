"""Presets: complete default values for a task, by its modality and density; what else a task needs stands in its class (``Task.preset_settings``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pare_bench.config.published import Setting, paper_settings, released_sequence_share
from pare_bench.config.rates import PATH as RATE
from pare_bench.config.run_config import SLOTS
from pare_bench.contracts.task import Task
from pare_bench.errors import unknown_name
from pare_bench.registry.specs import TaskSpec

PRESETS: Mapping[str, str] = {
    "cpu": "small bundled backbones, 600 training examples of most tasks: the whole of nas360 in about ten minutes on two cores",
    "smoke": "the same on 96 examples for two epochs: seconds per task, for tests and for trying a plugin",
    "paper": "published backbones and hyperparameters of PaRe and ORCA, for official data and a GPU",
}

_IMAGE: Mapping[str, Any] = {
    "backbone": {"name": "nano_swin", "params": {}},
    "embedder": {"name": "patch2d", "params": {}},
    # Its class survives mixing (docs/sources.md), which that of fractals does not.
    "source": {"name": "textures", "params": {}},
    "selector": {"name": "gate_gumbel", "params": {"learning_share": 1 / 6}},
    "mixer": {"name": "patch_replace", "params": {"begin": 2000 / 3136, "end": 500 / 3136}},
    "aligner": {"name": "otdd_gaussian", "params": {}},
}
_DENSE: Mapping[str, Any] = {
    "backbone": {"name": "nano_swin", "params": {"stages": "all"}},
    "embedder": {"name": "patch2d", "params": {"resolution": "input"}},
    "mixer": {"name": "patch_replace", "params": {"begin": 1000 / 3136, "end": 500 / 3136}},
}
_SEQUENCE: Mapping[str, Any] = {
    "backbone": {"name": "nano_text", "params": {}},
    "embedder": {"name": "patch1d", "params": {}},
    "source": {"name": "docstrings", "params": {}},
    "selector": {"name": "gate_gumbel", "params": {"learning_share": 1 / 3}},
    # Where PaRe has released a configuration its share takes the place of the half: 32 of ECG's 50, Satellite's 46 and DeepSEA's 500 tokens.
    "mixer": {"name": "patch_replace", "params": {"begin": 0.5, "end": 0.0}},
    "aligner": {"name": "otdd_gaussian", "params": {}},
}
_TABLE: Mapping[str, Any] = {
    **_SEQUENCE,
    "embedder": {"name": "tabular", "params": {}},
    # Rows are short: steps of 32 cost little more than of 16.
    "recipe": {"batch_size": 32, "learning_rate": 1e-3},
}
_MODALITIES: Mapping[str, Mapping[str, Any]] = {"image": _IMAGE, "sequence": _SEQUENCE, "table": _TABLE}
_RECIPE: Mapping[str, Any] = {"batch_size": 16, "learning_rate": 1e-3}
#: Epochs of a task that says nothing about them.
_EPOCHS: Mapping[str, int] = {"cpu": 10, "smoke": 2}


def nested(settings: Iterable[Setting]) -> dict[str, Any]:
    """Return settings as the nested values of a run: slots, recipe, budget, and the method's parameters."""
    values: dict[str, Any] = {}
    for setting in settings:
        head, _, rest = setting.path.partition(".")
        if head in SLOTS or head == "method":
            slot = values.setdefault(head, {"params": {}})
            if rest:
                slot["params"][rest] = setting.value
            else:
                slot["name"] = setting.value
        elif rest:
            values.setdefault(head, {})[rest] = setting.value
        else:
            values[head] = setting.value
    return values


def preset_settings(preset: str, spec: TaskSpec, task: type[Task], method: str, *, shared: bool = False) -> tuple[Setting, ...]:
    """Return what a preset sets for one task and method, each value with its source.

    A task's own settings for the preset win over what follows from its modality. ``shared`` gives every method of preset ``paper`` the same recipe
    and proxy; the other presets do that anyway.

    Raises:
        UnknownNameError: there is no such preset.
        UsageError: preset ``paper`` and a task without published settings.
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS, hint=f"--preset {next(iter(PRESETS))}")
    own = task.preset_settings.get(preset, {})
    if preset == "paper" and (task.released_configurations or not own):
        return paper_settings(spec, task, method, shared=shared)
    source = "ours: bundled backbones on two cores, the same for every method"
    general = {path: Setting(path, value, source) for path, value in _flat(_small_values(preset, spec))}
    general[RATE] = replace(general[RATE], source=f"{source}; a larger backbone asks for less")
    published = released_sequence_share(task) if spec.modality == "sequence" else None
    if published is not None:
        general[published.path] = published
    return tuple((general | {path: Setting(path, value, f"task {task.name}") for path, value in own.items()}).values())


def _small_values(preset: str, spec: TaskSpec) -> dict[str, Any]:
    values: dict[str, Any] = dict(_MODALITIES.get(spec.modality, _SEQUENCE))
    if spec.dense and spec.modality == "image":
        values |= _DENSE
    values.setdefault("recipe", _RECIPE)
    values["budget"] = {"epochs": _EPOCHS.get(preset, _EPOCHS["cpu"])}
    return values


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for head, value in values.items():
        if head in SLOTS:
            yield head, value["name"]
            yield from ((f"{head}.{name}", item) for name, item in value["params"].items())
        else:
            yield from ((f"{head}.{name}", item) for name, item in value.items())
