"""A killed process never leaves a broken store; the leaderboard follows the records, damaged ones left out; who runs what outlives a kill."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from factories import make_record

from pare_bench.errors import EnvironmentFault, IntegrityError, UsageError
from pare_bench.leaderboard.build import LeftOff, build, to_json
from pare_bench.leaderboard.file import LeaderboardFile
from pare_bench.records.store import RecordCache, Store, read_record, store_of, write_atomically
from pare_bench.records.validation import validate
from pare_bench.runs.marks import RunningRuns

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from factories import make_record
import numpy as np
from pare_bench.leaderboard.file import LeaderboardFile
from pare_bench.records.predictions import PredictionsFolder
from pare_bench.runs.marks import RunningRuns
from pare_bench.records.store import Store

store = Store(Path(sys.argv[1]))
board = LeaderboardFile(store, print)
board._rest_until = 0
print("ready", flush=True)
for seed in range(100_000):
    record = make_record(seed=seed % 40, value=seed / 1e5)
    marks = RunningRuns(store.root)
    marks.claim(record.run_id, record.config)
    kept = PredictionsFolder(store.root / "predictions").save(record.run_id, np.full((500, 10), seed, np.float32), lambda rounded: False)
    store.save(record.model_copy(update={"predictions": kept}))
    marks.end(record.run_id)
    board.update()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_kill_at_random_points_never_leaves_a_broken_store(tmp_path):
    rng = random.Random(0)
    tests = str(Path(__file__).parents[1])
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), tests], stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.02, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        records = RecordCache(Store(tmp_path)).records()
        for record in records:
            # Written before its record: whoever has the record has the predictions, those of this write or of the one before it.
            assert (tmp_path / "predictions" / f"{record.run_id}.npz").is_file()
        if (tmp_path / "leaderboard.json").exists():
            assert json.loads((tmp_path / "leaderboard.json").read_text())["schema"] == "pare-bench/leaderboard/1"
        assert all(run.alive() is False for run in RunningRuns(tmp_path).all())
        assert len(RunningRuns(tmp_path).all()) <= 5
    assert records
    assert all(problem.field == "predictions.file_sha256" for problem in validate([tmp_path]).problems)
    board = LeaderboardFile(Store(tmp_path), pytest.fail)
    board.update()
    assert (tmp_path / "leaderboard.json").read_text() == to_json(build(records))


def test_what_a_killed_process_left_half_written_is_swept_up_later(tmp_path):
    store = Store(tmp_path)
    path = store.save(make_record())
    old, new = path.parent / ".a.json.x.tmp", path.parent / ".b.json.x.tmp"
    for each in (old, new):
        each.write_text("half")
    os.utime(old, (0, 0))
    store.check_writable()
    assert (old.exists(), new.exists(), path.exists()) == (False, True, True)


def test_only_changed_records_are_read_again(tmp_path, monkeypatch):
    store = Store(tmp_path)
    paths = [store.save(make_record(seed=seed)) for seed in range(5)]
    read = []
    monkeypatch.setattr("pare_bench.records.store.sound_record", lambda path: read.append(path) or read_record(path))
    cache = RecordCache(store)
    assert len(cache.records()) == 5
    store.save(make_record(seed=2, value=0.125, finished="2026-01-02T00:00:00+00:00"))
    paths[4].unlink()
    read.clear()
    found = cache.records()
    assert read == [paths[2]]
    assert sorted(record.seed for record in found) == [0, 1, 2, 3]
    assert next(record for record in found if record.seed == 2).primary.value == 0.125


def test_a_damaged_record_is_left_out_of_the_leaderboard_and_told_once(tmp_path):
    store, told = Store(tmp_path), []
    good, bad = store.save(make_record(seed=0)), store.save(make_record(seed=1))
    bad.write_text("{")
    board = LeaderboardFile(store, told.append)
    board.update()
    board.update()
    board.finish()
    reason = "is not a run record: not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    left_off = LeftOff(bad.relative_to(tmp_path).as_posix(), reason)
    assert (tmp_path / "leaderboard.json").read_text() == to_json(build([read_record(good)], [left_off]))
    assert len(told) == 1
    assert str(bad) in told[0]


def test_the_leaderboard_is_rebuilt_seldom_in_between_and_always_at_the_end(tmp_path, monkeypatch):
    store = Store(tmp_path)
    built = []
    monkeypatch.setattr("pare_bench.leaderboard.file.build", lambda records, off: built.append(len(records)) or build(records, off))
    board = LeaderboardFile(store, pytest.fail)
    for seed in range(20):
        store.save(make_record(seed=seed))
        board.update()
    board.finish()
    assert built[0] == 1
    assert built[-1] == 20
    assert len(built) < 20
    board.finish()
    assert built.count(20) == 1


def test_what_a_process_left_that_was_killed_after_it_saved_a_record_is_made_up_for(tmp_path, monkeypatch):
    """Seen: a run that was killed between its record and the leaderboard was served afterwards, and was missing on the leaderboard for good."""

    def found_again(path):
        board = LeaderboardFile(store, pytest.fail)
        board.served(path)
        board.finish()

    store = Store(tmp_path)
    board = LeaderboardFile(store, pytest.fail)
    store.save(make_record())
    board.update()
    path = store.save(make_record(seed=1))
    found_again(path)
    expected = to_json(build(store.records()))
    assert (tmp_path / "leaderboard.json").read_text() == expected
    # One that was there already and has other scores now.
    later = (tmp_path / "leaderboard.json").stat().st_mtime_ns + 10**9
    store.save(make_record(seed=1, value=0.125))
    os.utime(path, ns=(later, later))
    found_again(path)
    assert (tmp_path / "leaderboard.json").read_text() == to_json(build(store.records())) != expected
    # Where nothing is missing nothing is read.
    os.utime(path, ns=(0, 0))
    monkeypatch.setattr("pare_bench.records.store.sound_record", lambda path: pytest.fail("a record is read"))
    found_again(path)


def test_a_run_is_found_by_path_id_and_first_digits(tmp_path):
    store = Store(tmp_path)
    path = store.save(make_record())
    run_id = path.stem
    assert store.locate(str(path)) == store.locate(run_id) == store.locate(run_id[:4]) == path
    assert store_of(path).root == tmp_path.resolve()
    assert store_of(tmp_path / "alone.json") is None
    for wrong in (run_id[:3], "../../etc", "*", "0000000000000000"):
        with pytest.raises(UsageError, match="there is no run"):
            store.locate(wrong)
    (path.parent / f"{run_id[:4]}{'0' * 12}.json").write_text("{}")
    with pytest.raises(UsageError, match="2 run ids"):
        store.locate(run_id[:4])


def test_the_newest_record_of_a_configuration(tmp_path):
    store = Store(tmp_path)
    record = make_record(code="old", status="failed", finished="2026-01-02T00:00:00+00:00")
    store.save(record)
    store.save(make_record(code="older", finished="2026-01-01T00:00:00+00:00"))
    store.save(make_record(seed=1, finished="2026-01-03T00:00:00+00:00"))
    assert store.newest(record.config) == record
    assert store.newest(make_record(seed=2).config) is None


def test_status_tells_running_from_interrupted_from_elsewhere(tmp_path, pare_bench):
    running = RunningRuns(tmp_path)
    configs = [make_record(seed=seed).config for seed in range(3)]
    for seed, config in enumerate(configs):
        assert running.claim(f"{seed}" * 16, config) is None
    dead = tmp_path / "running" / f"{'1' * 16}.json"
    dead.write_text(json.dumps({**json.loads(dead.read_text()), "process_started": 1.0}))
    away = tmp_path / "running" / f"{'2' * 16}.json"
    away.write_text(json.dumps({**json.loads(away.read_text()), "host": "another"}))
    (tmp_path / "running" / "junk.json").write_text("[")
    (tmp_path / "checkpoints" / ("1" * 16)).mkdir(parents=True)
    code, out, _ = pare_bench("status", "--task", "ecg", "--out", str(tmp_path), "--format", "json")
    cells = json.loads(out)
    assert code == 0
    assert [(cell["seed"], cell["state"]) for cell in cells] == [(0, "running"), (1, "interrupted"), (2, "running")]
    assert cells[1]["detail"] == "goes on from its checkpoint"
    assert re.search(r"on another, since .*, last sign of life \d s ago$", cells[2]["detail"])
    running.end("0" * 16)
    assert not (tmp_path / "running" / f"{'0' * 16}.json").exists()


def test_the_light_verbs_never_import_torch(tmp_path):
    path = Store(tmp_path).save(make_record(task="satellite"))
    calls = [["status", "--out", str(tmp_path)], ["explain", str(path)], ["leaderboard", "validate", str(tmp_path)], ["leaderboard", "schema"]]
    code = f"import sys; from pare_bench.cli import main; codes = [main(call) for call in {calls!r}]; assert codes == [0] * 4, codes; "
    done = subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_record_that_cannot_be_read_is_refused_by_name(tmp_path):
    path = Store(tmp_path).save(make_record(value=0.25))
    path.write_text(path.read_text().replace("0.25", "0.26"))
    with pytest.raises(IntegrityError, match="changed since it was written"):
        read_record(path)


WORKER = """
import sys
from pathlib import Path
import torch
from pare_bench.runs.marks import RunningRuns
from pare_bench.training.checkpoint import CheckpointFolder, TrainingState

