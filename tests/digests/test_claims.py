"""Claims and locks: one live owner, dead ones taken over, and none of it left to flock."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pare_bench.digests import claims as claims_module
from pare_bench.digests.claims import STALE, Claims, Owner, facts_of, owner_of, silence
from pare_bench.digests.locks import locked

DEAD = 2**22 - 7


def foreign(path, **changed):
    """Make a claim that is somebody else's."""
    own = vars(Owner.now()) | changed
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({name: value for name, value in own.items() if name != "silent"}))


def test_a_second_claim_is_told_of_the_first_and_a_released_one_is_free(tmp_path):
    path = tmp_path / "running" / "a.json"
    first, second = Claims(), Claims()
    assert first.claim(path, {"what": 1}) is None
    owner = second.claim(path)
    assert (owner.process, owner.here, owner.alive()) == (os.getpid(), True, True)
    assert facts_of(path)["what"] == 1
    first.release(path)
    assert not path.parent.exists()
    assert second.claim(path) is None
    second.release(path)


@pytest.mark.parametrize(
    ("changed", "alive"),
    [
        ({"process": DEAD}, False),
        ({"process_started": 1.0}, False),
        ({"process": os.getppid(), "process_started": None}, True),
        ({"host": "another"}, True),
        ({"processes": "pid:[1]"}, True),
        ({"token": "of a run of this process that was given up"}, False),
    ],
)
def test_who_is_alive(tmp_path, changed, alive):
    import psutil

    if changed.get("process_started", 0) is None:
        changed = {**changed, "process_started": psutil.Process(changed["process"]).create_time()}
    path = tmp_path / "claim"
    foreign(path, **changed)
    assert owner_of(path).alive() is alive
    found = Claims().claim(path)
    assert (found is not None) is alive


def test_one_that_was_killed_and_not_collected_is_dead(tmp_path):
    """Seen where nobody collects children (a container without an init): its run was waited for until somebody gave up."""
    import psutil

    path = tmp_path / "claim"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        foreign(path, process=process.pid, process_started=psutil.Process(process.pid).create_time())
        assert owner_of(path).alive()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.pid_exists(process.pid)
        assert not owner_of(path).alive()


@pytest.mark.parametrize("changed", [{"host": "another"}, {"processes": "pid:[1]"}])
def test_a_claim_from_elsewhere_that_is_no_longer_touched_is_taken_over(tmp_path, changed):
    path = tmp_path / "claim"
    foreign(path, **changed)
    before = time.time() - STALE - 5
    os.utime(path, (before, before))
    assert not owner_of(path).alive()
    held = Claims()
    assert held.claim(path) is None
    assert owner_of(path).process == os.getpid()
    held.release(path)


@pytest.mark.parametrize("content", [b"", b"[", b"[1]", b"{}", b'{"host": 1}', b"<html>", b"\xff\xfe"])
def test_a_damaged_claim_is_taken_over(tmp_path, content):
    path = tmp_path / "claim"
    path.write_bytes(content)
    held = Claims()
    assert held.claim(path) is None
    held.release(path)


def test_a_claim_is_touched_as_long_as_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(claims_module, "BEAT", 0.02)
    path, held = tmp_path / "claim", Claims()
    held.claim(path)
    os.utime(path, (1, 1))
    deadline = time.monotonic() + 10
    while silence(path) > 100 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert silence(path) < 10
    held.abandon()
    time.sleep(0.1)
    os.utime(path, (1, 1))
    time.sleep(0.2)
    assert silence(path) > 100
    assert not owner_of(path).alive()


def test_on_another_machine_too_an_abandoned_claim_is_free_at_once(tmp_path):
    """Seen: a job that Slurm put back and started on another node waited for itself, for two minutes."""
    path, held = tmp_path / "claim", Claims()
    held.claim(path, {"what": 1})
    facts = json.loads(path.read_text()) | {"host": "another"}
    held.abandon()
    touched = path.stat().st_mtime
    path.write_text(json.dumps(facts))
    os.utime(path, (touched, touched))
    assert not owner_of(path).here
    assert not owner_of(path).alive()
    assert Claims().claim(path) is None


def test_a_clock_that_is_ahead_or_behind_is_not_asked(tmp_path, monkeypatch):
    """The age of a claim is that of its file by the file system's own clock."""
    path = tmp_path / "claim"
    foreign(path, host="another")
    monkeypatch.setattr(claims_module.time, "time", lambda: 10e9)
    assert owner_of(path).alive()


def test_of_many_that_find_a_stale_claim_one_takes_it_over(tmp_path):
    path = tmp_path / "claim"
    foreign(path, process=DEAD)
    found = []
    threads = [threading.Thread(target=lambda: found.append(Claims().claim(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(None) == 1


COUNT = """
import sys, time
from pathlib import Path
from pare_bench.digests import locks
if sys.argv[3] == "none":
    import errno, fcntl
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")
    fcntl.flock = flock
path = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with locks.locked(path.with_name("lock")):
        number = int(path.read_text())
        time.sleep(0.001)
        path.write_text(str(number + 1))
"""


@pytest.mark.parametrize("flock", ["there", "none"])
def test_a_lock_lets_one_process_in_at_a_time(tmp_path, flock):
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNT, str(counter), "15", flock]) for _ in range(4)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 4
    assert counter.read_text() == "60"


@pytest.mark.parametrize("code", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_without_flock_a_killed_process_holds_nobody_up(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(getattr(errno, code), "no flock here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    foreign(tmp_path / "lock.held", process=DEAD)
    began = time.monotonic()
    with locked(tmp_path / "lock"):
        assert owner_of(tmp_path / "lock.held").process == os.getpid()
    assert time.monotonic() - began < 5
    assert not (tmp_path / "lock.held").exists()


def test_another_error_of_flock_is_not_swallowed(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="broken disk"), locked(tmp_path / "lock"):
        pass


def test_a_file_system_without_hard_links_has_claims_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    path = Path(tmp_path / "claim")
    first, second = Claims(), Claims()
    assert first.claim(path) is None
    assert second.claim(path) is not None
    first.release(path)
