"""What executors of other people do, and what becomes of the runs: exactly one record of each, or a line that says why not."""

from __future__ import annotations

import json

import pytest

from pare_bench.conformance import check
from pare_bench.records.store import Store
from pare_bench.registry.names import Registry

TINY = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4")
PLUGIN = """
from pare_bench import ExecutorSpec, hookimpl

@hookimpl
def pare_bench_executors():
    yield ExecutorSpec(name="queue", summary="An executor.", target="executors_of_queue:Queue")
"""
HEAD = """
from concurrent.futures import ThreadPoolExecutor
import os
from pare_bench.contracts.executor import Executor, Outcome

class Queue(Executor):
"""
#: what is wrong -> (the body of its class, what check says)
FAULTS = {
    "it yields nothing": ("    def map(self, work, items):\n        return iter(())\n", "yields outcomes of the items []"),
    "it takes all and yields nothing": (
        "    def map(self, work, items):\n        for item in items:\n            pass\n        yield from ()\n",
        "yields outcomes of the items []",
    ),
    "it yields 42": ("    def map(self, work, items):\n        for item in items:\n            yield 42\n", "yields 42, not an Outcome"),
    "it yields None": ("    def map(self, work, items):\n        for item in items:\n            yield None\n", "yields None, not an Outcome"),
    "it yields each twice": (
        "    def map(self, work, items):\n        for item in items:\n            yield from [work(item)] * 2\n",
        "yields outcomes of the items [0, 0, 1, 1, 2, 2, 3, 3]",
    ),
    "it returns no iterator": ("    def map(self, work, items):\n        return 42\n", "raises TypeError"),
    "it raises": ("    def map(self, work, items):\n        raise RuntimeError('no cluster')\n        yield\n", "raises RuntimeError: no cluster"),
    "it works here and does not say so": (
        "    def map(self, work, items):\n        for item in items:\n            yield work(item)\n",
        "carries items out in this process, which in_process = True would say",
    ),
    "it uses threads": (
        "    def map(self, work, items):\n        with ThreadPoolExecutor(2) as pool:\n            yield from pool.map(work, items)\n",
        "carries out two runs at a time in one process",
    ),
    "it changes records": (
        "    def map(self, work, items):\n        for item in items:\n            work(item)\n            yield Outcome(item.number, record={})\n",
        "changes what the work returns",
    ),
}
#: what is wrong -> the exit code of a command, and the reason in its records (None: there is none) or its last line
BECOMES = {
    "it yields nothing": (1, "its worker is lost: executor 'queue' brought nothing back"),
    "it takes all and yields nothing": (1, "its worker is lost: executor 'queue' brought nothing back"),
    "it yields 42": (2, "executor 'queue' yields '42': not the outcome of a run that it was given and has not brought back"),
    "it yields None": (2, "executor 'queue' yields 'None': not the outcome of a run that it was given and has not brought back"),
    "it yields each twice": (2, "not the outcome of a run that it was given and has not brought back"),
    "it returns no iterator": (2, "executor 'queue' fails: TypeError: 'int' object is not iterable"),
    "it raises": (2, "executor 'queue' fails: RuntimeError: no cluster"),
    "it uses threads": (2, "two runs at a time in one process: both seed its random generators, and neither score would be its seed's"),
    "it changes records": (2, "executor 'queue' brings back a record of 'full_finetune satellite seed 0' that is none"),
}


@pytest.fixture
def queue(install, tmp_path):
    def write(body):
        install("queue", PLUGIN)
        (tmp_path / "site" / "executors_of_queue.py").write_text(HEAD + body)

    yield write
    import sys

    sys.modules.pop("executors_of_queue", None)


@pytest.mark.parametrize("fault", FAULTS)
def test_check_finds_what_is_wrong(fault, queue):
    body, said = FAULTS[fault]
    queue(body)
    problems = check(Registry.from_environment(), "executor", "queue")
    assert any(said in problem for problem in problems), problems


def test_check_passes_one_that_works_here_and_says_so(queue):
    queue("    in_process = True\n    def map(self, work, items):\n        return map(work, items)\n")
    assert check(Registry.from_environment(), "executor", "queue") == []


def run(pare_bench, out, *more):
    return pare_bench("run", "-m", "full_finetune", "-t", "satellite", "--seeds", "0-1", *TINY, "-o", "budget.epochs=1", "--out", str(out), *more)


@pytest.mark.parametrize("fault", BECOMES)
def test_no_run_is_lost_in_silence(fault, queue, pare_bench, tmp_path):
    """Seen: with an executor that yields nothing or 42 the command ended with 0 and an empty table."""
    queue(FAULTS[fault][0])
    code, said = BECOMES[fault]
    got, out, err = run(pare_bench, tmp_path / "out", "--executor", "queue", "--format", "json")
    assert got == code, err
    records = list(Store(tmp_path / "out").records())
    if code == 1:
        assert [record.reason for record in records] == [said, said]
        assert len(json.loads(out)) == 2
    else:
        assert said in err
        assert not any(record.status == "failed" for record in records)
    # Whatever the executor did afterwards: what its workers have recorded counts.
    board = tmp_path / "out" / "leaderboard.json"
    assert not records or board.read_text().count('"satellite"') > 0


