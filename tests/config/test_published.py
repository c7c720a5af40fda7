"""Preset ``paper``: what the released configuration files say, value by value, against the shared table of published settings."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from pare_bench.builtin.embedders.patch1d import _stride
from pare_bench.builtin.mixers.patch_replace import PatchReplace
from pare_bench.config.published import paper_settings
from pare_bench.config.resolution import Request, resolve
from pare_bench.errors import UsageError
from pare_bench.registry.names import Registry

RELEASED = json.loads((files("pare_bench") / "data" / "hyperparameters.json").read_text())["methods"]
SEQUENCES = {"ecg", "satellite", "deepsea"}
REGISTRY = Registry.from_environment()
KEYS, PDE_KEYS = (REGISTRY.spec("suite", suite).tasks for suite in ("nas360", "pdebench"))


def settings_of(task, method, **options):
    return paper_settings(REGISTRY.spec("task", task), REGISTRY.component("task", task), method, **options)


def values(task, method, **options):
    return {setting.path: setting.value for setting in settings_of(task, method, **options)}


def released_of(task, method):
    return RELEASED[method]["tasks"][REGISTRY.component("task", task).released_configurations[method]]


@pytest.mark.parametrize("task", KEYS)
@pytest.mark.parametrize("method", ["pare", "orca"])
def test_recipe_is_the_released_one(task, method):
    own, released = values(task, method), released_of(task, method)
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


def mixer_of(own):
    return PatchReplace(PatchReplace.Params(**{path.removeprefix("mixer."): value for path, value in own.items() if path.startswith("mixer.")}))


@pytest.mark.parametrize("task", sorted(set(KEYS) - {"psicov"}))
def test_curriculum_gives_the_released_counts(task):
    own, released = values(task, "pare"), released_of(task, "pare")["pare"]
    mixer = mixer_of(own)
    epochs, tokens = own["budget.epochs"], released["target_tokens"]
    counts = [mixer.source_count(tokens, epoch / epochs) for epoch in range(epochs)]
    begin = released["seq_num"] if task in SEQUENCES else released["begin_num"]
    drop = released["seq_num"] if task in SEQUENCES else released["end_num"]
    # The released formula with its brackets: in two epochs of FSD50K they decide.
    assert counts == [int(begin - drop * (epoch / epochs)) for epoch in range(epochs)]
    if task == "fsd50k":
        assert counts[66:70] == [1010, 994, 979, 965]
    assert (counts[0], counts[-1]) == (released["k_first"], released["k_last"])
    gated = sum(epoch / epochs < own["selector.learning_share"] for epoch in range(epochs))
    assert gated == released["gumbel_gated_epochs"]


def test_darcy_alone_sums_its_target_losses():
    assert {task for task in KEYS if values(task, "pare").get("method.target_reduction") == "sum"} == {"darcy_flow"}
    (config,) = resolve(REGISTRY, Request("pare", "nas360", ("darcy_flow",), preset="paper", tier="official", track="paper"))
    assert (config.method.params["target_reduction"], config.recipe.batch_size) == ("sum", 4)


@pytest.mark.parametrize("preset", ["cpu", "smoke"])
@pytest.mark.parametrize(
    ("suite", "task", "tokens", "share", "count"),
    [
        ("nas360", "ecg", 50, 32 / 50, 32),
        ("nas360", "satellite", 46, 32 / 46, 32),
        ("nas360", "deepsea", 50, 32 / 500, 3),
        ("pdebench", "advection", 64, 0.5, 32),
        ("openml", "openml_31", 20, 0.5, 10),
    ],
)
def test_sequences_of_the_small_presets_begin_at_the_published_share(preset, suite, task, tokens, share, count):
    """ECG and Satellite have as many tokens as published, DeepSEA a tenth of them; for lines and tables nothing is published."""
    (config,) = resolve(REGISTRY, Request("pare", suite, (task,), preset=preset, tier="bundled" if suite == "openml" else "generated"))
    mixer = PatchReplace(PatchReplace.Params(**config.mixer.params))
    assert (config.mixer.params["begin"], config.mixer.params["end"]) == (share, 0.0)
    assert mixer.source_count(tokens, 0.0) == count
    if suite == "nas360":
        (length,) = REGISTRY.component("task", task).inputs.grid
        stride, padding = _stride(length, config.embedder.params["target_seq_len"])
        assert (length + padding) // stride == tokens


@pytest.mark.parametrize("task", KEYS)
def test_alignment_is_the_released_one(task):
    own, released = values(task, "orca"), released_of(task, "orca")["alignment"]
    assert (own["aligner"], own["aligner.inner"], own["method.optimiser"]) == ("otdd_released", "exact", "recipe")
    assert own["method.align_epochs"] == released["embedder_epochs_effective"]
    assert own["method.max_samples"] == released["maxsamples"]
    rate = own["recipe.learning_rate"]
    assert rate * (own["method.rate_factor"] if rate <= 1e-3 else 1) == pytest.approx(released["embedder_lr"])


def test_what_the_releases_leave_open_is_marked_as_ours():
    ours = {(task, setting.path) for task in KEYS for setting in settings_of(task, "pare") if setting.source.startswith("ours")}
    assert ours == {("psicov", "mixer.begin"), ("psicov", "mixer.end")}
    assert all(setting.source for task in KEYS for method in ("pare", "orca") for setting in settings_of(task, method))


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
    with pytest.raises(UsageError, match="no published settings for task 'causal_table'"):
        settings_of("causal_table", "pare")


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


#: Lines, with the tokens that the released embedder makes of them: table of token geometry in the specification.
PDE_TOKENS = {"advection": 256, "burgers": 512, "diffusion_reaction_1d": 256, "diffusion_sorption": 32, "navier_stokes_1d": 128}
PDE_SETTINGS = {
    # optimiser, rate, decay, epochs, warm-up, end of decay, clip: table of hyperparameters in the specification.
    "advection": ("adam", 1e-4, 1e-5, 200, 5, 200, 1),
    "burgers": ("adam", 1e-5, 1e-5, 200, 5, 200, 1),
    "navier_stokes_1d": ("adamw", 1e-4, 1e-3, 200, 5, 200, 1),
    "diffusion_sorption": ("adamw", 1e-4, 0, 200, 5, 200, 1),
    "diffusion_reaction_1d": ("sgd", 1e-3, 1e-5, 200, 5, 200, 1),
    "darcy_2d": ("adamw", 1e-4, 1e-5, 100, 5, 200, None),
    "shallow_water": ("adamw", 1e-4, 0, 200, 10, 200, 1),
    "diffusion_reaction_2d": ("adam", 1e-4, 1e-3, 200, 5, 200, 1),
    "navier_stokes_2d": ("adamw", 1e-3, 1e-3, 200, 5, 200, 1),
}


@pytest.mark.parametrize("task", PDE_KEYS)
@pytest.mark.parametrize("method", ["pare", "orca", "full_finetune"])
def test_pde_recipe_is_orcas(task, method):
    own = values(task, method)
    optimiser, rate, decay, epochs, warmup, end, clip = PDE_SETTINGS[task]
    assert (own["recipe.optimiser"], own["recipe.learning_rate"], own["recipe.weight_decay"], own["budget.epochs"]) == (
        optimiser,
        rate,
        decay,
        epochs,
    )
    assert (own["recipe.batch_size"], own["recipe.accumulation"], own["recipe.clip_norm"]) == (4, 1, clip)
    assert (own["recipe.warmup"] * epochs, own["recipe.decay_end"] * epochs) == (pytest.approx(warmup), pytest.approx(end))
    assert own["recipe.momentum"] == 0.99 if optimiser == "sgd" else own["recipe.betas"] == [0.9, 0.98]
    assert own["recipe.trained"] == "all"
    if task in PDE_TOKENS:
        assert (own["backbone"], own["source"], own["backbone.dropout"]) == ("hf_text", "conll2003_features", 0)
    else:
        # PaRe needs foreground masks, which CIFAR-10 has none of.
        assert (own["backbone"], own["source"]) == ("hf_swin", "pascal_voc" if method == "pare" else "cifar10")
    assert own["dense_head"] == "masked_image"


@pytest.mark.parametrize("task", PDE_TOKENS)
def test_pde_lines_have_the_released_tokens(task):
    task_class = Registry.from_environment().component("task", task)
    (length,) = task_class(task_class.Params(**{**task_class.preset_params["paper"], **task_class.released_params})).inputs.grid
    # RoBERTa takes 512 tokens.
    stride, padding = _stride(length, min(512, values(task, "pare")["embedder.target_seq_len"]))
    assert (length // stride, padding) == (PDE_TOKENS[task], 0)


@pytest.mark.parametrize("task", PDE_KEYS)
def test_pde_alignment_is_the_released_one(task):
    own = values(task, "orca")
    assert (own["aligner"], own["method.align_epochs"], own["method.max_samples"], own["method.pseudo_classes"]) == ("otdd_released", 60, 128, 10)
    assert own["recipe.learning_rate"] * own["method.rate_factor"] == pytest.approx(10 * own["recipe.learning_rate"])


@pytest.mark.parametrize("track", ["clean", "paper"])
def test_the_source_loss_of_preset_paper_has_the_published_scale(track):
    """In nats and all the way, times the script's weight: what our presets choose must not reach it."""
    for config in resolve(REGISTRY, Request("pare", "nas360", preset="paper", tier="official", track=track)):
        params = config.method.params
        assert (params["source_scale"], params["source_schedule"]) == ("fixed", "constant")
        assert params["auxiliary_weight"] == {"cosmic": 0.3, "psicov": 0.3, "darcy_flow": 0.3}.get(
            config.task.name, 0.1 if config.task.name in {"ecg", "satellite", "deepsea"} else 1.0
        )


