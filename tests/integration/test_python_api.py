"""The verbs from Python, as a person would use them in a notebook or a script: run, compare, results, names, load, register."""

from __future__ import annotations

import itertools
import json
import linecache
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pare_bench
from pare_bench.provenance.identity import closure_of
from pare_bench.registry import session
from pare_bench.registry.names import Registry

SIZE = {"size.train": 16, "size.val": 8, "size.test": 8}
ARGV = ("--preset", "smoke", *(word for name, value in SIZE.items() for word in ("-o", f"{name}={value}")))


@pytest.fixture(autouse=True)
def _as_before():
    """Nothing stays registered; the cells of a test go with it."""
    before = dict(linecache.cache)
    yield
    for kind, name in list(session._specs):
        pare_bench.unregister(kind, name)
    linecache.cache.clear()
    linecache.cache.update(before)


CELLS = itertools.count()


class Notebook:
    """Runs cells as IPython does: each has a name of its own, under which its source is kept."""

    def __init__(self):
        self.names = {"__name__": "__main__", "pare_bench": pare_bench}

    def run(self, source):
        name = f"<cell {next(CELLS)}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), self.names)  # noqa: S102
        return self.names


METHOD = """
from pare_bench.contracts.method import Method
from pare_bench.scoring.floor import ConstantPredictor

class Mine(Method):
    '''Says the same of every example.'''

    def fit(self, data, context):
        {body}
        return ConstantPredictor(data.target, data.train)
"""
SELECTOR = """
import torch
from pare_bench.contracts.selector import Selection, Selector

class Strong(Selector):
    '''Keeps the strongest tokens.'''

    def __init__(self, params, *, dim):
        super().__init__(params, dim=dim)

    def forward(self, tokens, k):
        scores = strength(tokens).detach()
        indices = scores.topk(k).indices.sort(dim=-1).values
        return Selection(torch.zeros_like(scores).scatter(1, indices, 1.0), indices, scores)
"""
HELPER = "SCALE = {scale}\n\ndef strength(tokens):\n    return SCALE * tokens.norm(dim=-1)\n"
TASK = """
import numpy as np
from pare_bench import metrics
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, TaskSize
from pare_bench.datasets.simulated import SimulatedTask

NOISE = {noise}

class Tones(SimulatedTask):
    '''Is there a tone?'''

    name = "tones"
    version = 1
    inputs = InputShape(1, (64,))
    target = Classes(2)
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    sizes = {{"smoke": TaskSize(16, 8, 8), "cpu": TaskSize(16, 8, 8)}}

    def simulate(self, split, count, index, rng):
        labels = rng.permutation(np.arange(count) % 2)
        tones = np.sin(np.arange(64) / 3)[None] * labels[:, None] + NOISE * rng.normal(size=(count, 64))
        return Split(tones[:, None].astype(np.float32), labels.astype(np.int64))
"""


def run(method, out, **more):
    options = {**SIZE, **more.pop("options", {})}
    return pare_bench.run(method, **{"preset": "smoke", "progress": False, "out": out, "options": options, **more})


def code_of(kind, name):
    return closure_of(Registry.from_environment(), [(kind, name)]).sha256


