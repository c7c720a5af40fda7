"""The fixtures for tests of plugins: what they say where something is wrong, and that nobody has them who has not asked.

Tests of others are run in a process of their own, as theirs are.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

PLUGIN = """
from pare_bench import SelectorSpec, hookimpl

@hookimpl
def pare_bench_selectors():
    yield SelectorSpec(name="greedy", summary="one too many", target="plugin_of_greedy.greedy:Greedy")
"""
GREEDY = """
from pare_bench.builtin.selectors.gate import GateTopK

class Greedy(GateTopK):
    def forward(self, tokens, k):
        return super().forward(tokens, min(k + 1, tokens.shape[1]))
"""
TESTS = """
pytest_plugins = ["pare_bench.pytest_plugin"]

TINY = ("-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8")


def test_it_does_not(conformance):
    conformance("selector", "greedy")


def test_it_does(conformance):
    conformance("selector", "gate_topk")
    conformance("selector", "gate_topk", {"temperature": 0.5})


def test_name(conformance):
    conformance("selector", "gate_tpk")


def test_parameter(conformance):
    conformance("selector", "gate_topk", {"warmth": 1})


def test_observer(conformance):
    conformance("observer", "nobody")


def test_not_here(conformance):
    conformance("backbone", "hf_text")


def test_good_run(smoke_run):
    record = smoke_run("--method", "constant", "--task", "satellite", *TINY)
    assert (record.status, record.preset, record.method.name) == ("ok", "smoke", "constant")
    assert smoke_run("--method", "constant", "--task", "satellite", *TINY).run_id == record.run_id


def test_wrong_run(smoke_run):
    smoke_run("--method", "constant", "--task", "satelite")


def test_two_runs(smoke_run):
    smoke_run("--method", "constant", "--task", "satellite", "--seeds", "0-1", *TINY)
"""


@pytest.fixture
def elsewhere(pytester, monkeypatch):
    """Return ``run(source)``: installs a plugin ``greedy`` of this source and runs the tests of the folder."""

    def run(source):
        site = pytester.mkdir("site")
        (site / "plugin_of_greedy").mkdir()
        (site / "plugin_of_greedy" / "__init__.py").write_text(source)
        (site / "plugin_of_greedy" / "greedy.py").write_text(GREEDY)
        information = site / "greedy-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: greedy\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text("[pare_bench]\ngreedy = plugin_of_greedy\n")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *(path for path in sys.path if path)]))
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--no-header", "-rs")

    return run


@pytest.mark.slow
def test_what_the_fixtures_say(pytester, elsewhere):
    pytester.makepyfile(TESTS)
    done = elsewhere(PLUGIN)
    done.assert_outcomes(passed=2, failed=6, skipped=1)
    text = done.stdout.str()
    for words in (
        "selector 'greedy' does not conform:\n  ",
        "exactly k must be chosen",
        "unknown selector 'gate_tpk'; did you mean 'gate_topk'? known: gate_gumbel, gate_topk, greedy, random (try: pare-bench list selector)",
        "selector 'gate_topk' has no parameter 'warmth'",
        "unknown observer 'nobody'",
        "pare-bench run ends with 2:\n",
        "has no task 'satelite'; did you mean 'satellite'?",
        "2 runs, not one: name one task and one seed",
    ):
        assert words in text
    assert "Traceback" not in text


def test_a_plugin_that_cannot_be_loaded_is_told(pytester, elsewhere):
    pytester.makepyfile(TESTS.partition("def test_it_does(")[0])
    done = elsewhere("PLUGIN_API = 99\n")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*plugin 'greedy' (greedy 1.0): needs plugin API 99*"])


def test_nobody_has_them_who_has_not_asked(pytester, elsewhere):
    pytester.makepyfile("def test_one(conformance): ...\n")
    done = elsewhere(PLUGIN)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*fixture 'conformance' not found*"])
    assert not [point for point in importlib.metadata.entry_points(group="pytest11") if point.value.startswith("pare_bench")]


def test_loading_them_is_light():
    code = "import sys, pare_bench.pytest_plugin; print(sorted({'torch', 'numpy', 'pydantic', 'typer'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "[]"
