"""Runs in processes of their own: the same scores, and whatever happens to one touches no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from pare_bench.builtin.executors import processes
from pare_bench.builtin.executors.processes import Processes
from pare_bench.contracts.executor import Outcome, WorkItem
from pare_bench.records.store import Store

TINY = ("--preset", "smoke", "-o", "size.train=32", "-o", "size.val=8", "-o", "size.test=8", "-o", "budget.epochs=1")
#: A method that does what the seed says: die once, die always, raise, hang, end after a while, hear no signal, hang once and then die.
PLUGIN = """
from pare_bench import MethodSpec, hookimpl

@hookimpl
def pare_bench_methods():
    yield MethodSpec(name="moody", summary="A method.", target="method_of_moody:Moody", slots=())
"""
METHOD = """
import os, signal, time
from pathlib import Path
from pare_bench.contracts.method import Method
from pare_bench.contracts.params import Params

class Moody(Method):
    class Params(Params):
        folder: str = ""

    def fit(self, data, context):
        mood = ("good", "dies once", "dies", "raises", "sleeps", "naps", "deaf", "holds")[context.config.seed]
        if mood == "deaf":
            # Not a mask: that is one thread's, and another one of the process would hear the signal.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        tries = Path(self.params.folder) / f"seed {context.config.seed}"
        with tries.open("a") as file:
            file.write("x")
        if mood == "dies" or (mood == "dies once" and tries.read_text() == "x") or (mood == "holds" and tries.read_text() != "x"):
            os._exit(7)
        if mood == "raises":
            raise RuntimeError("no idea")
        if mood == "naps":
            time.sleep(4)
        while mood in ("sleeps", "deaf", "holds"):
            time.sleep(0.01)
        return context.registry.build("method", "constant").fit(data, context)
