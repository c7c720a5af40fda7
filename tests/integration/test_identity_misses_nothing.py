"""What was seen to serve a stale score as if it were new, from a command to its record: each changes something beside a plugin's own code."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

TINY = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4", "-o", "budget.epochs=1")

METHOD_PLUGIN = """
from pare_bench import MethodSpec, hookimpl

@hookimpl
def pare_bench_methods():
    yield MethodSpec(name="adapted", summary="A method from elsewhere.", target="adapter.method:Adapted", slots=())
"""
ADAPTER = """
from pare_bench.contracts.method import Method
from researcher.model import predictor


class Adapted(Method):
    def fit(self, data, context):
        return predictor(data)
"""
LIBRARY = """
from pare_bench.scoring.floor import ConstantPredictor

def predictor(data):
    return ConstantPredictor(data.target, data.train)
"""
TASK_PLUGIN = """
from pare_bench import SuiteSpec, TaskSpec, hookimpl

@hookimpl
def pare_bench_tasks():
    yield TaskSpec(name="listed", summary="Rows of a file.", target="adapter.task:Listed", modality="sequence")

@hookimpl
def pare_bench_suites():
    yield SuiteSpec(name="mine", summary="Mine.", tasks=("listed",))
"""
TASK = """
import csv
from pathlib import Path

import numpy as np

from pare_bench import metrics
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, Splits, Task, TaskSize


class Listed(Task):
    name, version, inputs, target = "listed", 1, InputShape(1, (4,)), Classes(2)
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    sizes = {{"cpu": TaskSize(8, 4, 4)}}
    {declaration}

    def generated(self, seed, size):
        rows = np.array([[float(cell) for cell in row] for row in csv.reader(Path({path!r}).open())], np.float32)

        def split(start, count):
            chosen = rows[start : start + count] + 100 * seed
            return Split(chosen[:, None], (np.arange(count) % 2).astype(np.int64))

        return Splits(split(0, size.train), split(size.train, size.val), split(size.train + size.val, size.test))

    def official(self, files, track):
        return self.generated(0, TaskSize(8, 4, 4))
"""
ROWS = "".join(f"{number},{number + 0.5},0,1\n" for number in range(16))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a folder in which distributions are installed, and forget their modules afterwards."""
    folder = tmp_path / "site"
    (folder / "adapter").mkdir(parents=True)
    information = folder / "adapter-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: adapter\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[pare_bench]\nadapter = adapter.plugin\n")
    (folder / "adapter" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    importlib.invalidate_caches()
    yield folder
    forget()


def forget():
    for name in [name for name in sys.modules if name.partition(".")[0] in ("adapter", "researcher")]:
        del sys.modules[name]


@pytest.fixture
def run(pare_bench, tmp_path):
    """Return ``run(method, suite, task, ...)``: (served, record) of one run, as a new process would see the files."""

    def call(method, suite, task, *options):
        forget()
        importlib.invalidate_caches()
        out = str(tmp_path / "out")
        code, shown, err = pare_bench("run", "-m", method, "-s", suite, "-t", task, "--out", out, "--format", "json", *TINY, *options)
        assert code == 0, err
        (result,) = json.loads(shown)
        return result["served"], result

    return call


def edit(path, old, new):
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new))


def test_the_library_of_the_researcher_whose_code_changed(site, tmp_path, monkeypatch, run):
    library = tmp_path / "research" / "src" / "researcher"
    library.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(library.parent))
    (library / "__init__.py").write_text("")
    (library / "model.py").write_text(LIBRARY)
    (site / "adapter" / "plugin.py").write_text(METHOD_PLUGIN)
    (site / "adapter" / "method.py").write_text(ADAPTER)
    assert [run("adapted", "nas360", "satellite")[0] for _ in range(2)] == [False, True]
    edit(library / "model.py", "data.train)", "data.val)")
    served, record = run("adapted", "nas360", "satellite")
    assert not served
    assert "code researcher.model: " in record["cause"]


def test_the_file_beside_a_baseline_that_a_plugin_derives_from(site, run):
    """The baseline itself cannot be changed here; that it is followed is what counts."""
    (site / "adapter" / "plugin.py").write_text(METHOD_PLUGIN)
    (site / "adapter" / "method.py").write_text("from pare_bench_baselines.constant import Constant\n\n\nclass Adapted(Constant):\n    pass\n")
    _, record = run("adapted", "nas360", "satellite")
    assert {"adapter.method", "pare_bench_baselines.constant", "pare_bench.scoring.floor"} <= set(record["identity"]["code"])


