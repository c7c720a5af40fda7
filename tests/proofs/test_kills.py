"""SIGKILL at random times: the same command again goes on, and what it ends with is what nobody disturbed would have got, to the last byte.

Each process is killed at a moment drawn at random, half of them from its start, half from the first checkpoint of a run on; then the same command is
started again, until it comes to its end and is compared; then everything is removed but the cache, and it begins anew.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from proof_tools import command, count, epochs

EVERY_EPOCH = {"PARE_BENCH_CHECKPOINT_SECONDS": "0", "OMP_NUM_THREADS": "1"}
RUN = ("run", "--task", "satellite", "--seeds", "0-1", *epochs(8))
SOURCE = ("-o", "source_size.train=16", "-o", "source_size.val=1", "-o", "source_size.test=1")
#: One stage, one stage with proxy data, two stages; and how often they are killed in the short and in the long form.
METHODS = {"full_finetune": ((), 2, 60), "pare": (SOURCE, 0, 20), "orca": (SOURCE, 0, 20)}


def outcome(out):
    """What must not depend on a kill: leaderboard.json to the byte, and of each record scores, predictions and curves."""
    records = {}
    for path in out.glob("records/*/*/*/*.json"):
        document = json.loads(path.read_text())
        stages = {name: (stage["curve"], stage["best_epoch"], stage["steps"], stage["stopped"]) for name, stage in document["training"].items()}
        records[document["run_id"]] = (document["status"], document["metrics"], document["floor"], document["predictions_sha256"], stages)
    return (out / "leaderboard.json").read_bytes(), records


def killed_once(words, env, out, rng, seconds):
    """Start a command and kill it; returns its exit code, None where it was killed, and whether it went on from a checkpoint."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pare_bench", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **env}
    )
    resumes = any(out.glob("checkpoints/*/*.safetensors"))
    if rng.random() < 0.5:
        wait = rng.uniform(0, seconds)
    else:
        seen = set(out.glob("checkpoints/*/*.safetensors"))
        limit = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < limit and set(out.glob("checkpoints/*/*.safetensors")) == seen:
            time.sleep(0.002)
        wait = rng.uniform(0, seconds / 4)
    try:
        err = process.communicate(timeout=wait)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        err = process.communicate()[1]
    assert "damaged" not in err, err
    assert "Traceback" not in err, err
    return (None if process.returncode == -signal.SIGKILL else process.returncode), resumes


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("method", METHODS)
def test_killed_at_random_times_it_ends_with_the_same_numbers(tmp_path, method):
    options, short, long = METHODS[method]
    wanted = count(short, long)
    if not wanted:
        pytest.skip("in the long form only: PARE_BENCH_PROOFS=long")
    env = {**EVERY_EPOCH, "PARE_BENCH_CACHE": str(tmp_path / "cache")}
    whole, out = tmp_path / "whole", tmp_path / "out"
    for _ in range(2):  # the second with everything in the cache, for its time
        shutil.rmtree(whole, ignore_errors=True)
        began = time.monotonic()
        done = command(*RUN, "--method", method, *options, "--out", whole, env=env)
        seconds = time.monotonic() - began
        assert done.returncode == 0, done.stderr
    expected = outcome(whole)
    words = (*RUN, "--method", method, *options, "--out", str(out))
    rng = random.Random(method)
    kills = resumes = ends = 0
    while kills < wanted:
        code, resumed = killed_once(words, env, out, rng, seconds)
        resumes += resumed
        if code is None:
            kills += 1
        else:
            assert code == 0
            ends += 1
            assert outcome(out) == expected
            shutil.rmtree(out)
    done = command(*words, env=env)
    assert done.returncode == 0, done.stderr
    assert "damaged" not in done.stderr
    assert outcome(out) == expected
    # Nothing is left over but what a killed process had half written, which is swept up after an hour.
    assert not (out / "damaged").exists()
    assert not list((tmp_path / "cache").rglob("*.damaged"))
    assert [path for path in out.glob("*/*") if path.parent.name in ("running", "checkpoints")] == []
    print(f"{method}: {kills} kills, {resumes} starts from a checkpoint, {ends + 1} runs to the end, all as the undisturbed one ({seconds:.1f} s)")
    assert resumes