def test_the_mixed_loss_of_the_small_presets_has_a_weight_of_its_own_but_on_track_paper():
    for preset in ("cpu", "smoke"):
        for track, weight in (("clean", 0.1), ("paper", None)):
            for config in resolve(REGISTRY, Request("pare", "nas360", preset=preset, track=track)):
                params = config.method.params
                assert (params["auxiliary_weight"], params["source_scale"], params["source_schedule"]) == (weight, "fixed", "constant")


@pytest.mark.parametrize("task", PDE_KEYS)
def test_pde_mixing_is_ours_and_says_so(task):
    settings = settings_of(task, "pare")
    own = {setting.path: setting.value for setting in settings}
    mixer = mixer_of(own)
    tokens = PDE_TOKENS.get(task, 3136)
    counts = [mixer.source_count(tokens, epoch / own["budget.epochs"]) for epoch in range(own["budget.epochs"])]
    begin, drop = (32, 32) if task in PDE_TOKENS else (1000, 500)
    assert counts == [int(begin - drop * (epoch / own["budget.epochs"])) for epoch in range(own["budget.epochs"])]
    assert own["selector.learning_share"] * own["budget.epochs"] == pytest.approx(5 if task in PDE_TOKENS else 10)
    assert own["method.auxiliary_weight"] == (0.1 if task in PDE_TOKENS else 0.3)
    ours = {setting.path for setting in settings if setting.source.startswith("ours: PaRe has no released configuration for PDEBench")}
    mixing = {path for path in own if path.startswith(("selector", "mixer", "method."))}
    assert ours == mixing | (set() if task in PDE_TOKENS else {"source"})
    # Four fields, of which the released source loss could score one alone: on the paper track, where the other planes have one.
    assert "method.dense_source" not in own
    [config] = resolve(REGISTRY, Request("pare", "pdebench", (task,), preset="paper", tier="official", track="paper"))
    assert config.method.params["dense_source"] == ("patches" if task == "navier_stokes_2d" else "whole")
    assert all(setting.source for setting in settings)


