"""Preset ``paper``: the published hyperparameters of PaRe and ORCA, each with where it comes from.

The values are read from ``data/hyperparameters.json`` (taken from the configuration files of both released repositories by script; the
file names commits and derived values). What the releases leave open is marked ``ours`` with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pare_bench.config.published_gaps import pare_on_fields, pare_on_tables
from pare_bench.contracts.task import Task
from pare_bench.errors import UsageError
from pare_bench.registry.specs import TaskSpec

_PROXIES: Mapping[str, str] = {"CIFAR10": "cifar10", "IMAGENET": "tiny_imagenet", "PASCAL": "pascal_voc", "text": "conll2003_features"}
_BACKBONES: Mapping[str, str] = {"swin-base": "hf_swin", "roberta-base": "hf_text"}
_OPTIMISERS: Mapping[str, str] = {"Adam": "adam", "AdamW": "adamw", "SGD": "sgd"}
_TRAINED: Mapping[str, str] = {"all": "all", "Wv": "values"}
#: How the table of published settings says that a loss is summed over the batch.
_SUMMED = "sum over batch"


@dataclass(frozen=True)
class Setting:
    """One value of the preset: the path that ``-o`` takes, the value, and where it comes from (``ours: ...`` where the releases leave it open)."""

    path: str
    value: Any
    source: str


def paper_settings(spec: TaskSpec, task: type[Task], method: str, *, shared: bool = False) -> tuple[Setting, ...]:
    """Return the published settings of ``method`` on ``task``.

    Methods other than ``pare`` and ``orca`` take ORCA's recipe, as naive fine-tuning does in the ORCA paper. ``shared`` is the fair variant: ORCA's
    optimiser, schedule, batch, epochs and trained weights and PaRe's proxy for every method, since the released files differ in those, too.

    Raises:
        UsageError: nothing is published for the task.
    """
    if not task.released_configurations:
        raise UsageError(f"preset 'paper' has no published settings for task '{task.name}'", hint="use --preset cpu")
    if "pare" not in task.released_configurations:
        return _table(task, method) if spec.modality == "table" else _pde(task, method, shared=shared)
    pare, orca = _released("pare", task), _released("orca", task)
    own = pare if method == "pare" and not shared else orca
    proxy = pare if method == "pare" or shared else orca
    settings = [
        *_network(own),
        *_source(proxy, shared=shared and method != "pare"),
        *_recipe(own),
        *(_pare(pare, own["epochs"]) if method == "pare" else ()),
        *(_orca(orca) if method == "orca" else ()),
        Setting("precision", "float32", f"{_file(own)}: no mixed precision in the released code"),
    ]
    return tuple(settings)


def released_sequence_share(task: type[Task]) -> Setting | None:
    """Return the source share at which PaRe's released configuration of a sequence task begins; None where there is no such configuration."""
    if "pare" not in task.released_configurations:
        return None
    released = _released("pare", task)
    count, tokens = released["pare"]["seq_num"], released["pare"]["target_tokens"]
    return None if count is None else Setting("mixer.begin", count / tokens, f"{_file(released)}: {count} of {tokens} tokens, as a share")


def _table(task: type[Task], method: str) -> tuple[Setting, ...]:
    """Return ORCA's settings; PaRe has its gate and mixing of sequences."""
    orca = _released("orca", task)
    return (
        *_network(orca),
        *_source(orca, shared=False),
        *_recipe(orca),
        *(Setting(*gap) for gap in (pare_on_tables() if method == "pare" else ())),
        *(_orca(orca) if method == "orca" else ()),
        Setting("precision", "float32", f"{_file(orca)}: no mixed precision in the released code"),
    )


