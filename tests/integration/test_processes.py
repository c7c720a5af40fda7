"""Runs in processes of their own: the same scores, and whatever happens to one touches no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from pare_bench.records.store import Store

TINY = ("--preset", "smoke", "-o", "size.train=32", "-o", "size.val=8", "-o", "size.test=8", "-o", "budget.epochs=1")
#: A method that does what the seed says: die once, die always, hang, raise.
PLUGIN = """
from pare_bench import MethodSpec, hookimpl

@hookimpl
def pare_bench_methods():
    yield MethodSpec(name="moody", summary="A method.", target="method_of_moody:Moody", slots=())
"""
METHOD = """
import os, time
from pathlib import Path
from pare_bench.contracts.method import Method
from pare_bench.contracts.params import Params

class Moody(Method):
    class Params(Params):
        folder: str = ""

    def fit(self, data, context):
        mood = ("good", "dies once", "dies", "raises", "sleeps")[context.config.seed]
        tries = Path(self.params.folder) / f"seed {context.config.seed}"
        with tries.open("a") as file:
            file.write("x")
        if mood == "dies" or (mood == "dies once" and tries.read_text() == "x"):
            os._exit(7)
        if mood == "raises":
            raise RuntimeError("no idea")
        while mood == "sleeps":
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
    """Seen with pools of the standard library: one dead worker and all others were lost."""
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