@pytest.mark.parametrize("task", PDE_KEYS)
def test_pde_shared_recipe_differs_in_the_method_alone(task):
    alike = ("recipe.", "budget.", "source", "backbone", "embedder", "dense_head")
    pare, orca, plain = (
        {path: value for path, value in values(task, method, shared=True).items() if path.startswith(alike)}
        for method in ("pare", "orca", "full_finetune")
    )
    assert pare == orca == plain


@pytest.mark.parametrize("method", ["pare", "orca", "full_finetune", "constant"])
@pytest.mark.parametrize("track", ["clean", "paper"])
def test_every_pde_path_is_a_field_of_a_run(method, track):
    configs = resolve(Registry.from_environment(), Request(method, "pdebench", preset="paper", tier="official", track=track))
    assert [config.task.name for config in configs] == list(PDE_KEYS)
    for config in configs:
        assert config.task.params["law"] == {"clean": "well_posed", "paper": "published"}[track]
        assert config.budget.epochs == PDE_SETTINGS[config.task.name][3]


def test_tables_are_as_before():
    own = values("openml_31", "pare")
    assert {path: own[path] for path in own if path.startswith(("selector", "mixer"))} == {
        "selector": "gate_gumbel",
        "selector.learning_share": 1 / 3,
        "mixer": "patch_replace",
        "mixer.begin": 0.5,
        "mixer.end": 0.0,
    }
    assert "dense_head" not in own
    tables = [REGISTRY.component("task", task).released_configurations for task in REGISTRY.spec("suite", "openml_full").tasks]
    assert len({released["orca"] for released in tables}) == 42
    assert all(set(released) == {"orca"} for released in tables)
