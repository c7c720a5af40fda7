"""What observers are told, by whom and how often; and that they change nothing, whatever they do."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import several_processes

from pare_bench.records.store import Store

SMALL = ("--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8")
RATES = ("-o", "method.rate_factor=10", "-o", "method.rate_milestones=[1]")
SOURCE = ("-o", "source_size.train=64", "-o", "source_size.val=1", "-o", "source_size.test=1")
#: Writes down what it is told, one line of JSON each, beside the plugin.
WITNESS = """
import json, os
from pathlib import Path
from pare_bench import hookimpl

def tell(**told):
    with Path(__file__).with_name("told.jsonl").open("a") as file:
        file.write(json.dumps({**told, "pid": os.getpid()}) + "\\n")

@hookimpl
def pare_bench_run_started(config, run_id):
    tell(hook="started", run_id=run_id, config=config.model_dump(mode="json"))

@hookimpl
def pare_bench_epoch(run_id, stage, epoch, loss, score, rate):
    tell(hook="epoch", run_id=run_id, stage=stage, epoch=epoch, loss=loss, score=score, rate=rate)

@hookimpl
def pare_bench_run_finished(record):
    tell(hook="finished", run_id=record.run_id, status=record.status)
"""
#: Does something in each of its hooks.
DOES = """
from pare_bench import hookimpl
{before}

@hookimpl
def pare_bench_run_started(config, run_id):
    {started}

@hookimpl
def pare_bench_epoch(run_id, stage, epoch, loss, score, rate):
    {epoch}

@hookimpl
def pare_bench_run_finished(record):
    {finished}
"""
#: Methods that do what their name or the seed says, and a task that is not there.
MOODY = """
from pare_bench import MethodSpec, SuiteSpec, TaskSpec, hookimpl

@hookimpl
def pare_bench_methods():
    for name in ("Moody", "Shy", "Draws"):
        yield MethodSpec(name=name.lower(), summary="A method.", target=f"method_of_moody:{name}", slots=())

@hookimpl
def pare_bench_tasks():
    yield TaskSpec(name="broken", summary="A task.", target="method_of_moody:Broken", modality="image")

@hookimpl
def pare_bench_suites():
    yield SuiteSpec(name="mine", summary="A suite.", tasks=("satellite", "broken"))
"""
METHOD = """
import os, random
from pathlib import Path
import numpy as np
import torch
from pare_bench.contracts.method import Method
from pare_bench.training.progress import EpochReport

def tell(context, epoch=1):
    context.reporter.epoch(EpochReport("train", epoch, 2, epoch, 0.5, 0.25, "error_rate", 0.125))

class Moody(Method):
    def fit(self, data, context):
        tell(context)
        mood = ("good", "raises", "dies once", "dies")[context.config.seed]
        tries = Path(__file__).with_name(f"tries of {mood}")
        with tries.open("a") as file:
            file.write("x")
        if mood == "dies" or (mood == "dies once" and tries.read_text() == "x"):
            os._exit(7)
        if mood == "raises":
            raise RuntimeError("no idea")
        return context.registry.build("method", "constant").fit(data, context)

class Shy(Method):
    def skip_reason(self, data):
        return "too shy"

    def fit(self, data, context):
        raise AssertionError("it is skipped")

class Draws(Method):
    def fit(self, data, context):
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        tell(context)
        drawn = torch.rand(8)[0].item(), float(np.random.rand()), random.random(), float(torch.ones(1).div(3).double()), torch.is_grad_enabled()
        Path(__file__).with_name("drawn.txt").open("a").write(repr(drawn) + "\\n")
        tell(context, 2)
        return context.registry.build("method", "constant").fit(data, context)
"""


@pytest.fixture
def observer(install, tmp_path, monkeypatch):
    """Return ``observer(source)``, which installs an observing plugin, for processes of their own as well."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    return lambda source, name="witness": install(name, source)


@pytest.fixture
def does(observer):
    """Return ``does(started=..., ...)``, which installs an observer that does this where it is told."""

    def write(before="", **hooks):
        observer(DOES.format(before=before, **{name: hooks.get(name, "pass") for name in ("started", "epoch", "finished")}), "doer")

    return write


@pytest.fixture
def told(tmp_path):
    def read(*hooks):
        path = tmp_path / "site" / "told.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if not hooks or line["hook"] in hooks]

    return read


@pytest.fixture
def moody(install, tmp_path):
    install("moody", MOODY)
    (tmp_path / "site" / "method_of_moody.py").write_text(METHOD)
    yield tmp_path / "site"
    sys.modules.pop("method_of_moody", None)


def only(out):
    (record,) = Store(Path(out)).records()
    return record


def command(*words, environment=None, options=()):
    return subprocess.run(
        [sys.executable, *options, "-m", "pare_bench", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **(environment or {})},
    )


