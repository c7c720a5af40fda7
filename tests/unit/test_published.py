"""Preset ``paper``: what the released configuration files say, value by value, against the shared table of published settings."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from pare_bench.builtin.mixers.patch_replace import PatchReplace
from pare_bench.errors import UsageError
from pare_bench.published import KEYS, paper_settings
from pare_bench.registry import Registry
from pare_bench.resolution import Request, resolve

RELEASED = json.loads((files("pare_bench") / "data" / "hyperparameters.json").read_text())["methods"]
SEQUENCES = {"ecg", "satellite", "deepsea"}


def values(task, method, **options):
    return {setting.path: setting.value for setting in paper_settings(task, method, **options)}


@pytest.mark.parametrize("task", KEYS)
@pytest.mark.parametrize("method", ["pare", "orca"])
def test_recipe_is_the_released_one(task, method):
    own, released = values(task, method), RELEASED[method]["tasks"][KEYS[task]]
    assert own["recipe.optimiser"] == released["optimizer"]["name"].lower()
    assert own["recipe.learning_rate"] == released["optimizer"]["lr"]
    assert own["recipe.weight_decay"] == released["optimizer"]["weight_decay"]
    assert own["recipe.batch_size"] * own["recipe.accumulation"] == released["effective_batch"]
    assert own["recipe.clip_norm"] == released["clip_grad_norm"]
    assert own["budget.epochs"] == released["epochs"]
    assert round(own["recipe.warmup"] * released["epochs"]) == released["scheduler"]["warmup_epochs"]
    end = max(0.0, (own["recipe.decay_end"] - 1) / (own["recipe.decay_end"] - own["recipe.warmup"]))
    assert end == pytest.approx(released["scheduler"]["lr_factor_at_end"], abs=1e-6)
    assert own["recipe.trained"] == {"all": "all", "Wv": "values"}[released["finetune_method"]]
    assert own["backbone.model"] == released["hf_checkpoint"]


@pytest.mark.parametrize("task", sorted(set(KEYS) - {"psicov"}))
def test_curriculum_gives_the_released_counts(task):
    own, released = values(task, "pare"), RELEASED["pare"]["tasks"][KEYS[task]]["pare"]
    mixer = PatchReplace(PatchReplace.Params(curriculum=own["mixer.curriculum"], begin=own["mixer.begin"], end=own["mixer.end"]))
    epochs, tokens = own["budget.epochs"], released["target_tokens"]
    counts = [mixer.source_count(tokens, epoch / epochs) for epoch in range(epochs)]
    begin = released["seq_num"] if task in SEQUENCES else released["begin_num"]
    drop = released["seq_num"] if task in SEQUENCES else released["end_num"]
    assert counts == [int(begin - drop * epoch / epochs) for epoch in range(epochs)]
    assert (counts[0], counts[-1]) == (released["k_first"], released["k_last"])
    gated = sum(epoch / epochs < own["selector.learning_share"] for epoch in range(epochs))
    assert gated == released["gumbel_gated_epochs"]


@pytest.mark.parametrize("task", KEYS)
def test_alignment_is_the_released_one(task):
    own, released = values(task, "orca"), RELEASED["orca"]["tasks"][KEYS[task]]["alignment"]
    assert own["aligner"] == "otdd_exact"
    assert own["method.align_epochs"] == released["embedder_epochs_effective"]
    assert own["method.max_samples"] == released["maxsamples"]
    rate = own["recipe.learning_rate"]
    assert rate * (own["method.rate_factor"] if rate <= 1e-3 else 1) == pytest.approx(released["embedder_lr"])


def test_what_the_releases_leave_open_is_marked_as_ours():
    ours = {(task, setting.path) for task in KEYS for setting in paper_settings(task, "pare") if setting.source.startswith("ours")}
    assert ours == {("psicov", "mixer.begin"), ("psicov", "mixer.end")}
    assert all(setting.source for task in KEYS for method in ("pare", "orca") for setting in paper_settings(task, method))


@pytest.mark.parametrize("task", KEYS)
def test_shared_recipe_differs_in_the_method_alone(task):
    def common(method):
        alike = ("recipe.", "budget.", "source", "backbone")
        return {path: value for path, value in values(task, method, shared=True).items() if path.startswith(alike)}

    assert common("pare") == common("orca") == common("full_finetune")


def test_other_methods_take_orcas_recipe():
    assert values("ninapro", "full_finetune")["recipe.batch_size"] == RELEASED["orca"]["tasks"]["NINAPRO"]["batch_size"] == 32
    assert values("ninapro", "pare")["recipe.batch_size"] == 16


def test_unpublished_task_is_refused():
    with pytest.raises(UsageError, match="no published settings for task 'tones'"):
        paper_settings("tones", "pare")


@pytest.mark.parametrize("method", ["pare", "orca", "full_finetune", "constant"])
def test_every_path_is_a_field_of_a_run(method):
    configs = resolve(Registry.from_environment(), Request(method, "nas360", preset="paper", tier="official", track="paper"))
    assert [config.task.name for config in configs] == list(KEYS)
    for config in configs:
        assert config.size is None
        assert config.budget.epochs == values(config.task.name, method)["budget.epochs"]
        assert config.recipe.accumulate == "released"
        assert config.budget.keep == ("best" if method == "orca" else "last")


def test_shared_recipe_by_option():
    registry = Registry.from_environment()
    pare, orca = (
        resolve(registry, Request(method, "nas360", ("ecg",), preset="paper", tier="official", overrides=("recipe=shared",)))[0]
        for method in ("pare", "orca")
    )
    assert (pare.recipe, pare.budget, pare.source, pare.backbone) == (orca.recipe, orca.budget, orca.source, orca.backbone)
    own = resolve(registry, Request("pare", "nas360", ("ecg",), preset="paper", tier="official"))[0]
    assert own.recipe != pare.recipe
