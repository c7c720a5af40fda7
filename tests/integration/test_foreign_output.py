"""What plugins and libraries print goes to stderr; and an option that is given twice is never silently the last."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

NOISY = """
import os, subprocess, sys
from pare_bench import MethodSpec, hookimpl
print("noise of an import")

@hookimpl
def pare_bench_methods():
    print("noise of a hook")
    sys.stdout.write("more noise of a hook\\n")
    os.write(1, b"noise from C\\n")
    subprocess.run([sys.executable, "-c", "print('noise of a child')"], check=True)
    yield MethodSpec(name="noisy", summary="A method.", target="method_of_noisy:Noisy", slots=())
"""
METHOD = """
import os
from pare_bench_baselines.constant import Constant

class Noisy(Constant):
    def fit(self, data, context):
        print("noise of a fit")
        os.write(1, b"noise from C in a fit\\n")
        return super().fit(data, context)
"""


@pytest.fixture
def noisy(install, tmp_path):
    install("noisy", NOISY)
    (tmp_path / "site" / "method_of_noisy.py").write_text(METHOD)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])}

    def call(*words, stdin=None):
        return subprocess.run([sys.executable, "-m", "pare_bench", *words], capture_output=True, text=True, env=environment, timeout=240, check=False)

    return call


def test_json_is_json_whatever_plugins_print(noisy, tmp_path):
    tiny = ("--task", "satellite", "--preset", "smoke", "--out", str(tmp_path / "out"), "--format", "json")
    done = noisy("run", "--method", "noisy", *tiny)
    assert done.returncode == 0, done.stderr
    assert [each["status"] for each in json.loads(done.stdout)] == ["ok"]
    for noise in ("an import", "a hook", "a child", "a fit"):
        assert f"noise of {noise}" in done.stderr
    assert "noise from C in a fit" in done.stderr
    done = noisy("plugins", "--format", "json")
    assert "noisy" in {each["name"] for each in json.loads(done.stdout)}


@pytest.mark.parametrize("words", [("list",), ("--help",), ("run", "--help"), ("data", "--help"), ("--version",)])
def test_what_is_asked_for_is_on_stdout(noisy, words):
    done = noisy(*words)
    assert done.returncode == 0
    assert done.stdout.strip()
    assert "noise of" not in done.stdout


def test_prints_of_a_plugin_do_not_reach_stdout_of_a_caller_either(install, pare_bench, tmp_path):
    install("noisy", NOISY)
    (tmp_path / "site" / "method_of_noisy.py").write_text(METHOD)
    stdout = sys.stdout
    code, out, err = pare_bench("list", "method", "--format", "json")
    assert code == 0
    assert "noisy" in {each["name"] for each in json.loads(out)}
    assert "noise of a hook" in err
    assert sys.stdout is stdout


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("inspect", "ecg", "-m", "constant", "-m", "pare"), "--method / -m"),
        (("show", "preset", "cpu", "--method", "constant", "-m", "constant"), "--method / -m"),
        (("run", "--method=constant", "--suite", "nas360", "--suite", "openml"), "--suite / -s"),
        (("run", "--method", "constant", "--resume", "--no-resume"), "--resume"),
        (("run", "--method", "constant", "--seeds", "0", "--seeds", "1"), "--seeds"),
        (("compare", "pare", "orca", "--suite", "nas360", "--suite", "openml"), "--suite"),
        (("list", "--format", "md", "--format", "json"), "--format"),
        (("data", "status", "--format", "json", "--format", "md"), "--format"),
        (("leaderboard", "show", "--preset", "cpu", "--preset", "paper"), "--preset"),
    ],
)
def test_an_option_that_is_given_twice_is_refused(pare_bench, words, option):
    """Seen: the last one counted, silently."""
    code, _, err = pare_bench(*words)
    assert code == 2
    assert f"option {option}" in err
    assert "is given 2 times" in err


def test_options_that_are_lists_may_be_given_several_times(pare_bench, tmp_path):
    words = ("run", "--method", "constant", "-t", "satellite", "-t", "ecg", "-o", "size.train=8", "-o", "size.val=4", "--preset", "smoke")
    code, out, _ = pare_bench(*words, "--dry-run", "--format", "json", "--out", str(tmp_path))
    assert code == 0
    assert [each["task"]["name"] for each in json.loads(out)] == ["ecg", "satellite"]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("recipe.learning_rate=1", "recipe.learning_rate=2", "'recipe.learning_rate': '1' and '2'"),
        ("mixer.begin=0.5", "mixer.params.begin=0.6", "'mixer.begin': '0.5' and '0.6'"),
        ("mixer=patch_replace", "mixer.name=other", "'mixer': 'patch_replace' and 'other'"),
    ],
)
def test_two_values_for_one_path_are_refused(pare_bench, first, second, said):
    code, _, err = pare_bench("run", "--method", "pare", "-o", first, "-o", second)
    assert code == 2
    assert said in err


def test_the_same_value_twice_is_one_value(pare_bench, tmp_path):
    words = ("run", "--method", "constant", "--task", "ecg", "--compile", "-o", "compile=true", "--dry-run", "--out", str(tmp_path))
    assert pare_bench(*words)[0] == 0