class Config:
    suite, tier, track, preset, seed = "nas360", "generated", "clean", "smoke", 0
    class task: name = "ecg"
    class method: name = "constant"

root, who = Path(sys.argv[1]), sys.argv[2]
marks = RunningRuns(root)
for number in range(int(sys.argv[3])):
    run = f"{who}{number:08x}"
    marks.claim(run, Config)
    marks.end(run)
    folder = CheckpointFolder(root / "checkpoints" / run, True, 0.0)
    folder.stage("train").save(TrainingState({"a": torch.zeros(2)}, {}))
    folder.remove()
"""


@pytest.mark.slow
def test_two_processes_that_begin_and_end_runs_in_one_store_do_not_lose_to_each_other(tmp_path):
    """Seen: in two job arrays with one ``--out`` a folder was removed between being made and being written to, or between being found empty and
    being removed; 188 and 164 of 240 short runs were done in two tries.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), who, "300"], stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        for who in "ab"
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_goes_while_it_is_looked_at_is_made_again(tmp_path, monkeypatch):
    """Seen: another process removed the folder after ``mkdir`` had found it and before it looked whether it is one.

    pathlib calls that FileExistsError.
    """
    folder = tmp_path / "running"
    folder.mkdir()
    looked = []

    def is_dir(path, **options):
        if path == folder and not looked:
            looked.append(path)
            folder.rmdir()
        return os.path.isdir(path)  # noqa: PTH112 - the method itself is replaced here

    monkeypatch.setattr(Path, "is_dir", is_dir)
    write_atomically(folder / "run.json", b"whole")
    assert looked == [folder]
    assert (folder / "run.json").read_bytes() == b"whole"


def test_a_file_in_the_place_of_a_folder_is_one_clear_error(tmp_path):
    (tmp_path / "running").write_text("")
    with pytest.raises(EnvironmentFault, match=r"cannot write .*running/run\.json"):
        write_atomically(tmp_path / "running" / "run.json", b"")


def test_a_record_that_could_not_be_read_again_is_not_saved(tmp_path):
    record = make_record().model_copy(update={"command": "run caf\udce9"})
    with pytest.raises(IntegrityError, match="leaves a record that cannot be read"):
        Store(tmp_path).save(record)
    assert Store(tmp_path).paths() == []
