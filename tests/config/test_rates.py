"""The learning rate follows the body: what backbones declare, what the small presets make of it, and what is said."""

from __future__ import annotations

import json

import pytest
from transformers import RobertaConfig, RobertaModel, SwinConfig, SwinModel

from pare_bench.builtin.backbones.rates import count_weights, rate_for
from pare_bench.cli import main
from pare_bench.config import rates
from pare_bench.config.rates import body_rate
from pare_bench.config.resolution import Request, changes_from_preset, resolve
from pare_bench.errors import PluginError
from pare_bench.registry.names import Registry
from pare_bench.registry.specs import BackboneSpec
from pare_bench.runs.plans import Plans


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.from_environment()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Random bodies of transformers, saved as models are: a large and a small Swin, and a large text encoder; with their numbers of weights."""
    root = tmp_path_factory.mktemp("bodies")
    small = SwinConfig(image_size=32, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4)
    large = SwinConfig(image_size=224, embed_dim=96, depths=[2, 2, 2, 2], num_heads=[3, 6, 12, 24])
    text = RobertaConfig(vocab_size=8000, hidden_size=384, num_hidden_layers=6, num_attention_heads=6, intermediate_size=1536)
    weights = {}
    for name, model in (("small", SwinModel(small)), ("large", SwinModel(large)), ("text", RobertaModel(text))):
        model.save_pretrained(root / name)
        pooling = model.pooler
        weights[name] = sum(each.numel() for each in model.parameters()) - sum(each.numel() for each in pooling.parameters())
    return root, weights


def one(registry, *overrides, method="full_finetune", task="cifar100", **options):
    (config,) = resolve(registry, Request(method, "nas360", (task,), overrides=overrides, **options))
    return config


def test_the_rule_goes_through_the_measured_and_the_published_rate():
    sizes = {0: 1e-3, 540_000: 1e-3, 1_000_000: 1e-3, 5_500_000: 4e-4, 21_700_000: 2e-4, 86_700_000: 1e-4, 124_000_000: 9e-5}
    assert {size: rate_for(size) for size in sizes} == sizes


def test_a_large_body_gets_a_smaller_rate_and_the_bundled_ones_the_same_as_before(registry, folders):
    root, weights = folders
    assert weights["large"] > 10_000_000 < weights["text"]
    for preset in ("cpu", "smoke"):
        assert one(registry, preset=preset).recipe.learning_rate == 1e-3
        assert one(registry, task="ecg", preset=preset).recipe.learning_rate == 1e-3
        large = one(registry, "backbone=hf_swin", f"backbone.model={root / 'large'}", preset=preset)
        assert large.recipe.learning_rate == rate_for(weights["large"]) == 2e-4
        # Everything else of the recipe is the preset's.
        assert large.recipe.model_copy(update={"learning_rate": 1e-3}) == one(registry, preset=preset).recipe
    assert one(registry, "backbone=hf_text", f"backbone.model={root / 'text'}", task="ecg").recipe.learning_rate == rate_for(weights["text"])
    assert one(registry, "backbone=timm", "backbone.model=vit_small_patch16_224").recipe.learning_rate == 2e-4
    # Small as the bundled ones, though from outside.
    assert weights["small"] < 1_000_000
    assert one(registry, "backbone=hf_swin", f"backbone.model={root / 'small'}").recipe.learning_rate == 1e-3
    # Cosmic's own rate is another one: it is lowered where it is too high for the body, and stays where it is not.
    assert one(registry, task="cosmic").recipe.learning_rate == 2e-3
    assert one(registry, "backbone=timm", "backbone.model=vit_small_patch16_224", task="cosmic").recipe.learning_rate == 2e-4
    # Every method with a body has the same rate: comparisons are of methods.
    methods = ("pare", "orca", "full_finetune", "from_scratch", "linear_probe", "frozen_random")
    options = "backbone=timm", "backbone.model=vit_small_patch16_224"
    assert {one(registry, *options, method=method).recipe.learning_rate for method in methods} == {2e-4}


def test_an_option_wins_and_published_rates_stay(registry, folders):
    large = "backbone=hf_swin", f"backbone.model={folders[0] / 'large'}"
    assert one(registry, *large, "recipe.learning_rate=0.001").recipe.learning_rate == 1e-3
    assert one(registry, *large, preset="paper", tier="official", task="darcy_flow").recipe.learning_rate == 1e-3


def test_weights_are_counted_without_room_for_them(folders):
    root, weights = folders
    assert count_weights(lambda: SwinModel(SwinConfig.from_pretrained(root / "large"), add_pooling_layer=False)) == weights["large"]
    # 60 GB as float32.
    giant = SwinConfig(image_size=224, embed_dim=2048, depths=[2, 2, 18, 2], num_heads=[64, 128, 256, 512])
    assert count_weights(lambda: SwinModel(giant, add_pooling_layer=False)) > 15_000_000_000


def test_a_body_that_is_not_here_keeps_the_rate_of_the_preset(registry, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert one(registry, "backbone=hf_swin", "backbone.model=/nowhere/at/all").recipe.learning_rate == 1e-3
    assert one(registry, "backbone=timm", "backbone.model=no_such_model").recipe.learning_rate == 1e-3


def test_the_label_of_a_record_names_the_body_and_not_the_rate_that_came_with_it(registry):
    options = ("backbone=timm", "backbone.model=vit_small_patch16_224")
    assert changes_from_preset(registry, one(registry, *options)) == options
    assert changes_from_preset(registry, one(registry, *options, "recipe.learning_rate=0.001")) == (*options, "recipe.learning_rate=0.001")


def test_run_says_which_rate_it_takes(capsys, folders):
    large = ("-o", "backbone=hf_swin", "-o", f"backbone.model={folders[0] / 'large'}")
    command = ("run", "--method", "full_finetune", "--task", "cifar100", "--task", "ninapro", "--preset", "cpu", "--dry-run", "--format", "json")
    assert main([*command, *large]) == 0
    printed = capsys.readouterr()
    assert {each["recipe"]["learning_rate"] for each in json.loads(printed.out)} == {2e-4}
    line = f"recipe.learning_rate is 0.0002, which backbone 'hf_swin' ({folders[0] / 'large'}) asks for; -o recipe.learning_rate=RATE sets another"
    assert printed.err.count(line) == 1
    for others in ((), (*large, "-o", "recipe.learning_rate=0.0002")):
        assert main([*command, *others]) == 0
        assert "asks for" not in capsys.readouterr().err
    assert main(["show", "backbone", "hf_swin"]) == 0
    assert "learning_rate" in capsys.readouterr().out


class Declared:
    """A registry in which ``nano_swin`` declares a rate."""

    def __init__(self, registry, rate):
        spec = registry.spec("backbone", "nano_swin")
        self.declared = BackboneSpec(name="nano_swin", summary=spec.summary, target=spec.target, modality=spec.modality, learning_rate=rate)
        self.registry = registry

    def spec(self, kind, name):
        return self.declared if (kind, name) == ("backbone", "nano_swin") else self.registry.spec(kind, name)

    def __getattr__(self, name):
        return getattr(self.registry, name)


def asked(params):
    return {"last": 3e-4, "all": 5e-4}[params.stages]


def text(params):
    return "fast"


def broken(params):
    return 1 / 0


def test_a_plugin_declares_a_number_or_a_function(registry):
    assert one(Declared(registry, 5e-4)).recipe.learning_rate == 5e-4
    assert one(Declared(registry, 0.1)).recipe.learning_rate == 1e-3
    own = Declared(registry, f"{__name__}:asked")
    assert one(own).recipe.learning_rate == 3e-4
    assert one(own, task="darcy_flow").recipe.learning_rate == 5e-4


@pytest.mark.parametrize(("function", "words"), [("text", "is 'fast'"), ("broken", "ZeroDivisionError"), ("absent", "AttributeError")])
def test_a_function_that_gives_no_rate_is_the_plugins_fault(registry, function, words):
    with pytest.raises(PluginError, match=words):
        body_rate(Declared(registry, f"{__name__}:{function}"), "cpu", "nano_swin", {})


@pytest.mark.parametrize("rate", [0.0, -1e-3, float("nan"), float("inf"), "rates", "a b:c"])
def test_what_is_no_rate_cannot_be_registered(rate):
    with pytest.raises(PluginError, match="has learning_rate"):
        BackboneSpec(name="body", summary="a body", target="module:Class", modality="image", learning_rate=rate)


def test_what_depends_on_files_is_not_remembered(registry, tmp_path, monkeypatch, folders):
    """The configuration in a model's folder may change between two commands."""
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(rates, "_KNOWN", {})
    folder = tmp_path / "body"
    folder.mkdir()

    def planned():
        rates._KNOWN.clear()
        plans = Plans()
        request = Request("full_finetune", "nas360", ("cifar100",), overrides=("backbone=hf_swin", f"backbone.model={folder}"))
        (config,) = resolve(registry, request, plans.one)
        plans.save()
        return config.recipe.learning_rate

    for name, expected in (("large", 2e-4), ("small", 1e-3), ("large", 2e-4)):
        (folder / "config.json").write_text((folders[0] / name / "config.json").read_text())
        assert planned() == expected


def test_what_counts_weights_is_no_part_of_any_run(registry):
    """Bodies, the bundled ones above all, are the same code with the rule as without it: what it decides stands in the configuration."""
    for name in registry.names("backbone"):
        code = registry.code.closure([registry.spec("backbone", name).target]).code
        assert registry.spec("backbone", name).target.partition(":")[0] in code
        assert not [module for module in code if "rates" in module]
