"""One place looks names up: hints, duplicates, lazy targets, parameters, and that none of it imports torch."""

import subprocess
import sys

import pytest
import torch

import pare_bench
from pare_bench.contracts.selector import Selector
from pare_bench.errors import ExitCode, PluginError, UnknownNameError, UsageError
from pare_bench.registry.names import Registry
from pare_bench.registry.plugins import load_plugins

REGISTRY = Registry.from_environment()

PLUGIN = """
from pare_bench import SelectorSpec, hookimpl

@hookimpl
def pare_bench_selectors():
    yield SelectorSpec(name="{name}", summary="a test", target="{target}")
"""


def test_kinds_and_names():
    assert REGISTRY.kinds()[:3] == ("suite", "task", "method")
    assert REGISTRY.names("selector")[0] == "gate_gumbel"
    assert {"pare", "orca", "full_finetune", "constant"} <= set(REGISTRY.names("method"))


def test_tasks_of_every_suite_are_registered():
    for suite in REGISTRY.names("suite"):
        assert set(REGISTRY.spec("suite", suite).tasks) <= set(REGISTRY.names("task"))


def test_slots_of_every_method_exist():
    for method in REGISTRY.names("method"):
        assert set(REGISTRY.spec("method", method).slots) <= {"backbone", "embedder", "selector", "mixer", "aligner", "source"}


def test_unknown_name_gives_the_nearest_and_the_command():
    with pytest.raises(UnknownNameError, match=r"unknown selector 'gate_gumbl'; did you mean 'gate_gumbel'\?") as caught:
        REGISTRY.entry("selector", "gate_gumbl")
    assert caught.value.hint == "pare-bench list selector"
    assert caught.value.exit_code is ExitCode.USAGE


def test_unknown_name_with_nothing_near_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown mixer 'zzzzzz' known: none, patch_replace"):
        REGISTRY.entry("mixer", "zzzzzz")


def test_unknown_kind():
    with pytest.raises(UnknownNameError, match=r"unknown kind 'selektor'; did you mean 'selector'\?"):
        REGISTRY.names("selektor")


def test_unknown_name_mentions_broken_plugins(install):
    install("margin", "import a_module_that_is_not_there")
    with pytest.raises(UnknownNameError) as caught:
        Registry(load_plugins({})).entry("selector", "margin")
    assert "plugins that could not be loaded: margin" in caught.value.hint


def test_a_duplicate_names_both_plugins(install):
    install("mine", PLUGIN.format(name="gate_topk", target="m:C"), distribution="pare-bench-mine", version="2.5")
    with pytest.raises(PluginError) as caught:
        Registry(load_plugins({}))
    message = str(caught.value)
    assert "selector 'gate_topk' is registered by two plugins" in message
    assert f"'builtin' (pare-bench {pare_bench.__version__})" in message
    assert "'mine' (pare-bench-mine 2.5)" in message
    assert "PARE_BENCH_PLUGINS" in caught.value.hint


def test_the_same_name_in_two_kinds_is_no_duplicate(install):
    install("mine", PLUGIN.format(name="patch_replace", target="m:C"))
    assert "patch_replace" in Registry(load_plugins({})).names("selector")


@pytest.mark.parametrize(
    ("target", "reason"), [("no_such_module:Thing", "no_such_module"), ("pare_bench.seeds:Thing", "Thing"), ("pare_bench.seeds.deep:Thing", "deep")]
)
def test_a_target_that_is_not_there(install, target, reason):
    install("mine", PLUGIN.format(name="mine", target=target))
    registry = Registry(load_plugins({}))
    with pytest.raises(PluginError, match=f"selector 'mine' of plugin 'mine' .* cannot be loaded: .*{reason}") as caught:
        registry.component("selector", "mine")
    assert target in caught.value.hint


def test_load_builds_with_parameters():
    selector = pare_bench.load("selector", "gate_topk", {"temperature": 0.5}, dim=4)
    assert isinstance(selector, Selector)
    assert selector.params.temperature == 0.5
    assert selector(torch.randn(2, 5, 4), 3).indices.shape == (2, 3)


def test_load_of_an_unknown_name():
    with pytest.raises(UnknownNameError, match="did you mean 'pare'"):
        pare_bench.load("method", "par")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temprature": 1.0}, r"has no parameter 'temprature'; did you mean 'temperature'\?"),
        ({"zzz": 1.0}, "has no parameter 'zzz'; it has: temperature, straight_through"),
        ({"temperature": 0}, "cannot take temperature = 0: input should be greater than 0"),
        ({"temperature": float("nan")}, "cannot take temperature = nan"),
        ({"temperature": "warm"}, "cannot take temperature = 'warm'"),
    ],
)
def test_parameters_that_do_not_fit(values, message):
    with pytest.raises(UsageError, match=message) as caught:
        pare_bench.load("selector", "gate_topk", values, dim=4)
    assert caught.value.hint == "pare-bench show selector gate_topk"


def test_every_parameter_is_frozen_and_closed():
    for kind in REGISTRY.kinds():
        for name in REGISTRY.names(kind):
            if kind == "suite":
                continue
            params = REGISTRY.component(kind, name).Params
            assert params.model_config["frozen"], (kind, name)
            assert params.model_config["extra"] == "forbid", (kind, name)


LIGHT = "import sys; from pare_bench.cli import main; code = main({argv!r}); assert 'torch' not in sys.modules, 'torch'; sys.exit(code)"


@pytest.mark.parametrize(
    "argv",
    [
        ["list"],
        ["list", "task"],
        ["list", "--format", "json"],
        ["show", "method", "pare"],
        ["show", "selector", "gate_gumbel"],
        ["plugins"],
        ["--help"],
        ["run", "--help"],
    ],
    ids=" ".join,
)
def test_listing_verbs_do_not_import_torch(argv):
    done = subprocess.run([sys.executable, "-c", LIGHT.format(argv=argv)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_importing_the_package_is_light():
    modules = "pare_bench, pare_bench.registry.names, pare_bench.config.run_config, pare_bench.records.record"
    code = f"import sys, {modules}; print(sorted({{'torch', 'scipy', 'sklearn', 'timm'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