def _pde(task: type[Task], method: str, *, shared: bool) -> tuple[Setting, ...]:
    """Return ORCA's settings; PaRe has gate and mixing as in its own tasks of the same kind, and on images the proxy with masks, which it needs."""
    orca = _released("orca", task)
    image, where = orca["backbone"] == "swin-base", _file(orca)
    tokens = orca["tokenisation_2d" if image else "tokenisation_1d"]["tokens"]
    settings = [*_network(orca), *_source(orca, shared=False)]
    if image and (method == "pare" or shared):
        reason = "ours: PaRe has no released configuration for PDEBench; its dense tasks have the proxy with masks"
        settings = _with(settings, Setting("source", _PROXIES["PASCAL"], reason))
    if not image:
        head = "released dense head of sequences: features averaged to the values of a token, no weights"
        settings.append(Setting("dense_head", "masked_image", head))
        # The released kernel follows from the declared length; where that is not the true one there are more tokens than asked for.
        if tokens > orca["target_seq_len_effective_default"]:
            declared = (
                f"{where}: kernel {orca['tokenisation_1d']['conv1d_kernel_and_stride']} from a declared length of 256, so {tokens} tokens of 1024"
            )
            settings = _with(settings, Setting("embedder.target_seq_len", tokens, declared))
    gaps = pare_on_fields(image=image, tokens=tokens, epochs=orca["epochs"]) if method == "pare" else ()
    return (
        *settings,
        *_recipe(orca),
        *(Setting(*gap) for gap in gaps),
        *(_orca(orca) if method == "orca" else ()),
        Setting("precision", "float32", f"{where}: no mixed precision in the released code"),
    )


def _with(settings: list[Setting], other: Setting) -> list[Setting]:
    """Return ``settings`` with ``other`` in the place of that of the same path."""
    return [other if setting.path == other.path else setting for setting in settings]


@cache
def _document() -> dict[str, Any]:
    return json.loads((files("pare_bench") / "data" / "hyperparameters.json").read_text("utf-8"))  # type: ignore[no-any-return]


def _released(method: str, task: type[Task]) -> dict[str, Any]:
    released: dict[str, Any] = _document()["methods"][method]["tasks"][task.released_configurations[method]]
    return {**released, "method": method}


def _file(released: Mapping[str, Any]) -> str:
    return f"{'PaRe' if released['method'] == 'pare' else 'ORCA'} {released['config_file']}"


def _network(released: Mapping[str, Any]) -> list[Setting]:
    where = _file(released)
    image = released["backbone"] == "swin-base"
    settings = [
        Setting("backbone", _BACKBONES[released["backbone"]], where),
        Setting("backbone.model", released["hf_checkpoint"], where),
    ]
    if image:
        settings += [
            Setting("backbone.drop_path", 0.1, "the library's default stays active in the released code"),
            Setting("embedder", "patch2d", "released embedder: resize to 224, 4 x 4 patches"),
            Setting("embedder.kernel", "tiled", "released embedder: the kernel is tiled over channels, not rescaled"),
            Setting("dense_head", "masked_image", "released dense head: masked-image decoder, mean of 3 channels, adaptive pooling"),
        ]
    else:
        settings += [
            Setting("backbone.dropout", float(released["drop_out"]), where),
            Setting("embedder", "patch1d", "released embedder: strided convolution"),
            Setting("embedder.target_seq_len", released["target_seq_len_effective_default"], where),
            Setting("embedder.order", "norm_position", "released embedder: norm, then positions"),
        ]
    return settings


def _source(released: Mapping[str, Any], *, shared: bool) -> list[Setting]:
    where = f"{_file(released)}{' (shared recipe: PaRe has the proxy with masks)' if shared else ''}"
    return [
        Setting("source", _PROXIES[released["source_proxy_dataset"]], where),
        Setting("source.max_samples", int(released["proxy_subset_max"]), where),
    ]