def test_a_run_is_a_table_is_served_and_compares_as_on_the_command_line(tmp_path, pare_bench, capsys):
    import pare_bench as package

    results = run("constant", tmp_path, task=["satellite", "ecg"], seeds=range(2))
    assert [(record.task.name, record.seed) for record in results] == [("ecg", 0), ("satellite", 0), ("ecg", 1), ("satellite", 1)]
    assert not results.failed
    assert not results.served
    assert all(path.is_file() for path in results.paths)
    # The command line serves what Python has run, and the other way round.
    argv = ["--task", "satellite", "--task", "ecg", "--seeds", "0-1", *ARGV, "--out", str(tmp_path)]
    code, out, _ = pare_bench("run", "--method", "constant", *argv, "--format", "json")
    assert code == 0
    assert [each["served"] for each in json.loads(out)] == [True] * 4
    assert results[0].command.split()[:6] == ["pare-bench", "run", "--method", "constant", "--suite", "nas360"]
    assert pare_bench("run", "--method", "linear_probe", *argv)[0] == 0
    again = run("linear_probe", tmp_path, task=["satellite", "ecg"], seeds=[0, 1])
    assert len(again.served) == len(again) == 4
    # The table.
    table = (results + again).to_frame()
    assert list(table["method"]) == ["constant"] * 4 + ["linear_probe"] * 4
    assert list(table["score"]) == [record.primary.value for record in results + again]
    assert table.loc[table["served"], "method"].unique().tolist() == ["linear_probe"]
    assert len(results.filter(task="ecg")) == len(results.filter(lambda record: record.task.name == "ecg")) == 2
    assert [record.seed for record in results.filter(seed=[1], task="ecg")] == [1]
    with pytest.raises(package.PareBenchError, match="no column 'sed'; did you mean 'seed'"):
        results.filter(sed=1)
    assert isinstance(results[:2], package.Results)
    # Everything that the folder holds.
    loaded = package.load_records(tmp_path)
    assert {record.run_id for record in loaded} == {record.run_id for record in results + again}
    assert package.load_records(results.paths[0])[0] == results[0]
    # The comparison.
    methods = ["constant", "linear_probe"]
    code, out, err = pare_bench("compare", *methods, "--out", str(tmp_path), "--stats", "all", "--format", "json")
    assert code == 0, err
    compared = package.compare(*methods, out=tmp_path, stats="all")
    assert compared.to_dict() == json.loads(out)
    code, out, _ = pare_bench("compare", *methods, "--out", str(tmp_path), "--stats", "all", "--format", "md")
    assert compared.text == str(compared) == out
    frame = compared.to_frame()
    assert list(frame["mean"]) == [cell["mean"] for row in compared.to_dict()["tasks"] for cell in row["methods"].values()]
    assert compared._repr_html_().count("<table>") >= 1
    capsys.readouterr()


def test_it_shows_itself(tmp_path):
    results = run("constant", tmp_path, task="satellite")
    assert repr(results).splitlines()[0] == "1 run"
    assert f"{results[0].primary.value:.4f}" in repr(results)
    shown = results._repr_html_()
    assert f"<td>{results[0].primary.value:.4f}</td>" in shown
    assert shown.count("<tr>") == 2
    assert repr(pare_bench.Results(results.runs * 40)).endswith("... and 10 more")


def test_a_table_without_pandas_is_a_line(tmp_path, monkeypatch):
    results = run("constant", tmp_path, task="satellite")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(pare_bench.PareBenchError, match="pandas, which is not installed") as caught:
        results.to_frame()
    assert caught.value.hint == "pip install pandas, or use to_dicts()"
    assert results.to_dicts()[0]["task"] == "satellite"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"task": "satelite"}, "did you mean 'satellite'"),
        ({"task": []}, "empty list"),
        ({"task": ["ecg", "advection"]}, "no suite has the tasks"),
        ({"suite": "nas360", "task": "advection"}, "has no task 'advection'"),
        ({"task": "ecg", "seeds": -1}, "seeds takes whole numbers from 0, got -1"),
        ({"task": "ecg", "seeds": "0-4"}, "seeds takes whole numbers from 0, got '0'"),
        ({"task": "ecg", "seeds": 1.5}, "seeds takes whole numbers from 0, got 1.5"),
        ({"task": "ecg", "seeds": []}, "seeds is an empty list"),
        ({"task": "ecg", "device": "gpu"}, "'gpu' is not a device"),
        ({"task": "ecg", "options": {"recipe.learning_rat": 1}}, "did you mean 'recipe.learning_rate'"),
        ({"task": "ecg", "options": {"recipe.learning_rate": object()}}, "option 'recipe.learning_rate' cannot be"),
        ({"task": "ecg", "options": {"recipe.learning_rate": float("nan")}}, "option 'recipe.learning_rate' cannot be nan"),
        ({"task": "ecg", "executor": "nobody"}, "unknown executor 'nobody'"),
        ({"task": "ecg", "time_limit": "soon"}, "'soon' is no time"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, given, words):
    with pytest.raises(pare_bench.PareBenchError, match=words.replace("(", r"\(")) as caught:
        run("full_finetune", tmp_path, **given)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert not list(tmp_path.rglob("*.json"))


