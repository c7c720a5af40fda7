"""``run --dry-run``: what it says is what the command then does."""

from __future__ import annotations

import json
import platform
import re

import pytest

from pare_bench.records.record import RunRecord

TINY = ("--preset", "smoke", "-o", "size.train=32", "-o", "size.val=16", "-o", "size.test=16", "-o", "budget.epochs=1")


def foretold(pare_bench, out, *words):
    """Return the forecast of each run, by task, method and seed, and what was said."""
    code, text, err = pare_bench("run", *words, *TINY, "--out", str(out), "--dry-run", "--format", "json")
    assert code == 0, err
    return {(run["task"]["name"], run["method"]["name"], run["seed"]): run["forecast"] for run in json.loads(text)}, err


def edit(path, **changes):
    """Write a record with other values, sealed anew."""
    record = RunRecord.from_json(path.read_text())
    path.write_text(record.model_copy(update=changes).to_json())


def test_what_is_stored_is_served_and_the_rest_is_run(pare_bench, tmp_path):
    words = ("-m", "full_finetune,constant", "-t", "satellite")
    forecast, err = foretold(pare_bench, tmp_path, *words)
    assert {each["state"] for each in forecast.values()} == {"new"}
    assert all(each["seconds"] is None and each["memory_mb"] is None and each["from"] is None for each in forecast.values())
    assert "2 would be run\n" in err
    assert "time and memory: unknown, no such run of this machine is stored" in err
    assert not (tmp_path / "records").exists()
    assert pare_bench("run", "-m", "full_finetune", "-t", "satellite", "--seeds", "0-1", *TINY, "--out", str(tmp_path))[0] == 0
    forecast, err = foretold(pare_bench, tmp_path, *words, "--seeds", "0-3")
    assert [forecast["satellite", "full_finetune", seed]["state"] for seed in range(4)] == ["served", "served", "new", "new"]
    assert "2 would be served, 6 would be run" in err
    # And that is what the command does.
    code, out, _ = pare_bench("run", "-m", "full_finetune", "-t", "satellite", "--seeds", "0-2", *TINY, "--out", str(tmp_path), "--format", "json")
    assert code == 0
    assert [run["served"] for run in json.loads(out)] == [True, True, False]
    assert {run["run_id"] for run in json.loads(out)[:2]} == {forecast["satellite", "full_finetune", seed]["run_id"] for seed in range(2)}


def test_time_and_memory_are_those_of_stored_runs_of_this_machine(pare_bench, tmp_path):
    assert pare_bench("run", "-m", "constant", "-t", "satellite", "--seeds", "0-2", *TINY, "--out", str(tmp_path))[0] == 0
    paths = sorted(tmp_path.glob("records/*/*/*/*.json"))
    for path, seconds, memory in zip(paths, (100.0, 400.0, 130.0), (500.0, 700.0, 600.0), strict=True):
        edit(path, seconds={"train": seconds, "evaluate": 1.0}, peak_memory_mb=memory)
    words = ("-m", "constant", "-t", "satellite", "--seeds", "0-4")
    forecast, err = foretold(pare_bench, tmp_path, *words)
    assert forecast["satellite", "constant", 0]["seconds"] is None
    new = forecast["satellite", "constant", 4]
    # The median of the times, the largest of the memories.
    assert (new["seconds"], new["memory_mb"], new["from"]) == (131.0, 700.0, "3 stored runs of this machine")
    assert "about 4.4 min one after the other, at most 700 MB a run (by 3 stored runs of this machine)" in err
    # Other settings are told as such.
    forecast, err = foretold(pare_bench, tmp_path, *words, "-o", "recipe.weight_decay=0.5")
    assert forecast["satellite", "constant", 0]["from"] == "3 stored runs of this machine, with other settings"
    assert forecast["satellite", "constant", 0]["state"] == "new"
    # Runs of another machine say nothing.
    for path in paths:
        record = RunRecord.from_json(path.read_text())
        edit(path, environment=record.environment.model_copy(update={"platform": f"{platform.platform()}-other"}))
    forecast, _ = foretold(pare_bench, tmp_path, *words)
    assert forecast["satellite", "constant", 4]["seconds"] is None


def test_what_has_changed_since_is_run_again_and_named(pare_bench, tmp_path, monkeypatch):
    assert pare_bench("run", "-m", "constant", "-t", "satellite", *TINY, "--out", str(tmp_path))[0] == 0
    (path,) = tmp_path.glob("records/*/*/*/*.json")
    record = RunRecord.from_json(path.read_text())
    name = next(name for name in record.identity.code if "constant" in name)
    identity = record.identity.model_copy(update={"code": {**record.identity.code, name: "0" * 16}})
    path.unlink()
    target = path.with_name(f"{identity.run_id}.json")
    edited = record.model_copy(update={"identity": identity, "run_id": identity.run_id, "code_sha256": identity.code_sha256})
    target.write_text(edited.to_json())
    forecast, err = foretold(pare_bench, tmp_path, "-m", "constant", "-t", "satellite")
    told = forecast["satellite", "constant", 0]
    assert (told["state"], told["run_id"]) == ("stale", identity.run_id)
    assert f"code {name}: {'0' * 16} -> " in told["why"]
    assert f"run again: constant satellite seed 0: code {name}" in err
    _, out, _ = pare_bench("run", "-m", "constant", "-t", "satellite", *TINY, "--out", str(tmp_path), "--format", "json")
    assert json.loads(out)[0]["served"] is False