def scheduled(recipe, steps, step):
    """The rate of ``step`` (from 1) of ``steps`` by the recipe's words: a linear rise, then a fall that would reach 0 after the last step."""
    warmup = int(recipe.warmup * steps + 1e-6)
    if step <= warmup:
        return recipe.learning_rate * step / (warmup + 1)
    done = (step - 1 - warmup) / (steps - warmup)
    return recipe.learning_rate * {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}[recipe.schedule]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("full_finetune", ("-o", "budget.epochs=6", "-o", "recipe.batch_size=4", "-o", "recipe.schedule=linear", "-o", "recipe.warmup=0.25")),
        ("pare", ("-o", "budget.epochs=3", *SOURCE)),
        ("orca", ("-o", "budget.epochs=2", "-o", "method.align_epochs=4", *RATES, *SOURCE)),
    ],
)
def test_what_is_told_is_what_the_record_says(method, options, observer, told, pare_bench, tmp_path):
    observer(WITNESS)
    code, _, err = pare_bench("run", "-m", method, "-t", "satellite", *SMALL, *options, "--out", str(tmp_path / "out"))
    assert code == 0, err
    record = only(tmp_path / "out")
    first, *epochs, last = told()
    assert {line["run_id"] for line in told()} == {record.run_id}
    assert (first["hook"], first["config"]) == ("started", record.config.model_dump(mode="json"))
    assert (last["hook"], last["status"]) == ("finished", "ok")
    stages = ("align", "train") if method == "orca" else ("train",)
    assert [(line["stage"], line["epoch"]) for line in epochs] == [(stage, point.epoch) for stage in stages for point in record.training[stage].curve]
    recipe, trained = record.config.recipe, [line for line in epochs if line["stage"] == "train"]
    curve = record.training["train"].curve
    assert [(line["loss"], line["score"]) for line in trained] == [(point.train_loss, point.validation) for point in curve]
    expected = [scheduled(recipe, record.training["train"].steps, point.step) for point in curve]
    assert [line["rate"] for line in trained] == pytest.approx(expected, rel=1e-12)
    assert len(set(expected)) == len(expected) > 1
    if method == "orca":
        aligned, rate = [line for line in epochs if line["stage"] == "align"], recipe.learning_rate * 10
        assert [line["loss"] for line in aligned] == [point.train_loss for point in record.training["align"].curve]
        assert [line["score"] for line in aligned] == [None] * 4
        # Factor 0.2 beyond milestone 1, in epochs that count from 0.
        assert [line["rate"] for line in aligned] == pytest.approx([rate, rate, rate * 0.2, rate * 0.2])


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["local", "processes"])
def test_each_run_is_told_once_whatever_becomes_of_it(jobs, observer, moody, told, pare_bench, tmp_path):
    """Good ones, one that raises, skipped ones, and two that cannot even begin, which are told as finished alone."""
    observer(WITNESS)
    out = ("--out", str(tmp_path / "out"), *SMALL, *jobs)
    for method, seeds in (("moody", "0-1"), ("shy", "0")):
        pare_bench("run", "-m", method, "-s", "mine", "--seeds", seeds, *out)
    records = {record.run_id: record for record in Store(tmp_path / "out").records()}
    status = {(record.method.name, record.task.name, record.seed): record.status for record in records.values()}
    assert status == {
        ("moody", "satellite", 0): "ok", ("moody", "satellite", 1): "failed", ("shy", "satellite", 0): "skipped",
        ("moody", "broken", 0): "failed", ("moody", "broken", 1): "failed", ("shy", "broken", 0): "failed",
    }  # fmt: skip
    begun = sorted(run_id for run_id, record in records.items() if record.task.name == "satellite")
    assert sorted(line["run_id"] for line in told("started")) == begun
    assert sorted(line["run_id"] for line in told("epoch")) == sorted(each for each in begun if records[each].status != "skipped")
    assert sorted((line["run_id"], line["status"]) for line in told("finished")) == sorted((each, record.status) for each, record in records.items())
    here = {line["pid"] for line in told() if line["run_id"] in begun} == {os.getpid()}
    assert here == (not jobs)
    for run_id in begun:
        lines = [line for line in told() if line["run_id"] == run_id]
        assert (lines[0]["hook"], lines[-1]["hook"]) == ("started", "finished")
        assert len({line["pid"] for line in lines}) == 1


@pytest.mark.parametrize("jobs", [(), ("--jobs", "1")], ids=["local", "processes"])
def test_a_run_that_is_served_tells_nothing(jobs, observer, told, pare_bench, tmp_path):
    words = ("run", "-m", "constant", "-t", "satellite", *SMALL, "--out", str(tmp_path / "out"))
    assert pare_bench(*words)[0] == 0
    observer(WITNESS)
    assert pare_bench(*words, *jobs)[0] == 0
    assert told() == []
    assert pare_bench(*words, *jobs, "--seeds", "1")[0] == 0
    assert [line["hook"] for line in told()] == ["started", "finished"]


