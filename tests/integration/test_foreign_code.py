"""Foreign code that exits, or that leaves the process in another state: it takes neither the command nor the next run along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pare_bench.records.store import Store

TINY = ("--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8", "-o", "budget.epochs=1")
REGISTERS = """
from pare_bench import MethodSpec, hookimpl

@hookimpl
def pare_bench_methods():
    {first}
    yield MethodSpec(name="foreign", summary="A method.", target="plugin_of_foreign:Foreign", slots=("backbone", "embedder"))
"""
METHOD = """
from pare_bench_baselines.fine_tuning import FullFineTuning

class Foreign(FullFineTuning):
    def fit(self, data, context):
        {before}
        predictor = super().fit(data, context)
        {after}
        return predictor
"""


def plugin(*, top="", first="", before="pass", after="pass"):
    return f"import sys\n{top}\n" + REGISTERS.format(first=first) + METHOD.format(before=before, after=after)


@pytest.mark.parametrize(("where", "word"), [({"top": "sys.exit(0)"}, "SystemExit: 0"), ({"first": "sys.exit(3)"}, "SystemExit: 3")])
def test_a_plugin_that_exits_when_it_is_asked_is_a_broken_plugin(install, pare_bench, where, word):
    """Seen: every command printed nothing and ended with 0."""
    install("foreign", plugin(**where))
    code, out, _ = pare_bench("list", "method", "--format", "json")
    assert code == 0
    assert "full_finetune" in out
    (found,) = [each for each in json.loads(pare_bench("plugins", "--format", "json")[1]) if each["name"] == "foreign"]
    assert word in found["error"]


def test_a_component_whose_module_exits_is_one_line(install, pare_bench, tmp_path):
    install("foreign", REGISTERS.format(first="pass").replace("plugin_of_foreign:Foreign", "leaver:Foreign"))
    (tmp_path / "site" / "leaver.py").write_text("import sys\nsys.exit(0)\n")
    code, _, err = pare_bench("run", "--method", "foreign", "--task", "satellite", "--out", str(tmp_path / "out"), *TINY)
    assert code == 2
    assert "method 'foreign' of plugin 'foreign'" in err
    assert "SystemExit: 0" in err


def test_a_method_that_exits_is_a_failed_run_and_the_others_go_on(install, pare_bench, tmp_path):
    install("foreign", plugin(before="sys.exit(0) if context.config.task.name == 'satellite' else None"))
    tasks = ("--task", "satellite", "--task", "ecg")
    code, _, _ = pare_bench("run", "--method", "foreign", *tasks, "--out", str(tmp_path / "out"), *TINY)
    assert code == 1
    found = {record.task.name: (record.status, record.reason) for record in Store(tmp_path / "out").records()}
    assert found == {"satellite": ("failed", "SystemExit: 0"), "ecg": ("ok", None)}


STATES = {
    "matmul precision": "torch.set_float32_matmul_precision('medium')",
    "default type": "torch.set_default_dtype(torch.float64)",
    "no gradients": "torch.set_grad_enabled(False)",
    "autocast": "torch.set_autocast_enabled('cpu', True)",
    "default device": "torch.set_default_device('meta')",
    "random generators": "torch.manual_seed(1), __import__('random').seed(1), __import__('numpy').random.seed(1)",
    "variables": "__import__('os').environ.update(FOREIGN='1'), __import__('os').environ.pop('HF_HUB_OFFLINE', None)",
    "folder": "__import__('os').chdir('/')",
    "warnings": "__import__('warnings').simplefilter('error')",
}


@pytest.mark.parametrize("state", STATES)
def test_what_a_run_sets_for_the_process_does_not_reach_the_next_one(install, pare_bench, tmp_path, monkeypatch, state):
    """Seen: after a run that had set matmul precision to medium the next seed scored 0.3333 instead of 0.3400 under the same id."""
    import os
    import random
    import warnings

    import torch

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    install("foreign", plugin(top="import torch", after=f"{STATES[state]} if context.config.seed == 0 else None"))
    command = ("run", "--method", "foreign", "--task", "satellite", *TINY)
    assert pare_bench(*command, "--seeds", "1", "--out", str(tmp_path / "alone"))[0] == 0

    def state_of_the_process():
        torch_state = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_float32_matmul_precision(), torch.is_autocast_enabled("cpu"))
        return Path.cwd(), dict(os.environ), random.getstate(), list(warnings.filters), torch_state

    before = state_of_the_process()
    assert pare_bench(*command, "--seeds", "0-1", "--out", str(tmp_path / "after"))[0] == 0
    assert state_of_the_process() == before
    (wanted,) = Store(tmp_path / "alone").records()
    (found,) = [record for record in Store(tmp_path / "after").records() if record.seed == 1]
    assert found.run_id == wanted.run_id
    assert found.predictions_sha256 == wanted.predictions_sha256