@pytest.mark.parametrize("declared", [True, False])
def test_a_file_that_generated_reads_and_that_was_replaced(site, tmp_path, run, declared):
    """Named in ``generated_files`` it may lie anywhere; a file of the plugin's own package counts without being named."""
    path = (tmp_path if declared else site / "adapter") / "rows.csv"
    path.write_text(ROWS)
    declaration = f"generated_files = lambda self: (Path({str(path)!r}),)" if declared else ""
    (site / "adapter" / "plugin.py").write_text(TASK_PLUGIN)
    (site / "adapter" / "task.py").write_text(TASK.format(declaration=declaration, path=str(path)))
    assert [run("constant", "mine", "listed")[0] for _ in range(2)] == [False, True]
    path.write_text(ROWS.replace("0.5", "7.5", 1))
    served, record = run("constant", "mine", "listed")
    assert not served
    assert "data: " in record["cause"]


@pytest.mark.parametrize(("tier", "words"), [("generated", "generated reads"), ("official", "official reads")])
def test_a_file_that_nobody_named_is_found_by_check(site, tmp_path, pare_bench, tier, words):
    path = tmp_path / "elsewhere" / "rows.csv"
    path.parent.mkdir()
    path.write_text(ROWS + ROWS)
    (site / "adapter" / "plugin.py").write_text(TASK_PLUGIN.replace('modality="sequence"', f'modality="sequence", tiers=("{tier}",)'))
    (site / "adapter" / "task.py").write_text(TASK.format(declaration="", path=str(path)))
    code, out, _ = pare_bench("check", "listed", "--format", "json")
    assert code == 6
    assert f"{words} '{path}'" in out
    (site / "adapter" / "task.py").write_text(TASK.format(declaration=f"generated_files = lambda self: (Path({str(path)!r}),)", path=str(path)))
    forget()
    importlib.invalidate_caches()
    assert f"{words} '{path}'" not in pare_bench("check", "listed", "--format", "json")[1]


def test_a_letter_in_the_summary_of_a_spec_is_no_other_run(site, run):
    """Its hooks stand beside its components, in the package's own module."""
    (site / "adapter-1.0.dist-info" / "entry_points.txt").write_text("[pare_bench]\nadapter = adapter\n")
    (site / "adapter" / "__init__.py").write_text(METHOD_PLUGIN)
    (site / "adapter" / "method.py").write_text("from pare_bench_baselines.constant import Constant\n\n\nclass Adapted(Constant):\n    pass\n")
    _, first = run("adapted", "nas360", "satellite")
    edit(site / "adapter" / "__init__.py", "A method from elsewhere.", "A method from elsewhere!")
    served, again = run("adapted", "nas360", "satellite")
    assert (served, again["run_id"]) == (True, first["run_id"])


SETS = """
from pare_bench.contracts.params import Params, as_json

class Kinds(Params):
    kinds: set[str] = {"gamma", "alpha", "beta", "delta"}
    nested: dict[str, frozenset[int]] = {"b": frozenset({3, 1, 2}), "a": frozenset()}
    both: tuple[set[str], int] = ({"y", "x"}, 1)

print(as_json(Kinds()))
"""


def test_sets_in_parameters_are_the_same_in_every_process():
    found = {
        subprocess.run([sys.executable, "-c", SETS], env={"PYTHONHASHSEED": str(seed), "PATH": ""}, capture_output=True, text=True, check=True).stdout
        for seed in range(4)
    }
    assert found == {"{'kinds': ['alpha', 'beta', 'delta', 'gamma'], 'nested': {'b': [1, 2, 3], 'a': []}, 'both': [['x', 'y'], 1]}\n"}


def test_a_set_in_parameters_reaches_the_configuration_sorted(site, run):
    (site / "adapter" / "plugin.py").write_text(METHOD_PLUGIN)
    (site / "adapter" / "method.py").write_text(
        "from pare_bench.contracts.params import Params as Base\nfrom pare_bench_baselines.constant import Constant\n\n\n"
        "class Adapted(Constant):\n    class Params(Base):\n        kinds: set[str] = {'gamma', 'alpha', 'beta', 'delta'}\n"
    )
    _, record = run("adapted", "nas360", "satellite")
    assert record["method"]["params"] == {"kinds": ["alpha", "beta", "delta", "gamma"]}


def test_a_class_under_another_name_than_its_own_is_refused(site, tmp_path, pare_bench):
    """Cached data, streams and records go by the class's name: it was served the data of the task it is named after."""
    (tmp_path / "rows.csv").write_text(ROWS)
    (site / "adapter" / "plugin.py").write_text(TASK_PLUGIN)
    (site / "adapter" / "task.py").write_text(TASK.format(declaration="", path=str(tmp_path / "rows.csv")).replace('"listed", 1', '"ecg", 1'))
    code, _, err = pare_bench("run", "-m", "constant", "-s", "mine", "-t", "listed", "--out", str(tmp_path / "out"), *TINY)
    assert code == 2
    assert "task 'listed' of plugin 'adapter' (adapter 1.0) has a class with name 'ecg'" in err