def test_a_custom_executor_gives_the_same_records(queue, pare_bench, tmp_path):
    queue("    in_process = True\n    def map(self, work, items):\n        return (work(item) for item in reversed(list(items)))\n")
    assert run(pare_bench, tmp_path / "plain")[0] == 0
    assert run(pare_bench, tmp_path / "queue", "--executor", "queue")[0] == 0
    plain, other = (sorted(Store(tmp_path / name).records(), key=lambda record: record.seed) for name in ("plain", "queue"))
    assert [record.run_id for record in plain] == [record.run_id for record in other]
    assert [record.metrics for record in plain] == [record.metrics for record in other]
    assert [record.predictions_sha256 for record in plain] == [record.predictions_sha256 for record in other]


def test_what_is_recorded_counts_although_the_command_is_interrupted_before_it_hears_of_it(queue, pare_bench, tmp_path):
    """Seen with jobs that are looked at now and then: "0 of 2 runs are saved", and one was."""
    queue("    def map(self, work, items):\n        work(next(items))\n        raise KeyboardInterrupt\n        yield\n")
    code, out, err = run(pare_bench, tmp_path / "out", "--executor", "queue", "--format", "json")
    assert code == 130, err
    assert "interrupted: 1 of 2 runs are saved" in err
    (record,), (shown,) = Store(tmp_path / "out").records(), json.loads(out)
    assert (shown["run_id"], shown["status"]) == (record.run_id, "ok")


def test_parameters_of_an_executor_are_checked_and_enter_no_identity(pare_bench, tmp_path):
    code, _, err = run(pare_bench, tmp_path, "-o", "executor=processes", "-o", "executor.jobs=0")
    assert code == 2
    assert "jobs" in err
    code, _, err = run(pare_bench, tmp_path, "-o", "executor.speed=3")
    assert code == 2
    assert "speed" in err
    code, _, err = run(pare_bench, tmp_path, "--executor", "local", "--jobs", "2")
    assert code == 2
    assert "--jobs 2: executor 'local' has no jobs" in err
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("--time-limit", "soon", "--time-limit 'soon' is no time"),
        ("--time-limit", "0", "is no time"),
        ("--memory-limit", "-3GB", "--memory-limit '-3GB' is no size"),
    ],
)
def test_limits_that_are_none(option, text, said, pare_bench, tmp_path):
    code, _, err = run(pare_bench, tmp_path, option, text)
    assert code == 2
    assert said in err


#: What a worker on a machine with another numpy would bring back.
ELSEWHERE = """
    def map(self, work, items):
        from dataclasses import replace
        from pare_bench.records.record import RunRecord
        for item in items:
            outcome = work(item)
            record = RunRecord.model_validate(outcome.record)
            identity = record.identity.model_copy(update={"libraries": {**record.identity.libraries, "numpy": "0.1"}})
            record = record.model_copy(update={"identity": identity, "run_id": identity.run_id})
            yield replace(outcome, record=record.model_dump(mode="json", by_alias=True))
"""


def test_a_worker_that_has_other_versions_is_named(queue, pare_bench, tmp_path):
    queue(ELSEWHERE)
    code, _, err = run(pare_bench, tmp_path / "out", "--executor", "queue")
    assert code == 0, err
    assert "full_finetune satellite seed 1: carried out by a worker that has something else than this process: " in err
    assert "libraries numpy: 0.1 -> 2" in err


def test_what_an_executor_would_hand_on_is_shown(queue, pare_bench, tmp_path):
    body = "    def map(self, work, items):\n        raise AssertionError\n\n    def describe(self, items):\n"
    queue(body + "        return '; '.join(f'{item.number} {item.label} {item.out}' for item in items)\n")
    code, out, _ = run(pare_bench, tmp_path / "out", "--executor", "queue", "--dry-run")
    assert code == 0
    assert f"0 full_finetune satellite seed 0 {tmp_path / 'out'}; 1 full_finetune satellite seed 1 {tmp_path / 'out'}" in out
    code, out, err = run(pare_bench, tmp_path / "out", "--executor", "queue", "--dry-run", "--format", "json")
    assert len(json.loads(out)) == 2
    assert "1 full_finetune satellite seed 1" in err
    assert not (tmp_path / "out").exists()


def test_one_of_several_processes_of_a_launcher_starts_none(pare_bench, tmp_path, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    code, _, err = run(pare_bench, tmp_path / "out", "--jobs", "2")
    assert code == 2
    assert "executor 'processes' starts processes of its own, and this is one of 2 of a launcher" in err
