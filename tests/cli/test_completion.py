"""The Tab key: what the shells' scripts ask for, as they ask for it (how long that takes: tests/benchmark)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import get_args

import pytest

from pare_bench.cli import completion
from pare_bench.config.presets import PRESETS
from pare_bench.config.run_config import Tier
from pare_bench.contracts.size import Track


def asked(line, *, code="import sys; from pare_bench.cli import entry_point; entry_point()", **environment):
    """Ask as the script of bash does, with the last word of ``line`` unfinished; returns what is offered."""
    words = line.split(" ")
    variables = {**os.environ, "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_PARE_BENCH_COMPLETE": "complete_bash", **environment}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pare-bench ru", ["run"]),
        ("pare-bench leaderboard ver", ["verify"]),
        ("pare-bench run --met", ["--method"]),
        ("pare-bench run --method par", ["pare"]),
        ("pare-bench run -m pare,o", ["pare,orca"]),
        ("pare-bench run -m pare,", None),
        ("pare-bench run -m pare -m or", ["orca"]),
        ("pare-bench run --suite pde", ["pdebench"]),
        ("pare-bench run -s pdebench -t bur", ["burgers"]),
        ("pare-bench run -s nas360 -t bur", []),
        ("pare-bench run --preset ", ["auto", "cpu", "smoke", "paper"]),
        ("pare-bench run --tier o", ["official"]),
        ("pare-bench run --track ", ["clean", "paper"]),
        ("pare-bench run --executor p", ["processes"]),
        ("pare-bench run --predictions ", ["none", "compact", "full"]),
        ("pare-bench config show -m orc", ["orca"]),
        ("pare-bench compare pare orc", ["orca"]),
        ("pare-bench show selector gate_t", ["gate_topk"]),
        ("pare-bench show sel", ["selector"]),
        ("pare-bench list --plugin base", ["baselines"]),
        ("pare-bench list met", ["method"]),
        ("pare-bench data fetch satel", ["satellite"]),
        ("pare-bench check gate_g", ["gate_gumbel"]),
    ],
)
def test_names_are_offered(line, offered):
    found = asked(line)
    if offered is None:
        assert "pare,orca" in found
        assert "pare,pare" not in found
    else:
        assert found == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_what_each_name_is(shell):
    line = {"_TYPER_COMPLETE_ARGS": "pare-bench run --method orc", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    found = asked("", _PARE_BENCH_COMPLETE=f"complete_{shell}", **line)
    assert "orca" in " ".join(found)
    assert "fine-tune" in " ".join(found)


def test_nothing_heavy_is_imported():
    code = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted({"torch", "numpy", "pydantic", "rich", "scipy"} & set(sys.modules)))))
from pare_bench.cli import entry_point
entry_point()
"""
    *offered, heavy = asked("pare-bench run -s nas360 -t satel", code=code)
    assert offered == ["satellite"]
    assert json.loads(heavy) == []


def test_a_broken_registry_offers_nothing_and_says_nothing(monkeypatch):
    def broken():
        raise RuntimeError

    monkeypatch.setattr("pare_bench.registry.names.load_plugins", broken)
    assert completion.names("method")("pa") == []


def test_the_words_are_those_that_the_options_take():
    assert tuple(PRESETS) == completion.PRESETS
    assert get_args(Tier) == completion.TIERS
    assert get_args(Track) == completion.TRACKS


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_it_can_be_installed(shell, file, tmp_path):
    """As a person would: the option finds out the shell, writes its script, and the next shell completes."""
    (tmp_path / file).write_text("")
    variables = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    call = [sys.executable, "-c", "from pare_bench.cli import entry_point; entry_point()", "--install-completion", shell]
    done = subprocess.run(call, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{shell} completion installed" in done.stdout
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "_PARE_BENCH_COMPLETE=complete_" + shell in written


def test_bash_completes_with_the_script_that_is_shown(tmp_path):
    bash = "/bin/bash"
    if not os.access(bash, os.X_OK):
        pytest.skip("no bash")
    program = tmp_path / "pare-bench"
    program.write_text(f"#!{sys.executable}\nfrom pare_bench.cli import entry_point\nentry_point()\n")
    program.chmod(0o755)
    variables = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = """
eval "$(pare-bench --show-completion bash)"
COMP_WORDS=(pare-bench run --method orc); COMP_CWORD=3
_pare_bench_completion pare-bench
echo "${COMPREPLY[@]}"
"""
    done = subprocess.run([bash, "-c", script], env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["orca"], done.stderr