def test_unknown_methods_and_folders_are_one_line(tmp_path):
    with pytest.raises(pare_bench.PareBenchError, match="unknown method 'full_finetun'; did you mean 'full_finetune'"):
        run("full_finetun", tmp_path, task="ecg")
    with pytest.raises(pare_bench.PareBenchError, match="there is no folder"):
        pare_bench.load_records(tmp_path / "nowhere")
    with pytest.raises(pare_bench.PareBenchError, match="there are no records"):
        pare_bench.load_records(tmp_path)
    with pytest.raises(pare_bench.PareBenchError, match="two or more different methods"):
        pare_bench.compare("constant", out=tmp_path)
    with pytest.raises(pare_bench.PareBenchError, match="missing 'drop' is none of"):
        pare_bench.compare("constant", "pare", out=tmp_path, missing="drop")


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        (("selector", "gate_topk", {}), "selector 'gate_topk' is built with dim (int), and 'dim' is missing", "dim=..."),
        (("selector", "gate_topk", {"dims": 3}), "takes no 'dims' when it is built; did you mean 'dim'?", "dim=..."),
        (("task", "ecg", {"dim": 3}), "it takes nothing but its params", 'pare_bench.load("task", "ecg")'),
    ],
)
def test_what_a_constructor_misses_is_said(call, message, hint):
    kind, name, runtime = call
    with pytest.raises(pare_bench.PareBenchError) as caught:
        pare_bench.load(kind, name, **runtime)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_every_component_is_built_or_says_what_it_needs():
    """A traceback of ours, or of Python's, is what nobody can act on."""
    for kind in ("selector", "mixer", "aligner", "embedder", "method", "task", "executor"):
        for name in pare_bench.names(kind):
            try:
                built, reason = pare_bench.load(kind, name), ""
            except pare_bench.PareBenchError as error:
                built, reason = None, str(error)
            assert built is not None or "is built with" in reason or "needs" in reason, (kind, name, reason)


def test_a_method_of_a_notebook_runs_and_its_source_is_its_identity(tmp_path):
    first = Notebook()
    first.run(METHOD.format(body="bias = 1"))
    assert pare_bench.register(first.names["Mine"]) is first.names["Mine"]
    assert "mine" in pare_bench.names("method")
    done = run("mine", tmp_path, task="satellite")
    assert not done.failed
    record = done[0]
    assert (record.method.name, record.method.plugin) == ("mine", "session")
    assert "__main__.method.mine" in record.identity.code
    assert record.command.startswith("pare_bench.run('mine'")
    # The same source in another notebook, in another cell, with other comments, registered from above the class.
    other = Notebook()
    other.run("1 + 1")
    above = "@pare_bench.register(summary='constant')\nclass Mine"
    other.run(METHOD.format(body="bias = 1  # no matter").replace("class Mine", above).replace("the same", "nothing new"))
    (again,) = run("mine", tmp_path, task="satellite").runs
    assert again.served
    assert again.record.run_id == record.run_id
    # Changed: another run, and why is said.
    other.run(METHOD.format(body="bias = 2"))
    pare_bench.register(other.names["Mine"])
    changed = run("mine", tmp_path, task="satellite")
    assert not changed.served
    assert changed[0].run_id != record.run_id
    assert "__main__.method.mine" in changed[0].cause
    # Compared with an installed one, in this process and on the command line.
    run("constant", tmp_path, task="satellite")
    compared = pare_bench.compare("mine", "constant", task="satellite", out=tmp_path)
    assert compared.to_dict()["tasks"][0]["methods"]["mine"]["n"] == 1