def test_a_tokenizer_that_was_replaced(tmp_path, monkeypatch):
    from pare_bench import load
    from pare_bench.contracts.task import TaskSize
    from pare_bench.datasets.cache import _key
    from pare_bench.digests.closure import Code

    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    task = load("task", "docstrings", {"tokenizer": str(folder)})
    before = _key(task, 0, TaskSize(4, 2, 2), Code())
    (folder / "tokenizer.json").write_text('{"other": 1}')
    assert _key(task, 0, TaskSize(4, 2, 2), Code()) != before
    assert {path.name for path in load("task", "docstrings").generated_files()} == {"nano_text_tokenizer.json", "nano_text.json"}


def test_precision_of_multiplications_is_the_configured_one_whatever_was_set_before(site, run):
    """A library that lowers it process-wide, or an environment variable, must not move the scores of later runs."""
    import torch

    (site / "adapter" / "plugin.py").write_text(METHOD_PLUGIN)
    (site / "adapter" / "method.py").write_text(
        "import torch\nfrom pare_bench_baselines.constant import Constant\n\n\nclass Adapted(Constant):\n    seen = []\n\n"
        "    def fit(self, data, context):\n        print('PRECISION', torch.get_float32_matmul_precision(), file=__import__('sys').stderr)\n"
        "        return super().fit(data, context)\n"
    )
    torch.set_float32_matmul_precision("medium")
    try:
        _, record = run("adapted", "nas360", "satellite")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert record["environment"]["numerics"]["float32_matmul_precision"] == "highest"


def test_a_module_that_moves_is_the_same_run(site, pare_bench, run, tmp_path):
    """The other half: tidying up trains nothing again. The module goes into a folder, is renamed, and imports in another order."""
    (site / "adapter" / "plugin.py").write_text(METHOD_PLUGIN)
    (site / "adapter" / "parts.py").write_text(LIBRARY)
    source = (
        "from pare_bench.contracts.method import Method\nfrom .parts import predictor\n\n\n"
        "class Adapted(Method):\n    def fit(self, data, context):\n        return predictor(data)\n"
    )
    (site / "adapter" / "method.py").write_text(source)
    _, first = run("adapted", "nas360", "satellite")
    (site / "adapter" / "methods").mkdir()
    (site / "adapter" / "methods" / "__init__.py").write_text("")
    moved = source.replace("from .parts import predictor\n", "").replace("\n\n\n", "\nfrom ..pieces import predictor\n\n\n", 1)
    (site / "adapter" / "methods" / "constant.py").write_text('"""Moved."""\n' + moved)
    (site / "adapter" / "method.py").unlink()
    (site / "adapter" / "parts.py").rename(site / "adapter" / "pieces.py")
    edit(site / "adapter" / "plugin.py", "adapter.method:Adapted", "adapter.methods.constant:Adapted")
    served, again = run("adapted", "nas360", "satellite")
    assert (served, again["run_id"]) == (True, first["run_id"])
    explained = json.loads(pare_bench("explain", first["run_id"], "--out", str(tmp_path / "out"), "--format", "json")[1])
    assert explained["changed"] == []
    edit(site / "adapter" / "pieces.py", "data.train)", "data.val)")
    served, again = run("adapted", "nas360", "satellite")
    assert not served
    assert "adapter.pieces: absent -> " in again["cause"]


@pytest.mark.parametrize("pretrained", ["true", "false"])
def test_the_configuration_of_a_local_model_folder(tmp_path, run, site, pretrained):
    """The same weights with another activation, or random weights of another depth, are another network."""
    import torch
    from transformers import SwinConfig, SwinModel

    torch.manual_seed(0)
    folder = tmp_path / "swin"
    SwinModel(SwinConfig(image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4)).save_pretrained(folder)
    options = ("-o", "backbone=hf_swin", "-o", f"backbone.model={folder}", "-o", f"backbone.pretrained={pretrained}")
    (site / "adapter" / "plugin.py").write_text("")
    _, first = run("linear_probe", "nas360", "cifar100", *options)
    assert run("linear_probe", "nas360", "cifar100", *options)[0]
    config = folder / "config.json"
    change = {"hidden_act": "relu"} if pretrained == "true" else {"depths": [2, 1]}
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    served, again = run("linear_probe", "nas360", "cifar100", *options)
    assert not served
    assert "architecture: " in again["cause"]
    assert again["predictions_sha256"] != first["predictions_sha256"]
    assert (again["weights_sha256"] is None) == (pretrained == "false")