def test_a_run_whose_process_dies_is_started_again_and_finished_once(observer, moody, told, pare_bench, tmp_path):
    observer(WITNESS)
    code, _, err = pare_bench("run", "-m", "moody", "-t", "satellite", "--seeds", "2-3", *SMALL, "--jobs", "2", "--out", str(tmp_path / "out"))
    assert code == 1, err
    for record in Store(tmp_path / "out").records():
        lines = [line for line in told() if line["run_id"] == record.run_id]
        assert [line["hook"] for line in lines] == ["started", "epoch", "started", "epoch", "finished"]
        assert lines[-1]["status"] == {2: "ok", 3: "failed"}[record.seed]
        # What no process is left to tell, the one that asked tells.
        assert (lines[-1]["pid"] == os.getpid()) == (record.seed == 3)


def test_a_reproduction_is_no_run_of_a_campaign(observer, told, pare_bench, tmp_path):
    """Seen: observers were told that it starts and of its epochs, and never that it has finished: trackers showed it as running for good."""
    assert pare_bench("run", "-m", "full_finetune", "-t", "satellite", *SMALL, "--out", str(tmp_path / "out"))[0] == 0
    observer(WITNESS)
    (path,) = (tmp_path / "out" / "records").rglob("*.json")
    code, _, err = pare_bench("reproduce", str(path))
    assert code == 0, err
    assert told() == []


@pytest.mark.slow
def test_of_several_processes_the_main_one_tells(observer, told, tmp_path):
    observer(WITNESS)
    words = ("run", "-m", "orca", "-t", "satellite", *SMALL, *SOURCE, "--out", tmp_path / "out")
    assert [code for code, _, _ in several_processes.run(2, "-m", "pare_bench", *words)] == [0, 0]
    hooks = [line["hook"] for line in told()]
    assert hooks == ["started", *["epoch"] * (len(hooks) - 2), "finished"]
    record = only(tmp_path / "out")
    assert [line["loss"] for line in told("epoch")] == [point.train_loss for stage in ("align", "train") for point in record.training[stage].curve]
    assert len({line["pid"] for line in told()}) == 1


#: what an observer does -> the lines in front of its hooks, what it does in them, and what is said of it
FAILS = {
    "raises": ("", "raise ValueError('disk full')", r"ValueError\('disk full'\)"),
    "exits": ("", "raise SystemExit(3)", r"SystemExit\(3\)"),
    "raises what cannot be shown": (
        "class Odd(Exception):\n    def __repr__(self):\n        raise RuntimeError\n    __str__ = __repr__",
        "raise Odd",
        "Odd",
    ),
    "raises in many lines": ("", "raise ValueError('one\\n  two\\n' + 'x' * 5000)", r"ValueError\('one\\n two"),
}


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["local", "processes"])
@pytest.mark.parametrize("fails", FAILS)
def test_one_that_fails_is_a_line_and_the_record_is_what_it_was(fails, jobs, does, pare_bench, tmp_path):
    words = ("run", "-m", "full_finetune", "-t", "satellite", *SMALL, "--out")
    assert pare_bench(*words, str(tmp_path / "plain"))[0] == 0
    before, act, said = FAILS[fails]
    does(before, started=act, epoch=act, finished=act)
    code, _, err = pare_bench(*words, str(tmp_path / "watched"), *jobs)
    assert code == 0, err
    assert same(only(tmp_path / "plain"), only(tmp_path / "watched"))
    for hook in ("run_started", "epoch", "run_finished"):
        (line,) = [line for line in err.splitlines() if f"failed in pare_bench_{hook}" in line]
        assert re.search(rf"warning: plugin 'doer' failed in pare_bench_{hook}: {said}", line), line
        assert len(line) < 500
    assert "Traceback" not in err
    # Nothing but lines of ours: no place in our code, no source of it.
    assert "plugins.py" not in err


def same(one, other):
    """Whether two records differ in nothing but where, when and how fast they were made."""
    apart = {"started", "finished", "seconds", "samples_per_second", "peak_memory_mb", "command", "environment", "content_sha256"}
    return one.model_dump(exclude=apart) == other.model_dump(exclude=apart)


def test_where_warnings_are_errors_an_observer_still_fails_nothing(does, tmp_path):
    """Seen: with -W error the warning itself ended the command."""
    act = "raise ValueError('disk full')"
    does(started=act, epoch=act, finished=act)
    words = ("run", "-m", "constant", "-t", "satellite", *SMALL, "--out", tmp_path / "out")
    done = command(*words, options=("-W", "error::RuntimeWarning"))
    assert done.returncode == 0, done.stderr
    assert only(tmp_path / "out").status == "ok"
    assert done.stderr.count("plugin 'doer' failed in") == 2