@pytest.mark.slow
def test_a_selector_and_a_task_of_a_notebook_run_together(tmp_path):
    notebook = Notebook()
    notebook.run(HELPER.format(scale=1))
    notebook.run(SELECTOR)
    notebook.run(TASK.format(noise=0.1))
    pare_bench.register(notebook.names["Strong"])
    pare_bench.register(notebook.names["Tones"])
    options = {"selector": "strong", "budget.epochs": 1, "source_size.train": 16}
    results = pare_bench.run("pare", task="tones", preset="smoke", options=options, out=tmp_path, progress=False)
    assert not results.failed, results.failed[0].reason
    record = results[0]
    assert (record.suite, record.task.name, record.slots["selector"].name) == ("session", "tones", "strong")
    assert {"__main__.task.tones", "__main__.selector.strong"} <= set(record.identity.code)
    assert "__main__.task.tones" in record.scoring


def test_what_a_class_uses_of_the_notebook_counts():
    def code(helper, selector=SELECTOR, *, order=(0, 1)):
        notebook = Notebook()
        for number in order:
            notebook.run((helper, selector)[number])
        pare_bench.register(notebook.names["Strong"])
        return code_of("selector", "strong")

    before = code(HELPER.format(scale=1))
    assert code(HELPER.format(scale=1)) == code(HELPER.format(scale=1), order=(1, 0)) == before
    assert code(HELPER.format(scale=1) + "OTHER = 3\n") == before
    assert code(HELPER.format(scale=2)) != before
    assert code(HELPER.format(scale=1).replace("norm", "abs().sum")) != before
    assert code(HELPER.format(scale=1), SELECTOR.replace("1.0)", "1.0 + 0)")) != before
    # A helper that is defined again counts from then on, without being registered again: the class calls the new one.
    notebook = Notebook()
    notebook.run(HELPER.format(scale=1))
    notebook.run(SELECTOR)
    pare_bench.register(notebook.names["Strong"])
    notebook.run("SCALE = 5")
    assert code_of("selector", "strong") == code(HELPER.format(scale=5))
    # So does a method that is put on the class afterwards.
    notebook = Notebook()
    notebook.run(HELPER.format(scale=1))
    notebook.run(SELECTOR)
    notebook.run("def other(self, tokens, k):\n    raise ValueError\n\nStrong.forward = other")
    pare_bench.register(notebook.names["Strong"])
    assert code_of("selector", "strong") != before


def test_values_of_all_kinds_count_and_what_cannot_be_told_is_refused():
    def code(value):
        notebook = Notebook()
        notebook.run("import numpy as np, torch, functools, logging\nfrom pare_bench.contracts.task import InputShape")
        notebook.run(f"def double(x, by=2):\n    return x * by\n\nVALUE = {value}")
        notebook.run(METHOD.format(body="VALUE"))
        pare_bench.register(notebook.names["Mine"])
        return code_of("method", "mine")

    values = [
        "3",
        "'3'",
        "[1, 2]",
        "(1, 2)",
        "{1, 2}",
        "{'a': [1]}",
        "np.arange(3)",
        "np.arange(3.0)",
        "torch.ones(2)",
        "torch.zeros(2)",
        "torch.float16",
    ]
    values += ["InputShape(1, (2,))", "InputShape(1, (3,))", "functools.partial(double, by=3)", "functools.partial(double, by=4)", "double", "np.exp"]
    values += ["lambda x: x", "lambda x: -x", "torch.topk", "{'f': double}", "logging.getLogger('x')", "list[int]", "int"]
    codes = [code(value) for value in values]
    assert len(set(codes)) == len(codes)
    assert [code(value) for value in values] == codes
    for value in ("torch.nn.Linear(2, 2)", "np.random.default_rng(0)", "[torch.nn.Linear(2, 2)]", "open(__import__('os').devnull)"):
        with pytest.raises(pare_bench.PareBenchError, match=r"'Mine' uses 'VALUE', a .* whose content cannot be told; make it inside"):
            code(value)


