"""Metrics that are corrected later reach old runs without training; a run is done again from its record and judged."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest
from factories import sealed

from pare_bench import metrics
from pare_bench.builtin.suites.nas360.satellite import Satellite
from pare_bench.cli import main
from pare_bench.contracts.task import Metric
from pare_bench.datasets.run_data import target_data
from pare_bench.records.record import RunRecord

TINY = ("--preset", "smoke", "-o", "size.train=32", "-o", "size.val=16", "-o", "size.test=16", "-o", "budget.epochs=1", "-o", "recipe.batch_size=32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train three seeds once."""
    out = tmp_path_factory.mktemp("trained")
    assert main(["run", "--method", "full_finetune", "--task", "satellite", "--seeds", "0-2", "--out", str(out), *TINY]) == 0
    return out


@pytest.fixture
def three_runs(trained, tmp_path):
    """Return the paths of a copy of the three records, by seed."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return sorted(map(str, tmp_path.glob("records/*/*/*/*.json")), key=lambda path: read(path).seed)


def read(path):
    with open(path) as file:  # noqa: PTH123 - a path as the command printed it
        return RunRecord.from_json(file.read())


def no_training(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("rescore trains")

    monkeypatch.setattr("pare_bench.runs.runner.run", refuse)


def test_a_corrected_and_a_new_metric_reach_old_runs(three_runs, pare_bench, tmp_path, monkeypatch):
    no_training(monkeypatch)
    before = [read(path) for path in three_runs]
    assert [record.predictions.kept for record in before] == ["float16"] * 3
    code, _, err = pare_bench("rescore", "--suite", "nas360", "--out", str(tmp_path))
    assert (code, [read(path) for path in three_runs]) == (0, before)
    assert "0 of 3 runs have" in err

    corrected = Metric("error_rate", lambda outputs, split: 0.5 * metrics.error_rate(outputs, split.targets))
    added = Metric("macro_f1_error", lambda outputs, split: metrics.macro_f1_error(outputs, split.targets))
    monkeypatch.setattr(Satellite, "metrics", (corrected, added))
    version = Satellite.version
    monkeypatch.setattr(Satellite, "version", version + 1)
    assert pare_bench("rescore", "--suite", "nas360", "--out", str(tmp_path), "--dry-run")[0] == 0
    assert [read(path) for path in three_runs] == before
    code, out, err = pare_bench("rescore", three_runs[0], before[1].run_id[:8], "--out", str(tmp_path), "--format", "md")
    assert code == 0, err
    assert "2 of 2 runs have other scores" in err
    assert re.search(r"\| macro_f1_error \| - \| 0\.\d+ \| new \|", out)
    for path, old in zip(three_runs[:2], before[:2], strict=True):
        new = read(path)
        assert [metric.name for metric in new.metrics] == ["error_rate", "macro_f1_error"]
        assert new.primary.value == 0.5 * old.primary.value
        assert new.floor == 0.5 * old.floor
        (earlier,) = new.rescored
        assert (new.task.version, earlier.version, new.task.data_sha256) == (version + 1, version, old.task.data_sha256)
        assert (earlier.metrics, earlier.floor, earlier.scoring) == (old.metrics, old.floor, old.scoring)
        assert set(new.scoring) > set(old.scoring)  # the module of this test computes scores now
        assert (new.run_id, new.identity, new.predictions_sha256, new.training) == (old.run_id, old.identity, old.predictions_sha256, old.training)
    assert read(three_runs[2]) == before[2]
    board = json.loads((tmp_path / "leaderboard.json").read_text())
    assert str(0.5 * before[0].primary.value) in json.dumps(board)
    assert pare_bench("leaderboard", "validate", str(tmp_path))[0] == 0
    assert "scores computed again" in pare_bench("explain", three_runs[0], "--out", str(tmp_path))[1]


def test_what_rescore_cannot_do_is_said_and_the_rest_is_done(three_runs, pare_bench, tmp_path, monkeypatch):
    (tmp_path / "predictions" / f"{read(three_runs[0]).run_id}.npz").unlink()
    code, out, err = pare_bench("rescore", "--suite", "nas360", "--out", str(tmp_path), "--format", "json")
    assert code == 3
    document = json.loads(out)
    assert (len(document["runs"]), [each["path"] for each in document["failed"]]) == (2, [three_runs[0]])
    assert "cannot be read" in err
    assert pare_bench("rescore", "--out", str(tmp_path))[0] == 2
    assert pare_bench("rescore", "ffff0000", "--out", str(tmp_path))[0] == 2


def other_data(monkeypatch, module):
    """Let a module find other data than those that the runs were made on."""
    monkeypatch.setattr(f"pare_bench.runs.{module}.target_data", lambda *given: replace(target_data(*given), sha256="0" * 64))


def test_other_data_are_refused(three_runs, pare_bench, tmp_path, monkeypatch):
    other_data(monkeypatch, "rescoring")
    code, _, err = pare_bench("rescore", three_runs[0], "--out", str(tmp_path))
    assert code == 4
    assert "are not those of run" in err


def test_a_reproduction_is_identical(three_runs, pare_bench, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, err = pare_bench("reproduce", three_runs[1], "--out", str(tmp_path / "elsewhere"))
    assert code == 0, err
    assert "identical: the same predictions to the last bit" in out
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def change(path, **fields):
    """Edit a record as if its run had come out otherwise."""
    document = json.loads(open(path).read())  # noqa: PTH123, SIM115
    for name, value in fields.items():
        target = document
        *parents, last = name.split("__")
        for parent in parents:
            target = target[int(parent) if parent.isdecimal() else parent]
        target[last] = value
    with open(path, "w") as file:  # noqa: PTH123
        file.write(sealed(document))


@pytest.mark.parametrize(
    ("away", "options", "outcome", "code", "words"),
    [
        (0.01, (), "within noise", 0, "2 standard deviations over 3 seeds"),
        (0.01, ("--tolerance", "0.000001"), "different", 6, "1e-06 of the recorded value"),
        (0.01, ("--tolerance", "0.5"), "within noise", 0, "0.5 of the recorded value"),
    ],
)
def test_noise_is_measured_by_the_seeds_or_stated(three_runs, pare_bench, tmp_path, away, options, outcome, code, words):
    reproduced = read(three_runs[0]).primary.value
    for path, value in zip(three_runs, (reproduced + away, 0.6, 0.8), strict=True):
        change(path, metrics__0__value=value)
    change(three_runs[0], predictions_sha256="0" * 64)
    exit_code, out, _ = pare_bench("reproduce", three_runs[0], "--format", "json", *options)
    document = json.loads(out)
    assert (document["outcome"], exit_code) == (outcome, code)
    assert words in document["sentence"]
    assert document["changed"] == []


def test_what_changed_is_named_and_other_data_are_not_trained_on(three_runs, pare_bench, tmp_path, monkeypatch):
    other_code = {**read(three_runs[0]).identity.code, "pare_bench.metrics": "0" * 16}
    change(three_runs[0], identity__code=other_code, code_sha256="0" * 64)
    code, out, _ = pare_bench("reproduce", three_runs[0])
    assert code == 0
    assert "identical" in out
    assert "changed since: code pare_bench.metrics: 0000000000000000 -> " in out
    other_data(monkeypatch, "preparation")
    monkeypatch.setattr("pare_bench.runs.reproduction.run", None)
    code, out, _ = pare_bench("reproduce", three_runs[0])
    assert code == 6
    assert "different, and not run" in out
    assert "data: " in out


def test_a_failure_is_reproduced(pare_bench, tmp_path, monkeypatch):
    from pare_bench_baselines.constant import Constant

    fit = Constant.fit

    def fail(self, data, context):
        raise MemoryError("no room")

    monkeypatch.setattr(Constant, "fit", fail)
    assert pare_bench("run", "--method", "constant", "--task", "satellite", "--out", str(tmp_path), *TINY)[0] == 1
    (path,) = tmp_path.glob("records/*/*/*/*.json")
    code, out, _ = pare_bench("reproduce", str(path))
    assert code == 0
    assert "identical: failed again, for the same reason" in out
    monkeypatch.setattr(Constant, "fit", fit)
    code, out, _ = pare_bench("reproduce", str(path))
    assert code == 6
    assert "different: failed (out of memory: no room) before, ok now" in out


def test_predictions_can_be_left_out(pare_bench, tmp_path):
    command = ("run", "--method", "constant", "--task", "satellite", "--out", str(tmp_path), *TINY)
    assert pare_bench(*command, "--predictions", "none")[0] == 0
    (path,) = tmp_path.glob("records/*/*/*/*.json")
    assert read(path).predictions.kept == "no"
    assert read(path).predictions_sha256
    assert not (tmp_path / "predictions").exists()
    code, _, err = pare_bench("rescore", str(path), "--out", str(tmp_path))
    assert code == 3
    assert "no stored predictions" in err
