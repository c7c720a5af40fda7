"""Presets: complete default values for a task, by its modality and density; per-task values only where a measurement asked for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pare_bench.config.published import Setting, paper_settings
from pare_bench.config.run_config import SLOTS
from pare_bench.errors import unknown_name
from pare_bench.registry.specs import TaskSpec

PRESETS: Mapping[str, str] = {
    "cpu": "small bundled backbones, 600 training examples: the whole of nas360 in about ten minutes on two cores",
    "smoke": "the same on 96 examples for two epochs: seconds per task, for tests and for trying a plugin",
    "paper": "published backbones and hyperparameters of PaRe and ORCA, for official data and a GPU",
}

_IMAGE: Mapping[str, Any] = {
    "backbone": {"name": "nano_swin", "params": {}},
    "embedder": {"name": "patch2d", "params": {}},
    "source": {"name": "fractals", "params": {}},
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
    # The published count is 32 of target_seq_len (64 for ECG), falling to 0.
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
#: Curricula and recipes that differ from the modality's, for built-in tasks on bundled backbones.
_TASKS: Mapping[str, Mapping[str, Any]] = {
    # Published: 500 -> 0 of 3136 (Cosmic); the released PSICOV configuration has no counts, so Cosmic's are used.
    # Small batches: one pixel in forty is struck, and it takes some hundred steps until the first logit turns positive.
    "cosmic": {"mixer": {"name": "patch_replace", "params": {"begin": 500 / 3136, "end": 0.0}}, "recipe": {"batch_size": 8, "learning_rate": 2e-3}},
    "psicov": {"mixer": {"name": "patch_replace", "params": {"begin": 500 / 3136, "end": 0.0}}, "recipe": {"batch_size": 4, "learning_rate": 1e-3}},
}
#: What a method must do otherwise on one task.
_METHODS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    # The released source loss scores a map of one field (variant published, so track paper); this task has four.
    ("pare", "navier_stokes_2d"): {"method": {"dense_source": "patches"}},
}
_RECIPE: Mapping[str, Any] = {"batch_size": 16, "learning_rate": 1e-3}
#: Epochs of preset ``cpu``, from measured validation curves and seconds per epoch on two cores; the same for every method.
_CPU_EPOCHS: Mapping[str, int] = {
    "cifar100": 12,
    "spherical": 12,
    "ninapro": 12,
    "fsd50k": 12,
    "darcy_flow": 6,
    "psicov": 10,
    "cosmic": 9,
    "ecg": 14,
    "satellite": 14,
    "deepsea": 14,
    # PDEBench, about 7 minutes a method on one core: 5 to 9 s an epoch, of lines as of planes.
    "advection": 7,
    "burgers": 8,
    "diffusion_reaction_1d": 6,
    "diffusion_sorption": 4,
    "navier_stokes_1d": 7,
    "darcy_2d": 5,
    "shallow_water": 5,
    "diffusion_reaction_2d": 4,
    "navier_stokes_2d": 8,
    # Tables: 190 to 480 steps each, whatever the number of rows.
    "openml_11": 40,
    "openml_23": 12,
    "openml_31": 10,
    "openml_37": 15,
    "openml_50": 25,
    "openml_54": 30,
    "openml_1510": 40,
    "openml_28": 3,
    "openml_48": 100,
    "openml_61": 100,
    "openml_187": 80,
    "openml_40496": 40,
}


def preset_values(preset: str, task: TaskSpec, method: str, *, shared: bool = False) -> dict[str, Any]:
    """Return the nested run values of a preset for one task and method: slots, recipe, budget, and in preset ``paper`` the method's parameters.

    Raises:
        UnknownNameError: there is no such preset.
        UsageError: preset ``paper`` and a task without published settings.
    """
    values: dict[str, Any] = {}
    for setting in preset_settings(preset, task, method, shared=shared):
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


def preset_settings(preset: str, task: TaskSpec, method: str, *, shared: bool = False) -> tuple[Setting, ...]:
    """Return what a preset sets for one task and method, each value with its source.

    ``shared`` gives every method of preset ``paper`` the same recipe and proxy; the other presets do that anyway.

    Raises:
        UnknownNameError: there is no such preset.
        UsageError: preset ``paper`` and a task without published settings.
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS, hint=f"--preset {next(iter(PRESETS))}")
    if preset == "paper":
        return paper_settings(task.name, method, shared=shared)
    source = "ours: bundled backbones on two cores, the same for every method"
    values = {**_small_values(preset, task), **_METHODS.get((method, task.name), {})}
    return tuple(Setting(path, value, source) for path, value in _flat(values))


def _small_values(preset: str, task: TaskSpec) -> dict[str, Any]:
    values: dict[str, Any] = dict(_MODALITIES.get(task.modality, _SEQUENCE))
    if task.dense and task.modality == "image":
        values |= _DENSE
    values |= _TASKS.get(task.name, {})
    values.setdefault("recipe", _RECIPE)
    values["budget"] = {"epochs": _CPU_EPOCHS.get(task.name, 10)} if preset == "cpu" else {"epochs": 2}
    return values


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for head, value in values.items():
        if head in SLOTS:
            yield head, value["name"]
            yield from ((f"{head}.{name}", item) for name, item in value["params"].items())
        else:
            yield from ((f"{head}.{name}", item) for name, item in value.items())
