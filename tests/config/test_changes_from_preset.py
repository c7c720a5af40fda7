"""In what a run differs from its preset: what the label of its record is made of."""

from __future__ import annotations

import pytest
from published_model import BERT
from transformers import BertConfig

from pare_bench.config.resolution import Request, changes_from_preset, resolve
from pare_bench.config.settings import options_of
from pare_bench.registry.names import Registry

REGISTRY = Registry.from_environment()


@pytest.mark.parametrize(
    ("task", "overrides", "wanted"),
    [
        ("ecg", (), ()),
        ("ecg", ("budget.epochs=14", "mixer=patch_replace"), ()),
        ("ecg", ("budget.epochs=3", "backbone.pretrained=false"), ("backbone.pretrained=false", "budget.epochs=3")),
        ("ecg", ("mixer=none",), ("mixer=none",)),
        ("ecg", ("size.train=200", "data_seed=1"), ("data_seed=1", "size.train=200")),
        ("ecg", ("method.variant=published",), None),
        ("ecg", ("backbone=nano_text", "backbone.pretrained=false"), ("backbone.pretrained=false",)),
        ("ecg", ("selector=random",), ("selector=random",)),
        ("navier_stokes_2d", (), ()),
        ("shallow_water", ("task.points=32",), ("task.points=32",)),
    ],
)
@pytest.mark.parametrize("track", ["clean", "paper"])
def test_options_that_change_something_are_differences_and_others_are_not(task, overrides, wanted, track):
    suite = "nas360" if task == "ecg" else "pdebench"
    (config,) = resolve(REGISTRY, Request("pare", suite, (task,), track=track, seeds=(3,), overrides=overrides))
    found = changes_from_preset(REGISTRY, config)
    if wanted is None:
        # The released code's choices are what track paper gives anyway.
        assert bool(found) == (track == "clean")
        assert track == "paper" or {"method.variant=published", "mixer.order=published"} <= set(found)
    else:
        assert found == wanted


def test_what_they_say_makes_the_same_run_again():
    (config,) = resolve(REGISTRY, Request("pare", "nas360", ("ecg",), overrides=("method.variant=published", "size.train=64", "budget.epochs=2")))
    (again,) = resolve(REGISTRY, Request("pare", "nas360", ("ecg",), overrides=changes_from_preset(REGISTRY, config)))
    assert again == config


def test_settings_of_a_component_that_was_exchanged_are_said(tmp_path):
    """Seen: which model of the hub a run had was in no label."""
    BertConfig(**BERT).save_pretrained(tmp_path / "text")
    overrides = ("backbone=hf_text", f"backbone.model={tmp_path / 'text'}", "backbone.pretrained=false")
    (config,) = resolve(REGISTRY, Request("full_finetune", "nas360", ("ecg",), overrides=overrides))
    found = changes_from_preset(REGISTRY, config)
    assert found == overrides
    (again,) = resolve(REGISTRY, Request("full_finetune", "nas360", ("ecg",), overrides=found))
    assert again == config


def test_a_preset_that_is_not_there_says_nothing():
    (config,) = resolve(REGISTRY, Request("pare", "nas360", ("ecg",)))
    assert changes_from_preset(REGISTRY, config.model_copy(update={"preset": "gone"})) is None


def test_options_of_a_command_in_the_short_form_of_paths():
    assert options_of("pare-bench run -o mixer.params.begin=0.1 -o mixer.name=none --option=size.train=2 -o size.train=3") == (
        "mixer=none",
        "mixer.begin=0.1",
        "size.train=3",
    )
    assert options_of("pare-bench run -o 'unclosed") == ()