def _recipe(released: Mapping[str, Any]) -> list[Setting]:
    where, optimiser, scheduler = _file(released), released["optimizer"], released["scheduler"]
    epochs = released["epochs"]
    settings = [
        Setting("recipe.optimiser", _OPTIMISERS[optimiser["name"]], where),
        Setting("recipe.learning_rate", optimiser["lr"], where),
        Setting("recipe.weight_decay", float(optimiser["weight_decay"]), where),
        Setting("recipe.decayed", "all", "the released optimiser decays every weight"),
    ]
    if "betas" in optimiser:
        settings.append(Setting("recipe.betas", list(optimiser["betas"]), where))
    if "momentum" in optimiser:
        settings.append(Setting("recipe.momentum", optimiser["momentum"], where))
    return [
        *settings,
        Setting("recipe.batch_size", released["batch_size"], where),
        Setting("recipe.accumulation", released["grad_accumulation"], where),
        Setting("recipe.clip_norm", released["clip_grad_norm"], where),
        Setting("recipe.schedule", "linear", f"{where}: {scheduler['rule']}"),
        Setting("recipe.warmup", scheduler["warmup_epochs"] / epochs, f"{where}: {scheduler['warmup_epochs']} of {epochs} epochs"),
        Setting("recipe.decay_end", scheduler["decay_epochs"] / epochs, f"{where}: decay_epochs {scheduler['decay_epochs']}, epochs {epochs}"),
        Setting("recipe.trained", _TRAINED[released["finetune_method"]], f"{where}: finetune_method {released['finetune_method']}"),
        Setting("budget.epochs", epochs, where),
    ]


def _pare(released: Mapping[str, Any], epochs: int) -> list[Setting]:
    where, own = _file(released), released["pare"]
    tokens = own["target_tokens"]
    if own["begin_num"] is not None:
        begin, drop, counts = own["begin_num"], own["end_num"], f"{where}: begin_num {own['begin_num']}, end_num {own['end_num']} (a decrement)"
    elif own["seq_num"] is not None:
        begin = drop = own["seq_num"]
        counts = f"{where}: seq_num {begin} of {tokens} tokens, falling to 0"
    else:
        begin = drop = 500
        counts = "ours: the released configuration has no counts; Cosmic's are used"
    gated = own["gumbel_gated_epochs"]
    loss = _document()["task_meta"][released["dataset_key"]]["loss"]
    summed = [Setting("method.target_reduction", "sum", f"task_configs_PaRe.py: {loss}; the source loss is a mean")] if _SUMMED in loss else []
    return [
        Setting("selector", "gate_gumbel", "released gate"),
        Setting("selector.temperature", 0.9, "gumbel_tau of the released code"),
        Setting("selector.learning_share", min(1.0, gated / epochs), f"{where}: {gated} of {epochs} epochs"),
        Setting("mixer", "patch_replace", "released mixing"),
        Setting("mixer.curriculum", "linear", "k(epoch) = int(begin - drop * (epoch / epochs))"),
        Setting("mixer.rounding", "released", "k(epoch) = int(begin - drop * (epoch / epochs)) in double precision"),
        Setting("mixer.begin", begin / tokens, counts),
        Setting("mixer.end", (begin - drop) / tokens, counts),
        Setting("method.auxiliary_weight", own["aux_loss_weight"], f"{released['script']}: a constant of the script"),
        *summed,
    ]


def _orca(released: Mapping[str, Any]) -> list[Setting]:
    where, own = _file(released), released["alignment"]
    schedule = own["embedder_scheduler"]
    return [
        *_aligner(own["objective_effective"], where),
        Setting("method.align_epochs", own["embedder_epochs_effective"], where),
        Setting("method.max_samples", own["maxsamples"], where),
        Setting("method.source_samples", int(released["proxy_subset_max"]), where),
        Setting("method.optimiser", "recipe", "the released code takes the task's own optimiser for the embedder, too"),
        Setting("method.rate_factor", round(own["embedder_lr"] / released["optimizer"]["lr"], 6), f"{where}: embedder rate {own['embedder_lr']}"),
        Setting("method.rate_milestones", list(schedule["milestones_epoch_gt"]), f"{where}: embedder scheduler"),
        Setting("method.rate_decay", schedule["factor"], f"{where}: embedder scheduler"),
        Setting("method.pseudo_classes", 10, "k-means, k = 10, in the released code"),
    ]


def _aligner(objective: str, where: str) -> list[Setting]:
    """Return the distance that the released code computes for an ``objective``; anything it does not know is MMD there."""
    kind, _, inner = objective.partition("-")
    if kind == "otdd":
        return [
            Setting("aligner", "otdd_released", f"{where}: objective {objective}"),
            Setting("aligner.inner", inner, f"{where}: objective {objective}"),
        ]
    return [Setting("aligner", "l2_released" if kind == "l2" else "mmd", f"{where}: objective {objective}")]