def test_classes_that_a_function_makes_are_told_apart():
    notebook = Notebook()
    inside = METHOD.format(body="share").strip().replace("\n", "\n    ")
    notebook.run(f"def made(share):\n    {inside}\n    return Mine\n")
    for name, share in (("one", 1), ("two", 2), ("also_one", 1)):
        pare_bench.register(notebook.names["made"](share), name=name)
    assert code_of("method", "one") == code_of("method", "also_one") != code_of("method", "two")


def test_a_class_without_a_source_is_refused():
    names = {"__name__": "__main__"}
    exec(compile(METHOD.format(body="pass"), "<stdin>", "exec"), names)  # noqa: S102
    with pytest.raises(pare_bench.PareBenchError, match="method 'mine' cannot be registered: 'Mine': its source is kept nowhere"):
        pare_bench.register(names["Mine"])
    assert "mine" not in pare_bench.names("method")
    code = f"{METHOD.format(body='pass')}\nimport pare_bench\npare_bench.register(Mine)"
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("method 'mine' cannot be registered: 'Mine': its source is kept nowhere")


def test_names_that_are_taken_and_classes_that_fit_nothing_are_one_line(tmp_path):
    notebook = Notebook()
    notebook.run(METHOD.format(body="pass"))
    mine = notebook.names["Mine"]
    for given, words in (
        ({"name": "pare"}, "method 'pare' is registered by plugin 'builtin'"),
        ({"name": "My method"}, "method name 'My method' is not allowed"),
        ({"slot": ()}, "a method is not registered with 'slot'; did you mean 'slots'"),
        ({"kind": "suite"}, "kind 'suite' has no classes"),
        ({"kind": "task", "name": "mine"}, "task 'mine' needs modality"),
    ):
        with pytest.raises(pare_bench.PareBenchError, match=words):
            pare_bench.register(mine, **given)
    for thing, words in ((int, "derives from no contract"), (mine.fit, "register takes a class")):
        with pytest.raises(pare_bench.PareBenchError, match=words):
            pare_bench.register(thing)
    assert not session._specs
    # Executors that leave the process are told so before anything runs.
    pare_bench.register(mine)
    with pytest.raises(pare_bench.PareBenchError, match=r"executor 'processes' leaves the process.*: method 'mine'"):
        run("mine", tmp_path, task="satellite", jobs=2)
    assert not list(tmp_path.rglob("*.json"))
    pare_bench.unregister("method", "mine")
    with pytest.raises(pare_bench.PareBenchError, match="unknown method 'mine'"):
        run("mine", tmp_path, task="satellite")


def test_a_suite_can_be_registered(tmp_path):
    pare_bench.register(pare_bench.SuiteSpec(name="two", summary="two tasks", tasks=("satellite", "advection")))
    assert run("constant", tmp_path, suite="two", task="satellite")[0].suite == "two"


def test_a_run_that_fails_is_a_result(tmp_path):
    notebook = Notebook()
    notebook.run(METHOD.format(body="if context.config.seed:\n            raise ValueError('no idea')"))
    pare_bench.register(notebook.names["Mine"])
    results = run("mine", tmp_path, task="satellite", seeds=range(2))
    assert [record.status for record in results] == ["ok", "failed"]
    (failed,) = results.failed
    assert "no idea" in failed.reason
    assert "1 failed" in repr(results)
    assert "no idea" in results._repr_html_()
    assert len(run("mine", tmp_path, task="satellite", seeds=range(2), only_failed=True)) == 1


def test_an_interrupt_keeps_what_is_finished(tmp_path):
    notebook = Notebook()
    notebook.run("import signal\n" + METHOD.format(body="signal.raise_signal(signal.SIGINT) if context.config.seed == 1 and not GO_ON else None"))
    notebook.run("GO_ON = False")
    pare_bench.register(notebook.names["Mine"])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.raises(KeyboardInterrupt, match=r"interrupted: 1 of 3 runs are saved in .*; the same call goes on with the rest") as caught:
        run("mine", tmp_path, task="satellite", seeds=range(3))
    assert isinstance(caught.value, pare_bench.RunsInterrupted)
    assert [record.seed for record in caught.value.results] == [0]
    assert {number: signal.getsignal(number) for number in before} == before
    assert json.loads((tmp_path / "leaderboard.json").read_text())