"""


@pytest.fixture
def moody(install, tmp_path, monkeypatch):
    install("moody", PLUGIN)
    (tmp_path / "site" / "method_of_moody.py").write_text(METHOD)
    # For processes of their own.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    yield ("-m", "moody", "-t", "satellite", *TINY[:-2], "-o", f"method.folder={tmp_path}")
    sys.modules.pop("method_of_moody", None)


def command(*words):
    return [sys.executable, "-m", "pare_bench", "run", *words]


def test_two_at_a_time_score_as_one_after_the_other(pare_bench, tmp_path):
    words = ("-m", "full_finetune", "-t", "satellite", "-t", "ecg", "--seeds", "0-1", *TINY)
    assert pare_bench("run", *words, "--out", str(tmp_path / "one"))[0] == 0
    code, out, err = pare_bench("run", *words, "--jobs", "2", "--out", str(tmp_path / "two"))
    assert code == 0, err
    assert out.count("| ok |") == 4
    one, two = ({record.run_id: record for record in Store(tmp_path / name).records()} for name in ("one", "two"))
    assert one.keys() == two.keys()
    for run_id, record in one.items():
        assert two[run_id].metrics == record.metrics
        assert two[run_id].predictions_sha256 == record.predictions_sha256
    assert sorted(path.name for path in (tmp_path / "two").iterdir() if not path.name.startswith(".")) == [
        "leaderboard.json",
        "predictions",
        "records",
    ]
    # Served without any worker.
    began = time.monotonic()
    code, out, _ = pare_bench("run", *words, "--jobs", "2", "--out", str(tmp_path / "two"))
    assert (code, out.count("| served |")) == (0, 4)
    assert time.monotonic() - began < 20


def test_a_run_that_dies_touches_no_other(moody, pare_bench, tmp_path):
    """Seen with one pool of the standard library for all: one dead worker and all others were lost."""
    code, out, err = pare_bench("run", *moody, "--seeds", "0-4", "--time-limit", "3s", "--jobs", "2", "--out", str(tmp_path / "out"))
    assert code == 1, err
    found = {record.seed: record for record in Store(tmp_path / "out").records()}
    assert {seed: record.status for seed, record in found.items()} == {0: "ok", 1: "ok", 2: "failed", 3: "failed", 4: "failed"}
    assert found[2].reason == "its worker is lost: its process ended with code 7, 2 times"
    assert found[3].reason == "RuntimeError: no idea"
    assert found[4].reason == "over its time limit of 3 s"
    assert [(tmp_path / f"seed {seed}").read_text() for seed in range(5)] == ["x", "xx", "xx", "x", "x"]
    assert out.count("| failed |") == 3
    assert not (tmp_path / "out" / "running").exists()


def test_where_all_fail_the_command_fails(moody, pare_bench, tmp_path):
    for jobs in ((), ("--jobs", "2")):
        code, _, _ = pare_bench("run", *moody, "--seeds", "3", "--out", str(tmp_path / "".join(jobs)), *jobs)
        assert code == 1


def test_a_time_limit_holds_in_this_process_too(moody, pare_bench, tmp_path):
    code, _, _ = pare_bench("run", *moody, "--seeds", "0,4", "--time-limit", "1s", "--out", str(tmp_path / "out"))
    assert code == 1
    found = {record.seed: record for record in Store(tmp_path / "out").records()}
    assert (found[0].status, found[4].status, found[4].reason) == ("ok", "failed", "over its time limit of 1 s")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_its_workers_and_keeps_what_is_finished(sent, moody, tmp_path):
    out = tmp_path / "out"
    words = command(*moody, "--seeds", "0,4", "--jobs", "2", "--out", str(out))
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (list(out.glob("records/*/*/*/*.json")) and (tmp_path / "seed 4").exists()):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent], err
    assert "interrupted: 1 of 2 runs are saved" in err
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert (out / "leaderboard.json").exists()


def items(count, **config):
    for number in range(count):
        yield WorkItem(number, f"item {number}", f"{number:016x}", config, ".", "a test")


def tells(item):
    """Pretend to be a run: say who has carried it out, with which GPU and how many threads."""
    seen = {"process": os.getpid(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "threads": os.environ["OMP_NUM_THREADS"]}
    time.sleep(0.3)
    return Outcome(item.number, record=seen)


def is_asked_to_end(item):
    tries = Path(item.config["folder"]) / str(item.number)
    tries.touch()
    with tries.open("a") as file:
        file.write("x")
    return Outcome(item.number, interrupted=True) if item.number == 1 or tries.read_text() == "x" else Outcome(item.number, record={})


def dies_as_it_begins(threads, gpu):
    begun = Path(os.environ["BEGUN"])
    if not begun.exists():
        begun.touch()
        os._exit(9)
    processes_begin(threads, gpu)


processes_begin = processes.begin


def executor(**params):
    return Processes(Processes.Params(**params))


def test_a_worker_that_dies_as_it_begins_is_replaced(tmp_path, monkeypatch):
    """Seen: a worker that was killed while it imported torch ended the command, "executor 'processes' fails: BrokenProcessPool"."""
    monkeypatch.setenv("BEGUN", str(tmp_path / "begun"))
    monkeypatch.setattr(processes, "begin", dies_as_it_begins)
    outcomes = list(executor(jobs=1).map(tells, items(2)))
    assert sorted(outcome.number for outcome in outcomes) == [0, 1]
    assert all(outcome.record for outcome in outcomes), outcomes
    (tmp_path / "begun").unlink()
    (lost,) = executor(jobs=1, retries=0).map(tells, items(1))
    assert lost.lost == "its process ended with code 9 before it could begin"


def test_a_worker_that_dies_while_it_is_idle_is_replaced():
    """Seen: as above."""
    with closing(executor(jobs=1).map(tells, items(3))) as outcomes:
        first = next(outcomes)
        os.kill(first.record["process"], signal.SIGKILL)
        psutil.wait_procs([psutil.Process(first.record["process"])] if psutil.pid_exists(first.record["process"]) else [], timeout=10)
        time.sleep(0.5)
        rest = list(outcomes)
    assert sorted(outcome.number for outcome in rest) == [1, 2]
    assert all(outcome.record["process"] != first.record["process"] for outcome in rest)


def test_a_worker_that_somebody_else_asks_to_end_ends_no_command(tmp_path):
    """Seen: SIGTERM to one worker was taken for Ctrl-C, and all runs ended."""
    outcomes = {outcome.number: outcome for outcome in executor(jobs=1).map(is_asked_to_end, items(2, folder=str(tmp_path)))}
    assert outcomes[0].record == {}
    assert outcomes[1].lost == "its process was asked to end (SIGTERM), 2 times"


def test_each_worker_has_a_gpu_unless_the_run_names_one(monkeypatch):
    """CUDA_VISIBLE_DEVICES of this process says what there is; no driver is asked."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5")
    seen = [outcome.record for outcome in executor().map(tells, items(4, device="cuda"))]
    assert {each["gpu"] for each in seen} == {"3", "GPU-5"}
    assert len({each["process"] for each in seen}) == 2
    # The second as this process counts them: a worker that saw one alone would not find it.
    (named,) = executor(jobs=1, threads=3).map(tells, items(1, device="cuda:1"))
    assert (named.record["gpu"], named.record["threads"]) == ("3,GPU-5", "3")


def test_a_second_interrupt_ends_workers_that_hear_nothing(moody, tmp_path):
    words = command(*moody, "--seeds", "6", "--jobs", "2", "--out", str(tmp_path / "out"))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until((tmp_path / "seed 6").exists, process)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - began < 20
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_workers_of_a_killed_command_end_with_their_run(moody, tmp_path):
    words = command(*moody, "--seeds", "5", "--jobs", "2", "--out", str(tmp_path / "out"))
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until((tmp_path / "seed 5").exists, process)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    works = [each for each in children if "spawn_main" in str(each.cmdline())]
    assert works
    assert not psutil.wait_procs(works, timeout=60)[1]
    assert [record.status for record in Store(tmp_path / "out").records()] == ["ok"]


def test_what_another_command_leaves_undone_is_for_a_worker(moody, tmp_path):
    """Seen: the waiting process did it itself; this run would have ended it, and on a cluster it has no GPU."""
    out = tmp_path / "out"
    with subprocess.Popen(command(*moody, "--seeds", "7", "--out", str(out)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        until((tmp_path / "seed 7").exists, first)
        words = command(*moody, "--seeds", "7", "--jobs", "1", "--out", str(out))
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as second:
            told = [next(line for line in second.stderr if said in line) for said in ("left for now", "waiting for process")]
            first.kill()
            _, err = second.communicate(timeout=120)
    assert all(line.startswith("moody satellite seed 7: ") and line.count("satellite") == 1 for line in told)
    assert second.returncode == 1, err
    (record,) = Store(out).records()
    assert record.reason == "its worker is lost: its process ended with code 7, 2 times"


def until(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
