"""The main job through the command line: records, serving from the store, reproducibility, failures, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store

#: Seconds instead of minutes: few examples, one epoch.
TINY = ("--preset", "smoke", "-o", "size.train=32", "-o", "size.val=16", "-o", "size.test=16", "-o", "budget.epochs=1", "-o", "recipe.batch_size=32")
SOURCE = ("-o", "source_size.train=64", "-o", "source_size.val=1", "-o", "source_size.test=1")


def records(out: Path) -> list[RunRecord]:
    return [RunRecord.from_json(path.read_text()) for path in sorted(out.glob("records/*/*/*/*.json"))]


def test_a_run_writes_one_record_and_the_leaderboard(pare_bench, tmp_path):
    code, out, err = pare_bench("run", "--method", "pare", "--task", "satellite", "--out", str(tmp_path), *TINY, *SOURCE)
    assert code == 0, err
    (record,) = records(tmp_path)
    assert record.status == "ok"
    assert record.task.tier == "generated"
    assert record.task.sizes == {"train": 32, "val": 16, "test": 16}
    assert record.primary.name == "error_rate"
    assert 0 <= record.primary.value <= 1
    assert record.floor is not None
    assert set(record.slots) == {"backbone", "embedder", "selector", "mixer", "source"}
    assert record.training["train"].steps == 1
    assert record.seconds.keys() >= {"prepare", "train", "evaluate"}
    assert record.peak_memory_mb > 0
    # nano_text without its word embeddings: 4 layers of width 128, plus embedder and head; nothing is frozen.
    assert 4 * 190_000 < record.parameters_total == record.parameters_trained < 4 * 220_000 + 20_000
    board = json.loads((tmp_path / "leaderboard.json").read_text())
    assert "satellite" in json.dumps(board)
    assert "| task | seed | status | score | metric |" in out
    assert "| satellite | 0 | ok |" in out
    assert "[1/1] pare satellite seed 0: error_rate" in err
    assert "\x1b" not in out + err


def test_the_same_command_is_served_from_the_store(pare_bench, tmp_path):
    command = ("run", "--method", "full_finetune", "--task", "satellite", "--out", str(tmp_path), *TINY)
    assert pare_bench(*command)[0] == 0
    (path,) = tmp_path.glob("records/*/*/*/*.json")
    before = path.read_bytes(), path.stat().st_mtime_ns
    code, out, err = pare_bench(*command)
    assert code == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert "served from the store" in err
    assert "| served |" in out


def test_same_seed_same_metrics_other_seed_other_metrics(pare_bench, tmp_path):
    def metrics(folder: str, seed: str) -> tuple[str, str]:
        args = ("--method", "pare", "--task", "ninapro", "--seeds", seed, "--out", str(tmp_path / folder), *TINY, *SOURCE)
        code, out, err = pare_bench("run", *args, "--format", "json")
        assert code == 0, err
        (record,) = json.loads(out)
        return json.dumps(record["metrics"]), record["predictions_sha256"]

    first, again, other = metrics("a", "0"), metrics("b", "0"), metrics("c", "1")
    assert first == again
    assert first[1] != other[1]
    assert first[0] != other[0] or first[1] != other[1]


def test_metrics_do_not_depend_on_the_runs_before(pare_bench, tmp_path):
    args = ("--method", "full_finetune", "--task", "satellite", *TINY)
    alone = records_after(pare_bench, tmp_path / "alone", *args, "--seeds", "1")
    after = records_after(pare_bench, tmp_path / "after", *args, "--seeds", "0-1")
    assert {r.predictions_sha256 for r in alone} <= {r.predictions_sha256 for r in after}


def records_after(pare_bench, out: Path, *args: str) -> list[RunRecord]:
    code, _, err = pare_bench("run", *args, "--out", str(out))
    assert code == 0, err
    return records(out)


def test_divergence_becomes_a_failed_record_and_exit_code_1(pare_bench, tmp_path):
    args = (
        "--method",
        "full_finetune",
        "--task",
        "satellite",
        "--out",
        str(tmp_path),
        *(word.replace("budget.epochs=1", "budget.epochs=3") for word in TINY),
        "-o",
        "recipe.learning_rate=1e30",
        "-o",
        "recipe.clip_norm=null",
    )
    code, out, err = pare_bench("run", *args)
    assert code == 1
    (record,) = records(tmp_path)
    assert record.status == "failed"
    assert "became nan" in record.reason or "became inf" in record.reason or "not finite" in record.reason
    assert record.metrics == ()
    assert "failed" in out
    assert "failed" in err


def test_a_failed_run_is_run_again_a_finished_one_is_not(pare_bench, tmp_path):
    command = ("run", "--method", "constant", "--task", "satellite", "--out", str(tmp_path), *TINY)
    assert pare_bench(*command)[0] == 0
    (path,) = tmp_path.glob("records/*/*/*/*.json")
    document = json.loads(path.read_text())
    document |= {"status": "failed", "reason": "out of memory", "metrics": [], "floor": None}
    path.write_text(json.dumps(document))
    code, _, err = pare_bench(*command)
    assert code == 0
    assert "served" not in err
    assert json.loads(path.read_text())["status"] == "ok"


def test_out_of_memory_becomes_a_failed_record(pare_bench, tmp_path, monkeypatch):
    from pare_bench_baselines.constant import Constant

    def fit(self, data, context):
        raise MemoryError("no room")

    monkeypatch.setattr(Constant, "fit", fit)
    code, _, _ = pare_bench("run", "--method", "constant", "--task", "satellite", "--out", str(tmp_path), *TINY)
    assert code == 1
    (record,) = records(tmp_path)
    assert (record.status, record.reason) == ("failed", "out of memory: no room")


def test_a_method_never_holds_the_test_split(pare_bench, tmp_path, monkeypatch):
    from pare_bench_baselines.constant import Constant

    seen = {}
    fit = Constant.fit

    def spy(self, data, context):
        seen.update(vars(data))
        return fit(self, data, context)

    monkeypatch.setattr(Constant, "fit", spy)
    assert pare_bench("run", "--method", "constant", "--task", "satellite", "--out", str(tmp_path), *TINY)[0] == 0
    assert "test" not in seen
    assert {len(seen["train"]), len(seen["val"])} == {32, 16}


def test_dry_run_lists_the_runs_and_runs_nothing(pare_bench, tmp_path):
    code, out, _ = pare_bench("run", "--method", "pare", "--seeds", "0-1", "--dry-run", "--out", str(tmp_path / "none"))
    assert code == 0
    assert out.count("| pare |") == 20
    assert not (tmp_path / "none").exists()


def test_a_damaged_record_is_set_aside_and_its_run_done_again(pare_bench, tmp_path):
    command = ("run", "--method", "constant", "--task", "satellite", "--out", str(tmp_path), *TINY)
    assert pare_bench(*command)[0] == 0
    (path,) = tmp_path.glob("records/*/*/*/*.json")
    whole = RunRecord.from_json(path.read_text())
    damaged = path.read_text()[:-40]
    path.write_text(damaged)
    code, _, err = pare_bench("compare", "constant", "pare", "--out", str(tmp_path))
    assert code == 4
    assert str(path) in err
    assert "hint:" in err
    code, _, err = pare_bench(*command)
    assert code == 0
    (aside,) = tmp_path.glob("damaged/**/*.json.1")
    assert str(aside) in err
    assert aside.read_text() == damaged
    again = RunRecord.from_json(path.read_text())
    assert (again.metrics, again.predictions_sha256, again.cause) == (whole.metrics, whole.predictions_sha256, "the stored record was damaged")
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": "pare-bench/record/99"}))
    code, _, err = pare_bench(*command)
    assert (code, path.exists()) == (4, True)
    assert "newer" in err


LONG = tuple(word.replace("budget.epochs=1", "budget.epochs=80") for word in TINY)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_keeps_finished_runs_and_the_same_command_goes_on(tmp_path, sent, code):
    """SIGTERM is what a cluster sends first."""
    command = [sys.executable, "-c", "from pare_bench.cli import entry_point; entry_point()", "run", "--method", "full_finetune"]
    command += ["--task", "satellite"]
    command += ["--task", "deepsea", "--out", str(tmp_path), *LONG]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # A shell that starts the tests in the background ignores Ctrl-C, and its children inherit that; the command under test must not.
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - nothing else runs in this process
    )
    deadline = time.monotonic() + 400
    while not list(tmp_path.glob("records/*/*/*/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "interrupted: 1 of 2 runs are saved" in err
    assert [record.status for record in records(tmp_path)] == ["ok"]
    finished = subprocess.run([*command[:8], "--out", str(tmp_path), *LONG], stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert finished.returncode == 0
    assert "served from the store" in finished.stderr


@pytest.mark.parametrize("hidden", [True, False])
def test_an_interrupt_behind_another_error_is_an_interrupt(pare_bench, tmp_path, monkeypatch, hidden):
    """Joblib raises UnboundLocalError when Ctrl-C comes while it starts its workers."""

    def interrupted(*_):
        try:
            raise KeyboardInterrupt if hidden else OSError
        except (KeyboardInterrupt, OSError):
            raise UnboundLocalError("parent_r")  # noqa: B904 - as joblib does

    monkeypatch.setattr("pare_bench.runs.preparation.target_data", interrupted)
    call = ("run", "--method", "constant", "--task", "ecg", "--preset", "smoke", "--out", str(tmp_path))
    if hidden:
        code, _, err = pare_bench(*call)
        assert code == 130
        assert "Traceback" not in err
    else:
        assert pare_bench(*call)[0] == 1
        (record,) = Store(tmp_path).records()
        assert record.reason == "UnboundLocalError: parent_r"
        with pytest.raises(UnboundLocalError):
            pare_bench(*call, "--fail-fast")
