"""One bad task or plugin: its runs are failed records with a reason, and the others go on."""

from __future__ import annotations

import json

import pytest

from pare_bench.records.store import Store

TINY = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4")
PLUGIN = """
from pare_bench import SuiteSpec, TaskSpec, hookimpl

@hookimpl
def pare_bench_tasks():
    yield TaskSpec(name="good", summary="A task.", target="tasks_of_bad:Good", modality="image")
    yield TaskSpec(name="bad", summary="A task.", target="{target}", modality="image", tiers={tiers})

@hookimpl
def pare_bench_suites():
    yield SuiteSpec(name="mixed", summary="Two tasks.", tasks=("bad", "good"))
"""
TASKS = """
import sys
from pathlib import Path
import numpy as np
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, Splits, Task, TaskSize
from pare_bench.contracts.params import Params

class Good(Task):
    name = "good"
    version = 1
    inputs = InputShape(1, (4, 4))
    target = Classes(2)
    metrics = (Metric("error_rate", lambda outputs, split: float((outputs.argmax(1) != split.targets).mean())),)
    sizes = {{"cpu": TaskSize(8, 4, 4)}}

    def generated(self, seed, size):
        return Splits(*(Split(np.zeros((n, 1, 4, 4), np.float32), np.arange(n) % 2) for n in (size.train, size.val, size.test)))

class Base(Good):
    name = "bad"
    version = 7

{bad}
"""
#: what is wrong -> (the class, what its record says)
FAULTS = {
    "its data cannot be made": (
        "class Bad(Base):\n    def generated(self, seed, size):\n        raise RuntimeError('no simulator')",
        "RuntimeError: no simulator",
    ),
    "it exits": ("class Bad(Base):\n    def generated(self, seed, size):\n        sys.exit(0)", "SystemExit: 0"),
    "its data are no splits": ("class Bad(Base):\n    def generated(self, seed, size):\n        return [1, 2]", "Splits"),
    "its data are nothing": ("class Bad(Base):\n    def generated(self, seed, size):\n        return None", "Splits"),
    "a file is missing": (
        "class Bad(Base):\n    def generated(self, seed, size):\n        return Path('/no/such/file').read_text()",
        "/no/such/file",
    ),
    "it is abstract": (
        "class Bad(Task):\n    name, version, inputs, target = 'bad', 7, Good.inputs, Good.target\n    metrics, sizes = Good.metrics, Good.sizes",
        "its class has no generated",
    ),
    "its parameters are no JSON": (
        "class Bad(Base):\n    class Params(Params):\n        model_config = {{'arbitrary_types_allowed': True}}\n        what: object = object()",
        "are no JSON",
    ),
    "it has no parameters": ("class Bad(Base):\n    Params = None", "its class has no class Params"),
    "it fails when it is built": ("class Bad(Base):\n    def __init__(self, params=None):\n        raise OSError('not today')", "not today"),
    "its module raises": ("raise ValueError('half-installed')", "half-installed"),
    "its module exits": ("sys.exit(0)", "SystemExit: 0"),
    "its class is not there": ("", "Bad"),
    "it is a function": ("def Bad(params=None):\n    return Good(params)", "is no class"),
    "it takes lines and is registered for images": (
        "class Bad(Base):\n    inputs = InputShape(1, (16,))",
        "task 'bad': a grid of (16,) is not of modality 'image'",
    ),
    "it predicts a field and is not registered as dense": (
        "from pare_bench.contracts.task import Field\nclass Bad(Base):\n    target = Field((4, 4))",
        "task 'bad': dense is False in its spec, its target is Field",
    ),
    "it has no sizes": ("class Bad(Base):\n    sizes = None", "NoneType"),
}


def put(install, tmp_path, bad, target="bad_task:Bad", tiers='("generated",)'):
    install("bad", PLUGIN.format(target=target, tiers=tiers))
    (tmp_path / "site" / "tasks_of_bad.py").write_text(TASKS.format(bad=""))
    module = target.partition(":")[0]
    (tmp_path / "site" / f"{module}.py").write_text("from tasks_of_bad import *\nimport sys\n" + TASKS.format(bad=bad.format()))


