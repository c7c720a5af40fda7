"""From a command to resolved runs."""

from __future__ import annotations

import pytest
from factories import run_identity

from pare_bench.config.resolution import Request, resolve
from pare_bench.config.run_config import parse_overrides
from pare_bench.errors import UsageError
from pare_bench.registry.names import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.from_environment()


def one(registry, *overrides, method="pare", task="ecg", **options):
    (config,) = resolve(registry, Request(method, "nas360", (task,), overrides=overrides, **options))
    return config


def test_tasks_in_suite_order_for_every_seed(registry):
    configs = resolve(registry, Request("constant", "nas360", ("ecg", "cifar100"), seeds=(3, 1)))
    assert [(config.task.name, config.seed) for config in configs] == [("cifar100", 3), ("ecg", 3), ("cifar100", 1), ("ecg", 1)]


def test_slots_that_a_method_does_not_use_are_none(registry):
    assert set(one(registry).slots()) == {"backbone", "embedder", "selector", "mixer", "source"}
    assert set(one(registry, method="full_finetune").slots()) == {"backbone", "embedder"}
    assert one(registry, method="constant").slots() == {}


def test_all_parameters_are_written_out(registry):
    mixer = one(registry).mixer
    assert set(mixer.params) == {"curriculum", "begin", "end", "order", "rounding", "keep_gradient"}
    assert one(registry, "mixer.curriculum=cosine").mixer.params["curriculum"] == "cosine"


def test_a_slot_by_name_drops_the_parameters_of_the_one_before(registry):
    assert one(registry, "selector=random").selector.model_dump() == {"name": "random", "params": {}}
    chosen = one(registry, "aligner=mmd", "aligner.num_bandwidths=3", method="orca").aligner
    assert (chosen.name, chosen.params["num_bandwidths"]) == ("mmd", 3)


@pytest.mark.parametrize("method", ["pare", "orca"])
def test_two_dimensional_tasks_have_the_source_that_survives_mixing(registry, method):
    found = {name: one(registry, method=method, task=name).source.name for name in registry.spec("suite", "nas360").tasks}
    sequences = {"ecg", "satellite", "deepsea"}
    assert found == {name: "docstrings" if name in sequences else "textures" for name in found}
    assert one(registry, "source=fractals", method=method, task="cosmic").source.name == "fractals"


def test_variant_reaches_the_other_slots_and_a_named_option_wins(registry):
    config = one(registry, "method.variant=published")
    assert (config.selector.params["noise_on"], config.selector.params["anneal"]) == ("sigmoid", False)
    assert (config.mixer.params["order"], config.mixer.params["keep_gradient"]) == ("published", "kept")
    assert one(registry, "method.variant=published", "selector.noise_on=logits").selector.params["noise_on"] == "logits"


def test_nested_fields_and_sizes(registry):
    config = one(registry, "recipe.learning_rate=0.5", "budget.max_steps=2", "size.train=11", "source_size.train=12", "precision=bfloat16")
    assert (config.recipe.learning_rate, config.budget.max_steps, config.size.train, config.source_size.train, config.precision) == (
        0.5,
        2,
        11,
        12,
        "bfloat16",
    )
    assert config.size.test == one(registry).size.test


def test_dense_tasks_get_the_fine_map(registry):
    assert one(registry, task="cosmic").backbone.params["stages"] == "all"
    assert one(registry, task="cifar100").backbone.params["stages"] == "last"


@pytest.mark.parametrize(("task", "loss"), [("navier_stokes_2d", "patches"), ("diffusion_reaction_2d", "whole")])
def test_the_released_source_loss_is_for_maps_of_one_field(registry, task, loss):
    """Track paper failed on four fields: target [n h w] against outputs [n 4 h w]."""
    (config,) = resolve(registry, Request("pare", "pdebench", (task,), track="paper", preset="smoke"))
    assert config.method.params["variant"] == "published"
    assert config.method.params["dense_source"] == loss


def test_smoke_is_smaller(registry):
    assert one(registry, preset="smoke").size.train < one(registry).size.train
    assert one(registry, preset="smoke").budget.epochs == 2


def test_identity_follows_configuration_code_and_data(registry):
    base = one(registry)
    same = run_identity(one(registry), "code", "data")
    assert run_identity(base, "code", "data") == same
    others = [
        run_identity(base, "edited", "data"),
        run_identity(base, "code", "other"),
        run_identity(one(registry, "recipe.batch_size=17"), "code", "data"),
    ]
    assert len({same, *others}) == 4


@pytest.mark.parametrize("text", ["a", "=1", ""])
def test_an_override_needs_a_path_and_a_value(text):
    with pytest.raises(UsageError, match="path=value"):
        parse_overrides([text])


@pytest.mark.parametrize("text", ["suite=other", "preset=smoke", "size=3.x.y=1", "mixer.a.b.c=1", "recipe=1", "seed.x=1", "recipe.a.b=1"])
def test_paths_that_do_not_exist(registry, text):
    with pytest.raises(UsageError, match="unknown path"):
        one(registry, text)
