"""A full disk, a folder that cannot be written, a clock that jumps, a cache that goes: one line, the documented exit code, nothing is lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from proof_tools import TINY, command, count

from pare_bench.cli import main
from pare_bench.records.validation import validate
from pare_bench.runs import recording

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and mounts as Linux has them")
RUN = ("run", "--method", "full_finetune", "--task", "satellite", "--seeds", "0-2", *TINY)
ENV = {"OMP_NUM_THREADS": "1", "PARE_BENCH_CHECKPOINT_SECONDS": "0"}
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def outcome(out):
    records = [json.loads(path.read_text()) for path in out.glob("records/*/*/*/*.json")]
    found = {record["run_id"]: (record["metrics"], record["predictions_sha256"]) for record in records}
    return found, (out / "leaderboard.json").read_bytes() if (out / "leaderboard.json").exists() else None


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A cache with the data, and what the runs give where nothing is in the way."""
    folder = tmp_path_factory.mktemp("clean")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARE_BENCH_CACHE", str(folder / "cache"))
        assert main([*RUN, "--out", str(folder / "out")]) == 0
    return folder


@pytest.fixture
def call(pare_bench, monkeypatch):
    """Run a command in this process, with variables; what comes back looks like a finished process."""

    def called(*words, env):
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        code, _, err = pare_bench(*map(str, words))
        return SimpleNamespace(returncode=code, stderr=err)

    return called


def one_line(done, words, code=5):
    """The command ended as documented: a message and a hint, no traceback."""
    lines = [line for line in done.stderr.splitlines() if line.startswith(("error:", "hint:"))]
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], done.stderr
    assert any(word in lines[0] for word in words), lines


def sound(out):
    """What is there is whole: records valid, the leaderboard a document."""
    if list(out.glob("records/*/*/*/*.json")):
        assert validate([out]).problems == ()
    if (out / "leaderboard.json").exists():
        json.loads((out / "leaderboard.json").read_text())


@pytest.fixture
def disk(tmp_path):
    """A disk of 2 MiB of its own: a tmpfs, which only root may mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        ROOT and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False).returncode == 0
    )
    if not mounted:
        pytest.skip("no tmpfs can be mounted here; the limit of file sizes stands in for it")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk, left):
    """Leave ``left`` KiB."""
    (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - left * 1024))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("left", [0, 24, 150, *([4, 8, 16, 40, 64, 100, 300, 600, 1000, 1500] if count(0, 1) else [])])
def test_out_on_a_full_disk_keeps_what_is_done_and_goes_on_when_there_is_room(call, clean, disk, left):
    fill(disk, left)
    env = {**ENV, "PARE_BENCH_CACHE": str(clean / "cache")}
    out = disk / "out"
    done = call(*RUN, "--predictions", "full", "--out", out, env=env)
    if done.returncode:
        one_line(done, ("No space left on device",))
    sound(out)
    kept = outcome(out)[0]
    assert kept.items() <= outcome(clean / "out")[0].items()
    (disk / "filler").unlink()
    done = call(*RUN, "--out", out, env=env)
    assert done.returncode == 0, done.stderr
    assert "damaged" not in done.stderr
    assert done.stderr.count("served from the store") == len(kept)
    assert outcome(out) == outcome(clean / "out")


def test_a_cache_on_a_full_disk_is_named(call, disk, tmp_path):
    fill(disk, 8)
    done = call(*RUN, "--out", tmp_path / "out", env={**ENV, "PARE_BENCH_CACHE": str(disk / "cache")})
    one_line(done, (f"the cache '{disk / 'cache'}",))
    assert "PARE_BENCH_CACHE" in done.stderr
    assert not list((disk / "cache").rglob("*.npy"))


@pytest.mark.parametrize("size", [5000, *([200, 1000, 2000, 9000] if count(0, 1) else [])])
def test_a_limit_of_file_sizes_is_told_as_what_it_is(call, clean, tmp_path, size):
    """What a full disk is where no disk can be mounted: checkpoints are larger than all of these, records than most."""
    out = tmp_path / "out"
    largest = max(path.stat().st_size for path in (clean / "out").rglob("*.json"))
    done = command(
        *RUN,
        "--out",
        out,
        env={**ENV, "PARE_BENCH_CACHE": str(clean / "cache")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    if size < largest:
        one_line(done, ("File too large",))
    else:
        # Only the checkpoint does not fit: that is said, and training goes on.
        assert (done.returncode, "File too large" in done.stderr) == (0, True), done.stderr
    sound(out)
    done = call(*RUN, "--out", out, env={**ENV, "PARE_BENCH_CACHE": str(clean / "cache")})
    assert done.returncode == 0, done.stderr
    assert outcome(out) == outcome(clean / "out")


def as_somebody(*words, env):
    """Run as a user whom modes concern: root ignores them."""
    if not ROOT:
        return command(*words, env=env)
    if shutil.which("setpriv") is None:
        pytest.skip("root ignores modes, and there is no setpriv to be somebody else with")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-m", "pare_bench", *map(str, words)]
    done = subprocess.run(nobody, capture_output=True, text=True, env={**os.environ, **env}, check=False)
    if "can't open file" in done.stderr or "No module named" in done.stderr:
        pytest.skip("another user cannot read this Python")
    return done


@pytest.fixture
def open_folder():
    """A folder that others may look into, beside pytest's own: each pytest that starts, as some tests do, takes that from the others again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def locked(clean, open_folder):
    """A store and a cache that nobody but root may write."""
    folder = open_folder / "locked"
    for name in ("out", "cache"):
        shutil.copytree(clean / name, folder / name)
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_folder_that_cannot_be_written_is_read_and_refused_before_any_training(locked, open_folder):
    own = open_folder / "own"
    own.mkdir()
    own.chmod(0o777)
    env = {**ENV, "PARE_BENCH_CACHE": str(own / "cache"), "HOME": str(own)}
    out = locked / "out"
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    one_line(as_somebody(*RUN, "--out", out, env=env), (f"--out '{out}' cannot be written",))
    one_line(as_somebody("leaderboard", "build", "--out", out, env=env), ("cannot write", "cannot be written"))
    done = as_somebody("leaderboard", "build", "--check", "--out", out, env=env)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    # One that cannot even be looked into.
    (out / "records").chmod(0o700)
    one_line(as_somebody("leaderboard", "show", "--out", out, env=env), ("cannot be read: Permission denied",))
    # The cache: named, with the variable that chooses another one.
    done = as_somebody(*RUN, "--out", own / "out", env={**env, "PARE_BENCH_CACHE": str(locked / "cache")})
    one_line(done, (f"the cache '{locked / 'cache'}",))


