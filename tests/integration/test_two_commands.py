"""Two equal commands in one ``--out``: each run is done once, and what a dead process left is taken over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from pare_bench.records.store import Store
from pare_bench.runs.marks import RunningRuns

TINY = ("--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8")


def command(out, *options, epochs=1, seeds="0"):
    words = ["run", "--method", "full_finetune", "--task", "satellite", "--out", str(out), *TINY, "-o", f"budget.epochs={epochs}", "--seeds", seeds]
    return [sys.executable, "-m", "pare_bench", *words, *options]


def start(*words, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(*words, **options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_equal_commands_do_each_run_once(tmp_path):
    """Seen: both trained."""
    both = [start(tmp_path, seeds="0-2", epochs=20) for _ in range(2)]
    told = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    lines = [line for _, err in told for line in err.splitlines() if line.startswith("[")]
    assert len(lines) == 6
    assert sum("served from the store" in line for line in lines) == 3
    assert len(list(Store(tmp_path).records())) == 3
    assert any("left for now: process" in err for _, err in told)
    assert not (tmp_path / "running").exists()


def test_what_a_killed_process_worked_on_is_taken_over_by_the_one_that_waits(tmp_path):
    first = start(tmp_path, epochs=100_000)
    until(lambda: RunningRuns(tmp_path).all())
    second = start(tmp_path, epochs=100_000)
    for line in second.stderr:
        if "waiting for process" in line:
            break
    assert f"process {first.pid} on" in line
    first.send_signal(signal.SIGKILL)
    first.wait()
    until(lambda: [run.owner.process for run in RunningRuns(tmp_path).all()] == [second.pid])
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=60)
    assert second.returncode == 143


def test_with_no_wait_a_run_of_another_process_is_left_with_a_line(tmp_path):
    first = start(tmp_path, epochs=100_000)
    until(lambda: RunningRuns(tmp_path).all())
    second = start(tmp_path, "--no-wait", "--format", "json", epochs=100_000)
    out, err = second.communicate(timeout=60)
    first.kill()
    first.communicate()
    assert second.returncode == 0, err
    assert "1 runs are left to the processes that work on them (--no-wait)" in err
    assert json.loads(out) == []


def test_a_run_given_up_in_this_process_is_not_waited_for(tmp_path, pare_bench, monkeypatch):
    """After Ctrl-C in a notebook the mark names a live process: the notebook's own."""
    from pare_bench.runs import runner

    def interrupted(*_):
        raise KeyboardInterrupt

    words = command(tmp_path)[3:]
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_fit_and_score", interrupted)
        assert pare_bench(*words)[0] == 130
    assert [run.alive() for run in RunningRuns(tmp_path).all()] == [False]
    assert pare_bench(*words)[0] == 0


def test_a_failure_that_another_process_has_just_had_is_not_repeated(tmp_path, pare_bench, monkeypatch):
    from pare_bench.runs import single

    words = command(tmp_path)[3:]
    assert pare_bench(*words, "-o", "recipe.learning_rate=1e30")[0] == 1
    (failed,) = Store(tmp_path).records()
    later = failed.model_copy(update={"finished": "2999-01-01T00:00:00.000+00:00"})
    owners = iter(["process 1 on another", "process 1 on another", None])
    monkeypatch.setattr(single.Runs, "_owner", lambda *_: next(owners))
    monkeypatch.setattr(single.Runs, "_at_work", lambda *_: Store(tmp_path).save(later) and False)
    code, _, err = pare_bench(*words, "-o", "recipe.learning_rate=1e30")
    assert code == 1
    assert "failed" in err
    (found,) = Store(tmp_path).records()
    assert found.finished == later.finished


def test_a_leaderboard_that_a_killed_process_left_behind_is_brought_up_to_date(tmp_path, pare_bench):
    """Seen in one of a hundred kills: killed between the last record and leaderboard.json, and the same command served all and left it so."""
    words = ("run", "--method", "constant", "--task", "satellite", "--out", str(tmp_path), *TINY)
    board = tmp_path / "leaderboard.json"
    assert pare_bench(*words, "--seeds", "0")[0] == 0
    behind = board.read_bytes()
    assert pare_bench(*words, "--seeds", "0-1")[0] == 0
    whole = board.read_bytes()
    assert whole != behind
    for content in (behind, None):
        board.unlink()
        if content is not None:
            board.write_bytes(content)
            os.utime(board, ns=(1, 1))
        assert pare_bench(*words, "--seeds", "0-1")[0] == 0
        assert board.read_bytes() == whole