def test_other_libraries_are_served_unless_they_are_not_wanted(pare_bench, tmp_path):
    assert pare_bench("run", "-m", "constant", "-t", "satellite", *TINY, "--out", str(tmp_path))[0] == 0
    (path,) = tmp_path.glob("records/*/*/*/*.json")
    record = RunRecord.from_json(path.read_text())
    library = min(record.identity.libraries)
    identity = record.identity.model_copy(update={"libraries": {**record.identity.libraries, library: "0.0"}})
    path.unlink()
    path.with_name(f"{identity.run_id}.json").write_text(record.model_copy(update={"identity": identity, "run_id": identity.run_id}).to_json())
    words = ("-m", "constant", "-t", "satellite")
    told = foretold(pare_bench, tmp_path, *words)[0]["satellite", "constant", 0]
    assert told["state"] == "served"
    assert f"libraries {library}: 0.0 -> " in told["why"]
    told = foretold(pare_bench, tmp_path, *words, "--fresh", "libraries")[0]["satellite", "constant", 0]
    assert told["state"] == "stale"


def test_a_failed_run_is_tried_again(pare_bench, tmp_path):
    assert pare_bench("run", "-m", "constant", "-t", "satellite", *TINY, "--out", str(tmp_path))[0] == 0
    (path,) = tmp_path.glob("records/*/*/*/*.json")
    edit(path, status="failed", reason="out of memory", metrics=(), floor=None, predictions=None, predictions_sha256=None)
    forecast, err = foretold(pare_bench, tmp_path, "-m", "constant", "-t", "satellite")
    assert forecast["satellite", "constant", 0]["state"] == "failed"
    assert "1 would be tried again" in err
    assert "it failed: out of memory" in err


def test_missing_files_are_named_with_the_command_that_fetches_them(pare_bench, tmp_path, monkeypatch):
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / "data"))
    words = ("run", "-m", "pare", "-t", "satellite", "--tier", "official", "--preset", "paper", "--dry-run", "--out", str(tmp_path))
    code, out, err = pare_bench(*words)
    assert code == 0
    assert "| run, files missing |" in out
    assert "missing: satellite_train.npy, satellite_test.npy of 'satellite': pare-bench data fetch satellite\n" in err
    # The proxy has published files of its own.
    (source,) = re.findall(r"of '(conll2003\w*)'", err)
    assert f"pare-bench data fetch {source}" in err
    (run,) = json.loads(pare_bench(*words, "--format", "json")[1])
    assert run["forecast"]["missing"][0] == {
        "task": "satellite", "files": ["satellite_train.npy", "satellite_test.npy"], "fetch": "pare-bench data fetch satellite"
    }  # fmt: skip
    # One of two: the other one is missing.
    (tmp_path / "data/satellite").mkdir(parents=True)
    (tmp_path / "data/satellite/satellite_train.npy").write_bytes(b"x")
    assert "missing: satellite_test.npy of 'satellite'" in pare_bench(*words)[2]


def test_a_run_that_cannot_begin_is_part_of_the_plan(pare_bench, tmp_path, install):
    source = (
        "from pare_bench import SuiteSpec, TaskSpec, hookimpl\n\n@hookimpl\ndef pare_bench_tasks():\n"
        '    yield TaskSpec(name="torn", summary="t", target="nothing_there:Torn", modality="table")\n\n@hookimpl\ndef pare_bench_suites():\n'
        '    yield SuiteSpec(name="torn_suite", summary="s", tasks=("torn", "satellite"))\n'
    )
    install("torn", source)
    code, out, err = pare_bench("run", "-m", "constant", "-s", "torn_suite", "--dry-run", "--format", "json", "--out", str(tmp_path))
    assert code == 0, err
    states = {run["task"]["name"]: run["forecast"]["state"] for run in json.loads(out)}
    assert states == {"torn": "impossible", "satellite": "new"}
    assert "constant torn seed 0 cannot begin: task 'torn'" in err


@pytest.mark.parametrize("form", ["md", "table"])
def test_the_table_says_it_too(form, pare_bench, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = pare_bench("run", "-m", "constant", "-t", "satellite", *TINY, "--out", str(tmp_path), "--dry-run", "--format", form)
    assert code == 0
    for word in ("would be", "time", "memory", "unknown"):
        assert word in out
    assert max(map(len, out.splitlines())) <= (80 if form == "table" else 200)


def test_epochs_of_fewer_steps_are_shown_as_such(pare_bench, tmp_path):
    code, out, _ = pare_bench(
        "run", "-m", "full_finetune", "-t", "satellite", *TINY, "-o", "budget.epoch_steps=3", "--out", str(tmp_path), "--dry-run", "--format", "md"
    )
    assert code == 0
    assert "| 1 of 3 steps |" in out