def call(pare_bench, tmp_path, *options):
    return pare_bench("run", "--method", "constant", "--suite", "mixed", "--out", str(tmp_path / "out"), *TINY, *options)


def found(tmp_path):
    return {record.task.name: record for record in Store(tmp_path / "out").records()}


@pytest.fixture(autouse=True)
def _forget_modules():
    import sys

    yield
    for name in ("tasks_of_bad", "bad_task"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_other_runs_go_on_and_the_failure_is_a_record(install, pare_bench, tmp_path, fault):
    """Seen: a traceback, or the end of the command, and no record."""
    bad, said = FAULTS[fault]
    put(install, tmp_path, bad)
    code, out, err = call(pare_bench, tmp_path, "--format", "json")
    assert code == 1, err
    records = found(tmp_path)
    assert records["good"].status == "ok"
    record = records["bad"]
    assert (record.status, record.metrics, record.task.data_sha256, record.identity) == ("failed", (), "", None)
    assert said in record.reason
    assert record.hint
    assert {each["task"]["name"]: each["status"] for each in json.loads(out)} == {"bad": "failed", "good": "ok"}
    assert pare_bench("leaderboard", "validate", str(tmp_path / "out"))[0] == 0


def test_the_failure_is_shown_wherever_runs_are_shown(install, pare_bench, tmp_path):
    put(install, tmp_path, FAULTS["its data cannot be made"][0])
    call(pare_bench, tmp_path)
    out = str(tmp_path / "out")
    board = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    (division,) = board["divisions"]
    (method,) = division["methods"].values()
    assert method["status"] == "partial"
    assert method["failed"]["bad"][0]["reason"] == "RuntimeError: no simulator"
    cells = json.loads(pare_bench("status", "--suite", "mixed", "--out", out, "--format", "json")[1])
    assert {cell["task"]: (cell["state"], cell["detail"]) for cell in cells}["bad"] == ("failed", "RuntimeError: no simulator")
    code, text, _ = pare_bench("explain", found(tmp_path)["bad"].run_id, "--out", out)
    assert code == 0
    assert "could not begin (RuntimeError: no simulator)" in text
    code, _, err = pare_bench("reproduce", found(tmp_path)["bad"].run_id, "--out", out)
    assert (code, "could not begin" in err) == (2, True)
    code, _, err = pare_bench("compare", "constant", "full_finetune", "--suite", "mixed", "--out", out)
    assert code == 3
    assert "bad (failed: RuntimeError: no simulator)" in err


def test_a_task_that_is_mended_is_run_and_its_failure_no_longer_counts(install, pare_bench, tmp_path):
    import sys

    put(install, tmp_path, "raise ValueError('half-installed')")
    assert call(pare_bench, tmp_path)[0] == 1
    module = tmp_path / "site" / "bad_task.py"
    module.write_text(module.read_text().replace("raise ValueError('half-installed')", "class Bad(Base):\n    pass"))
    sys.modules.pop("bad_task", None)
    code, _, err = call(pare_bench, tmp_path, "--only-failed")
    assert code == 0, err
    assert "1 of 2 runs have failed" in err
    (division,) = json.loads((tmp_path / "out" / "leaderboard.json").read_text())["divisions"]
    assert division["methods"]["constant"]["status"] == "complete"
    assert division["tasks"]["bad"]["version"] == 7
    assert [each["run_id"] for each in division["superseded"]] == [record.run_id for record in Store(tmp_path / "out").records() if not record.begun]
    cells = json.loads(pare_bench("status", "--suite", "mixed", "--out", str(tmp_path / "out"), "--format", "json")[1])
    assert [cell["state"] for cell in cells] == ["ok", "ok"]


def test_a_run_that_cannot_begin_any_more_hides_no_result(install, pare_bench, tmp_path):
    """Files that are missing on this machine say nothing about scores that were made on another one."""
    put(install, tmp_path, "class Bad(Base):\n    pass")
    assert call(pare_bench, tmp_path)[0] == 0
    before = {each: record.run_id for each, record in found(tmp_path).items()}
    import sys

    module = tmp_path / "site" / "bad_task.py"
    module.write_text(module.read_text().replace("class Bad(Base):\n    pass", FAULTS["its data cannot be made"][0]))
    sys.modules.pop("bad_task", None)
    assert call(pare_bench, tmp_path)[0] == 1
    (division,) = json.loads((tmp_path / "out" / "leaderboard.json").read_text())["divisions"]
    assert division["methods"]["constant"]["tasks"]["bad"]["seeds"]["0"]["run_id"] == before["bad"]


def test_fail_fast_ends_with_the_first_fault(install, pare_bench, tmp_path):
    put(install, tmp_path, "raise ValueError('half-installed')")
    code, _, err = call(pare_bench, tmp_path, "--fail-fast")
    assert code == 2
    assert "half-installed" in err
    assert found(tmp_path) == {}


def test_fail_fast_ends_after_the_first_run_that_fails(install, pare_bench, tmp_path):
    put(install, tmp_path, "class Bad(Base):\n    metrics = (Metric('broken', lambda outputs, split: 1 / 0),)")
    code, _, err = call(pare_bench, tmp_path, "--fail-fast")
    assert code == 1
    assert "--fail-fast" in err
    assert {name: record.status for name, record in found(tmp_path).items()} == {"bad": "failed"}


def test_a_suite_that_names_a_task_of_a_broken_plugin(install, pare_bench, tmp_path):
    put(install, tmp_path, "class Bad(Base):\n    pass")
    plugin = tmp_path / "site" / "plugin_of_bad.py"
    plugin.write_text(plugin.read_text().replace('name="bad", summary', 'name="renamed", summary'))
    code, _, err = call(pare_bench, tmp_path)
    assert code == 1, err
    assert "unknown task 'bad'" in found(tmp_path)["bad"].reason
    assert found(tmp_path)["good"].status == "ok"


def test_missing_files_everywhere_are_exit_code_3_and_somewhere_1(install, pare_bench, tmp_path):
    put(install, tmp_path, "class Bad(Base):\n    official_files = (OfficialFile('data.csv'),)", tiers='("generated", "official")')
    command = ("run", "--method", "constant", "--suite", "mixed", "--preset", "smoke", "--out", str(tmp_path / "out"))
    code, _, err = pare_bench(*command, "--tier", "official")
    assert code == 3, err
    records = found(tmp_path)
    assert {name: record.status for name, record in records.items()} == {"bad": "failed", "good": "failed"}
    assert records["bad"].hint
    code, _, err = pare_bench(*command, "--tier", "official", "--task", "bad", "--seeds", "1")
    assert code == 3, err
    assert pare_bench(*command, "--tier", "generated")[0] == 0


def test_a_wrong_option_is_still_the_end_of_the_command(install, pare_bench, tmp_path):
    put(install, tmp_path, "class Bad(Base):\n    pass")
    code, _, err = call(pare_bench, tmp_path, "-o", "recipe.learning_rat=1")
    assert (code, "did you mean" in err) == (2, True)
    assert found(tmp_path) == {}


def test_a_method_that_cannot_be_loaded_is_the_end_of_the_command(install, pare_bench, tmp_path):
    source = """
from pare_bench import MethodSpec, hookimpl

@hookimpl
def pare_bench_methods():
    yield MethodSpec(name="gone", summary="A method.", target="nowhere_at_all:Gone")
"""
    install("broken", source)
    code, _, err = pare_bench("run", "--method", "gone", "--task", "satellite", "--out", str(tmp_path / "out"), *TINY)
    assert (code, "nowhere_at_all" in err) == (2, True)


def test_a_backbone_that_is_not_there_fails_its_run_and_no_other(pare_bench, tmp_path):
    base = ("--out", str(tmp_path / "out"), "--task", "satellite", "--task", "ecg", *TINY, "-o", "budget.epochs=1")
    code, _, err = pare_bench("run", "--method", "linear_probe", *base, "-o", "backbone=hf_text", "-o", f"backbone.model={tmp_path}/nothing")
    assert code == 3, err
    assert {record.status for record in found(tmp_path).values()} == {"failed"}
    assert len(found(tmp_path)) == 2
