"""Specs refuse at once what could only fail later."""

import dataclasses

import pytest

from pare_bench.errors import PluginError
from pare_bench.registry import specs

COMPONENTS = [specs.AlignerSpec, specs.ExecutorSpec, specs.MethodSpec, specs.MixerSpec, specs.SelectorSpec]


@pytest.mark.parametrize("spec", COMPONENTS)
def test_a_good_spec(spec):
    made = spec(name="good_1", summary="fine", target="a.b:C")
    assert made.kind == spec.__name__.removesuffix("Spec").lower()
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.name = "other"


@pytest.mark.parametrize("name", ["", "Good", "1good", "_good", "go-od", "go od", "good\n", "göod"])
@pytest.mark.parametrize("spec", [specs.SelectorSpec, specs.SuiteSpec])
def test_names(spec, name):
    rest = {"tasks": ("ecg",)} if spec is specs.SuiteSpec else {"target": "a:B"}
    with pytest.raises(PluginError, match="is not allowed") as caught:
        spec(name=name, summary="s", **rest)
    assert "lower-case" in caught.value.hint


@pytest.mark.parametrize(
    "target", ["", "module", "module:", ":Class", "module.Class", "module:Class.inner", "mod ule:Class", "module:Class\n", "1m:C"]
)
def test_targets(target):
    with pytest.raises(PluginError, match="has target"):
        specs.SelectorSpec(name="good", summary="s", target=target)


def test_a_summary_is_needed():
    with pytest.raises(PluginError, match="has no summary"):
        specs.MixerSpec(name="good", summary="  ", target="a:B")


@pytest.mark.parametrize("tasks", [(), ("ecg", "ecg")])
def test_suites_need_tasks_each_once(tasks):
    with pytest.raises(PluginError, match="needs tasks, each once"):
        specs.SuiteSpec(name="mine", summary="s", tasks=tasks)


def test_arguments_are_named():
    with pytest.raises(TypeError):
        specs.SelectorSpec("good", "s", "a:B")


WORDS = [
    (specs.TaskSpec, {"modality": "sequense"}, "task 'mine' has modality 'sequense'; did you mean 'sequence'?", "known: image, sequence, table"),
    (specs.TaskSpec, {"modality": 3}, "task 'mine' has modality 3", "known: image, sequence, table"),
    (
        specs.TaskSpec,
        {"modality": "image", "tiers": ("generated", "offical")},
        "task 'mine' has tiers with 'offical'; did you mean 'official'?",
        "known: generated, bundled, official",
    ),
    (specs.TaskSpec, {"modality": "image", "tiers": "official"}, "task 'mine' has tiers 'official'", "write tiers=('official',)"),
    (specs.TaskSpec, {"modality": "image", "tiers": ()}, "task 'mine' has no tier", "known: generated, bundled, official"),
    (specs.TaskSpec, {"modality": "image", "tiers": ("official", "official")}, "task 'mine' has tiers ('official', 'official')", "each once"),
    (specs.BackboneSpec, {"modality": "table"}, "backbone 'mine' has modality 'table'", "known: image, sequence"),
    (specs.EmbedderSpec, {"modality": "tables"}, "embedder 'mine' has modality 'tables'; did you mean 'table'?", "known: image, sequence, table"),
    (specs.EmbedderSpec, {"modality": "sequence", "tokens": "table"}, "embedder 'mine' has tokens 'table'", "known: image, sequence"),
    (
        specs.MethodSpec,
        {"slots": ("backbone", "selectr")},
        "method 'mine' has slots with 'selectr'; did you mean 'selector'?",
        "known: backbone, embedder, selector, mixer, aligner, source",
    ),
    (specs.MethodSpec, {"slots": "backbone"}, "method 'mine' has slots 'backbone'", "write slots=('backbone',)"),
    (specs.MethodSpec, {"slots": (1,)}, "method 'mine' has slots (1,)", "write slots=a tuple of texts"),
    (specs.SuiteSpec, {"tasks": "ecg"}, "suite 'mine' has tasks 'ecg'", "write tasks=('ecg',)"),
]


@pytest.mark.parametrize(("spec", "fields", "message", "hint"), WORDS)
def test_words_that_there_are_not(spec, fields, message, hint):
    """Seen: an unknown modality, tier or slot was found when a run stumbled over it."""
    target = {} if spec is specs.SuiteSpec else {"target": "a:B"}
    with pytest.raises(PluginError) as caught:
        spec(name="mine", summary="s", **target, **fields)
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_the_words_are_those_that_a_run_knows():
    from typing import get_args

    from pare_bench.config.run_config import SLOTS, Tier

    assert tuple(SLOTS) == specs.SLOTS
    assert get_args(Tier) == specs.TIERS