def test_a_file_where_a_folder_should_be(call, clean, tmp_path):
    (tmp_path / "file").write_text("")
    env = {**ENV, "PARE_BENCH_CACHE": str(clean / "cache")}
    one_line(call(*RUN, "--out", tmp_path / "file" / "out", env=env), ("cannot be written",))
    one_line(call(*RUN, "--out", tmp_path / "out", env={**ENV, "PARE_BENCH_CACHE": str(tmp_path / "file")}), ("the cache",))
    (tmp_path / "folder" / "leaderboard.json").mkdir(parents=True)
    one_line(call("leaderboard", "build", "--out", tmp_path / "folder", env=env), ("cannot write",))


def test_a_clock_that_jumps_back_in_a_run_leaves_a_record_that_counts(pare_bench, tmp_path, monkeypatch):
    """Seen: such a run finished before it started, and ``leaderboard validate`` refused what ``run`` had just written."""

    class Jumping(datetime):
        told: list[datetime] = []  # noqa: RUF012

        @classmethod
        def now(cls, tz=None):
            cls.told.append(datetime(2026, 1, 2, tzinfo=UTC) - timedelta(days=len(cls.told)))
            return cls.told[-1]

    monkeypatch.setattr(recording, "datetime", Jumping)
    out = tmp_path / "out"
    assert pare_bench("run", "--method", "constant", "--task", "satellite", "--out", str(out), *TINY)[0] == 0
    assert validate([out]).problems == ()
    (path,) = out.glob("records/*/*/*/*.json")
    record = json.loads(path.read_text())
    assert datetime.fromisoformat(record["started"]) <= datetime.fromisoformat(record["finished"]) < datetime(2026, 1, 3, tzinfo=UTC)


def test_file_times_in_the_future_and_in_the_past_change_nothing(pare_bench, clean, tmp_path, monkeypatch):
    for name in ("out", "cache"):
        shutil.copytree(clean / name, tmp_path / name)
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    for when in (time.time() + 10**9, 0):
        for path in tmp_path.rglob("*"):
            os.utime(path, (when, when))
        code, _, err = pare_bench(*RUN, "--out", str(tmp_path / "out"))
        assert (code, err.count("served from the store")) == (0, 3)
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        assert pare_bench(*RUN, "--out", str(tmp_path / "again"))[0] == 0
        assert outcome(tmp_path / "again") == outcome(clean / "out")


@pytest.mark.timeout(1800)
def test_a_cache_that_goes_while_it_is_used_ends_in_the_same_numbers(call, clean, tmp_path):
    """Data that go are made again; where one goes at the wrong moment it is one line, and the same command goes on."""
    out, cache = tmp_path / "out", tmp_path / "cache"
    env = {**ENV, "PARE_BENCH_CACHE": str(cache)}
    stop = threading.Event()
    removed = []

    def remove():
        while not stop.wait(0.05):
            if cache.exists():
                shutil.rmtree(cache, ignore_errors=True)
                removed.append(time.monotonic())

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        for _ in range(count(1, 30)):
            shutil.rmtree(out, ignore_errors=True)
            done = call(*RUN, "--out", out, env=env)
            if done.returncode:
                one_line(done, ("the cache",))
            sound(out)
    finally:
        stop.set()
        thread.join()
    assert removed
    done = call(*RUN, "--out", out, env=env)
    assert done.returncode == 0, done.stderr
    assert outcome(out) == outcome(clean / "out")
