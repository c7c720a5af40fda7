"""``-q``, ``-v`` and ``--log FILE``: how much a run says, and where."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest

TINY = ("--preset", "smoke", "-o", "size.train=32", "-o", "size.val=16", "-o", "size.test=16", "-o", "budget.epochs=2")
RUN = ("run", "-m", "full_finetune", "-t", "satellite", *TINY)


def lines(path):
    return [dict(word.split("=", 1) for word in line.split()) for line in path.read_text().splitlines()]


def test_quiet_says_nothing_but_the_closing_table(pare_bench, tmp_path):
    code, out, err = pare_bench(*RUN, "-q", "--out", str(tmp_path))
    assert (code, err) == (0, "")
    assert "| satellite | 0 | ok |" in out
    # The next command speaks again.
    assert "served from the store" in pare_bench(*RUN, "--out", str(tmp_path))[2]


def test_quiet_still_says_what_went_wrong(pare_bench, tmp_path):
    code, _, err = pare_bench("run", "-m", "nobody", "-q", "--out", str(tmp_path))
    assert code == 2
    assert "error: unknown method 'nobody'" in err
    code, out, err = pare_bench(*RUN, "-q", "-o", "recipe.learning_rate=1e30", "-o", "recipe.clip_norm=null", "--out", str(tmp_path))
    assert code == 1
    assert "failed: satellite seed 0" in out


def test_verbose_says_each_stage_and_epoch(pare_bench, tmp_path):
    _, _, plain = pare_bench(*RUN, "--out", str(tmp_path / "a"))
    code, _, err = pare_bench(*RUN, "-v", "--out", str(tmp_path / "b"))
    assert code == 0
    assert "epoch" not in plain
    told = [line.removeprefix("full_finetune satellite seed 0: ") for line in err.splitlines() if line.startswith("full_finetune satellite seed 0: ")]
    assert [line for line in told if "epoch" not in line] == ["prepare", "train", "evaluate"]
    epochs = [line for line in told if "epoch" in line]
    pattern = r"train: epoch {0}/2 val error_rate \d\.\d{{4}}, loss [\d.]+, rate [\d.e-]+"
    assert [bool(re.fullmatch(pattern.format(number), line)) for number, line in enumerate(epochs, 1)] == [True, True]


def test_both_at_once_are_refused(pare_bench):
    code, _, err = pare_bench(*RUN, "-q", "-v")
    assert code == 2
    assert "--quiet and --verbose contradict each other" in err


def test_the_log_has_a_line_for_each_epoch_and_is_appended_to(pare_bench, tmp_path):
    log = tmp_path / "new folder" / "epochs.log"
    code, out, _ = pare_bench(*RUN, "--log", str(log), "--out", str(tmp_path / "out"), "--format", "json")
    assert code == 0
    (record,) = json.loads(out)
    found = lines(log)
    assert [(each["run"], each["stage"], each["epoch"], each["metric"]) for each in found] == [
        (record["run_id"], "train", f"{number}/2", "error_rate") for number in (1, 2)
    ]
    assert [(each["method"], each["task"], each["seed"]) for each in found] == [("full_finetune", "satellite", "0")] * 2
    # The numbers are those of the record, in full.
    curve = record["training"]["train"]["curve"]
    assert [float(each["score"]) for each in found] == [point["validation"] for point in curve]
    assert all(float(each["loss"]) > 0 and float(each["rate"]) > 0 for each in found)
    assert all(datetime.fromisoformat(each["time"]).tzinfo is not None for each in found)
    assert pare_bench(*RUN, "--seeds", "1", "--log", str(log), "--out", str(tmp_path / "out"))[0] == 0
    assert [each["seed"] for each in lines(log)] == ["0", "0", "1", "1"]
    # What is served trains nothing.
    assert pare_bench(*RUN, "--log", str(log), "--out", str(tmp_path / "out"))[0] == 0
    assert len(lines(log)) == 4


def test_a_stage_without_a_score_says_so(pare_bench, tmp_path):
    words = ("-o", "source_size.train=64", "-o", "source_size.val=1", "-o", "source_size.test=1", "-o", "method.align_epochs=1")
    code, _, err = pare_bench("run", "-m", "orca", "-t", "satellite", *TINY, *words, "--log", str(tmp_path / "log"), "--out", str(tmp_path))
    assert code == 0, err
    stages = {each["stage"]: each for each in lines(tmp_path / "log")}
    assert stages["align"]["score"] == "-"
    assert float(stages["train"]["score"]) >= 0


@pytest.mark.slow
def test_runs_in_other_processes_write_to_the_same_log(pare_bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = pare_bench(*RUN, "--seeds", "0-3", "--jobs", "2", "--log", "epochs.log", "-v", "--out", "out")
    assert code == 0, err
    found = lines(tmp_path / "epochs.log")
    assert sorted((each["seed"], each["epoch"]) for each in found) == [(str(seed), f"{epoch}/2") for seed in range(4) for epoch in (1, 2)]


def test_a_log_that_cannot_be_written_is_said_before_any_training(pare_bench, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = pare_bench(*RUN, "--log", str(tmp_path / "file" / "below.log"), "--out", str(tmp_path / "out"))
    assert (code, out) == (5, "")
    assert "--log" in err
    assert "cannot be written" in err
    assert not list((tmp_path / "out").rglob("*.json"))


def test_a_log_that_fails_later_ends_no_run(pare_bench, tmp_path, monkeypatch):
    from pare_bench.runs import epoch_log

    log = tmp_path / "epochs.log"
    monkeypatch.setattr(epoch_log, "in_line", lambda report: log.unlink() or log.mkdir() or "x" if log.is_file() else "x")
    code, _, err = pare_bench(*RUN, "--log", str(log), "--out", str(tmp_path / "out"))
    assert code == 0
    assert err.count("epochs.log' cannot be written") == 1