def test_nothing_of_the_process_changes(tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)

    def state():
        flags = torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), torch.get_default_dtype()
        draws = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
        return flags, draws, dict(os.environ), Path.cwd(), sys.stdout, sys.stderr, sys.excepthook, signal.getsignal(signal.SIGTERM)

    run("linear_probe", tmp_path / "out", task="satellite", options={"budget.epochs": 1})
    before = state()
    results = run("linear_probe", tmp_path / "out", task="satellite", seeds=1, options={"budget.epochs": 1})
    assert not results.failed
    assert state() == before


def test_it_is_silent_where_it_is_asked_to_be(tmp_path, capfd):
    run("constant", tmp_path, task="satellite")
    assert capfd.readouterr() == ("", "")
    run("constant", tmp_path, task="satellite", seeds=1, progress=True)
    out, err = capfd.readouterr()
    assert not out
    assert "[1/1] constant satellite seed 1: error_rate" in err


SCRIPT = """
import sys, time
from pathlib import Path
import pare_bench
{method}
if __name__ == "__main__":
    pare_bench.register(Mine)
    {edit}
    results = pare_bench.run("mine", task="satellite", preset="smoke", options={options!r}, out=sys.argv[1], progress=False)
    print(results[0].run_id, len(results.served))
"""


def test_a_script_has_the_identity_that_the_notebook_has(tmp_path):
    notebook = Notebook()
    notebook.run(METHOD.format(body="bias = 1"))
    pare_bench.register(notebook.names["Mine"])
    (record,) = run("mine", tmp_path / "out", task="satellite")

    def script(edit="pass"):
        path = tmp_path / "script.py"
        path.write_text(SCRIPT.format(method=METHOD.format(body="bias = 1"), edit=edit, options=SIZE))
        done = subprocess.run([sys.executable, str(path), str(tmp_path / "out")], capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert script() == [record.run_id, "1"]
    # Edited while it runs: what runs is what was there when it began.
    assert script("Path(__file__).write_text(Path(__file__).read_text().replace('bias = 1', 'bias = 7'))") == [record.run_id, "1"]


def test_a_script_with_jobs_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, pare_bench\nprint('once')\n"
        f"results = pare_bench.run('constant', task='satellite', seeds=(0, 1), preset='smoke', options={SIZE!r}, jobs=2, out=sys.argv[1])\n"
        "print(len(results), len(results.failed))\n"
    )
    done = subprocess.run([sys.executable, str(script), str(tmp_path / "out")], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.split() == ["once", "2", "0"], done.stderr
    assert "Traceback" not in done.stderr


def test_a_class_of_a_module_counts_as_that_module(tmp_path, monkeypatch):
    (tmp_path / "my_methods.py").write_text(METHOD.format(body="bias = 1"))
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_methods

    pare_bench.register(my_methods.Mine)
    assert Registry.from_environment().spec("method", "mine").target == "my_methods:Mine"
    (record,) = run("mine", tmp_path / "out", task="satellite")
    assert "my_methods" in record.identity.code
    del sys.modules["my_methods"]


@pytest.mark.slow
def test_a_real_notebook(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [
        f"import pare_bench\nSIZE = {SIZE!r}",
        "%time 1\n" + METHOD.format(body="import math\n        math.sqrt(2)") + "\npare_bench.register(Mine)",
        f"pare_bench.run('mine', task='satellite', preset='smoke', options=SIZE, out={str(tmp_path)!r})",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    (shown,) = [each for each in notebook.cells[-1].outputs if each.output_type == "execute_result"]
    (record,) = pare_bench.load_records(tmp_path)
    assert f"<td>{record.primary.value:.4f}</td>" in shown.data["text/html"]
    # The source is the one that a person has typed, whatever IPython makes of a cell.
    typed = Notebook()
    typed.run(METHOD.format(body="import math\n        math.sqrt(2)"))
    pare_bench.register(typed.names["Mine"])
    assert run("mine", tmp_path, task="satellite").served[0].run_id == record.run_id