#: what an observer changes in the process that it shares with the run -> how
MEDDLES = {
    "generators": "import random, torch, numpy as np; torch.manual_seed(7); np.random.seed(7); random.seed(7)",
    "draws": "import random, torch, numpy as np; torch.rand(3); np.random.rand(3); random.random()",
    "double precision": "import torch; torch.set_default_dtype(torch.float64)",
    "no gradients": "import torch; torch.set_grad_enabled(False)",
    "warnings and numpy": "import warnings, numpy as np; warnings.simplefilter('error'); np.seterr(all='raise')",
    "current folder": "import os; os.chdir('/')",
    "threads": "import torch; torch.set_num_threads(torch.get_num_threads() + 1)",
}


@pytest.mark.parametrize("meddles", MEDDLES)
def test_what_one_sets_for_the_process_ends_with_its_call(meddles, does, moody, pare_bench, tmp_path, monkeypatch):
    """Seen: a draw in pare_bench_epoch moved a method's next draws; a chdir sent the record of the next run elsewhere."""
    monkeypatch.chdir(tmp_path)
    act = MEDDLES[meddles]
    words = ("-t", "satellite", *SMALL)
    for method in ("draws", "full_finetune"):
        assert pare_bench("run", "-m", method, *words, "--out", "plain")[0] == 0
    does(started=act, epoch=act, finished=act)
    for method in ("draws", "full_finetune"):
        code, _, err = pare_bench("run", "-m", method, *words, "--out", "watched")
        assert code == 0, err
        assert "failed in pare_bench" not in err
    plain, watched = ({record.method.name: record for record in Store(tmp_path / name).records()} for name in ("plain", "watched"))
    for method in ("draws", "full_finetune"):
        assert same(plain[method], watched[method])
        assert plain[method].environment == watched[method].environment
    first, second = (moody / "drawn.txt").read_text().splitlines()
    assert first == second


@pytest.mark.parametrize("hook", ["started", "epoch", "finished"])
@pytest.mark.parametrize("jobs", [(), ("--jobs", "1")], ids=["local", "processes"])
def test_one_that_takes_long_is_named_with_its_seconds(hook, jobs, does, moody, pare_bench, tmp_path):
    """Seen: the time in pare_bench_run_finished, in which trackers write most, was not counted."""
    does("import time", **{hook: "time.sleep(1.3)"})
    code, _, err = pare_bench("run", "-m", "moody", "-t", "satellite", "--seeds", "0-1", *SMALL, *jobs, "--out", str(tmp_path / "out"))
    assert code == 1
    found = re.findall(r"moody satellite seed (\d): plugin 'doer' took (\d+\.\d) s of this run's (\d+\.\d) s to observe it", err)
    assert sorted(seed for seed, _, _ in found) == ["0", "1"], err
    assert all(1.3 <= float(taken) <= float(whole) for _, taken, whole in found)


def test_one_that_is_quick_is_not_named(does, pare_bench, tmp_path):
    does("import time", started="time.sleep(0.2)")
    _, _, err = pare_bench("run", "-m", "constant", "-t", "satellite", *SMALL, "--out", str(tmp_path / "out"))
    assert "to observe it" not in err


def test_what_is_closed_to_methods_is_closed_to_observers_and_fails_no_run(does, pare_bench, tmp_path):
    """Seen: an observer that looked at earlier records while a method learned made the run a failed one, of which the method was accused."""
    out = tmp_path / "out"
    assert pare_bench("run", "-m", "constant", "-t", "satellite", *SMALL, "--out", str(out))[0] == 0
    (path,) = (out / "records").rglob("*.json")
    look = f"open({str(path)!r}).read()"
    does(started=look, epoch=look, finished=look)
    code, _, err = pare_bench("run", "-m", "full_finetune", "-t", "satellite", *SMALL, "--out", str(out))
    assert code == 0, err
    assert "the method" not in err
    assert err.count("plugin 'doer' failed in") == 1
    assert re.search(r"failed in pare_bench_epoch: RunFault\(\"an observer opens '.*', which is closed while a method learns", err)


def test_what_one_prints_is_no_data(does, tmp_path):
    act = "print('noise of an observer')"
    does(started=act, epoch=act, finished=act)
    for jobs in ((), ("--jobs", "1")):
        words = ("run", "-m", "full_finetune", "-t", "satellite", *SMALL, "--out", tmp_path / f"out{len(jobs)}", "--format", "json")
        done = command(*words, *jobs)
        assert [each["status"] for each in json.loads(done.stdout)] == ["ok"]
        assert "noise of an observer" in done.stderr
