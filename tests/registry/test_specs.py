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
