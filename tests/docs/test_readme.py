"""The README's commands are the ones that run: the same as CI's, and each resolves."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [line.removeprefix("$ ").partition("  #")[0] for line in README.splitlines() if line.startswith("$ ")]


def test_ci_runs_exactly_the_readmes_test_command():
    (test_command,) = [command for command in COMMANDS if command.endswith("-m pytest -m alone")]
    assert test_command in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_set_up_and_work_are_one_command_each():
    set_up = [command for command in COMMANDS if command.startswith("python3 -m venv")]
    assert [command.split(" && ")[2:] for command in set_up] == [
        [".venv/bin/pare-bench run --method pare --suite nas360 --out my-runs"],
        ['.venv/bin/python -m pytest -n 2 -m "not alone"', ".venv/bin/python -m pytest -m alone"],
    ]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("pare-bench run")])
def test_every_run_command_resolves(pare_bench, tmp_path, command):
    words = shlex.split(command.replace("my-runs", str(tmp_path)))[1:]
    code, out, err = pare_bench(*words, "--dry-run", *([] if "--out" in words else ["--out", str(tmp_path)]))
    assert code == 0, err
    assert out.count("\n") >= 10


def test_the_table_of_names_is_complete():
    from pare_bench.registry.names import Registry

    registry = Registry.from_environment()
    for kind in ("suite", "method", "backbone", "selector", "mixer", "aligner"):
        rows = [line for line in README.splitlines() if re.match(rf"\| {kind}(,| for| \|)", line)]
        assert set(registry.names(kind)) <= set(re.findall(r"`(\w+)`", "".join(rows)))
