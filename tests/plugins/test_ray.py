"""The executor ``ray`` on a cluster of this machine: the same scores, and whatever dies is tried again or told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from third_party import command, installed, moody, run

from pare_bench.records.store import Store

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
RAY = ("--executor", "ray", "-o", "executor.cluster_cpus=2")


@pytest.fixture
def environment(tmp_path):
    return installed(tmp_path / "site", "pare-bench-ray")


def records(folder: Path):
    return sorted(Store(folder).records(), key=lambda record: (record.task.name, record.seed))


def ray_processes():
    """Return what works; two agents that Ray starts beside it look once a minute whether it still does."""
    found = [
        each
        for each in psutil.process_iter(["name", "cmdline"])
        if each.info["name"] in ("raylet", "gcs_server") or "ray::" in str(each.info["cmdline"])
    ]
    return [each for each in found if "Agent" not in str(each.info)]


def test_it_conforms(environment):
    code = """
from pare_bench.conformance import check
from pare_bench.registry.names import Registry
print(check(Registry.from_environment(), "executor", "ray", {"cluster_cpus": 2}))
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stderr


def test_twelve_smoke_runs_score_as_the_local_executor_does(environment, tmp_path):
    words = ("-m", "full_finetune", "-t", "satellite", "-t", "ecg", "-t", "deepsea", "--seeds", "0-3", "--preset", "smoke", "-o", "budget.epochs=1")
    done = run(environment, *words, "--out", str(tmp_path / "local"))
    assert done.returncode == 0, done.stderr
    done = run(environment, *words, *RAY, "--out", str(tmp_path / "ray"), "--format", "json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 12
    local, there = records(tmp_path / "local"), records(tmp_path / "ray")
    assert len(there) == 12
    assert [record.run_id for record in there] == [record.run_id for record in local]
    assert [record.metrics for record in there] == [record.metrics for record in local]
    assert [record.predictions_sha256 for record in there] == [record.predictions_sha256 for record in local]
    board = (tmp_path / "ray" / "leaderboard.json").read_text()
    assert all(f'"{task}"' in board for task in ("satellite", "ecg", "deepsea"))


def test_what_dies_is_tried_again_and_the_others_go_on(environment, tmp_path):
    """Deaths by itself once and always, a SIGKILL from outside in mid-run, an error, a print, a time limit."""
    words = moody(tmp_path, "good", "dies once", "dies", "raises", "sleeps once", "prints")
    out = tmp_path / "out"
    line = command("run", *words, "--seeds", "0-5", *RAY, "--out", str(out), "--format", "json")
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        victim = tmp_path / "seed 4"
        deadline = time.monotonic() + 200
        while not (victim.exists() and victim.read_text().endswith("\n")):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        os.kill(int(victim.read_text()), signal.SIGKILL)
        printed, err = process.communicate(timeout=200)
    assert process.returncode == 1, err
    # Whatever a method prints: one document.
    assert len(json.loads(printed)) == 6
    found = {record.seed: record for record in Store(out).records()}
    assert {seed: record.status for seed, record in found.items()} == {0: "ok", 1: "ok", 2: "failed", 3: "failed", 4: "ok", 5: "ok"}
    assert found[2].reason == "its worker is lost: its process has died, 2 times"
    assert found[3].reason == "RuntimeError: no idea"
    assert [len((tmp_path / f"seed {seed}").read_text().split()) for seed in range(6)] == [1, 2, 2, 1, 2, 1]
    assert "I print" in err
    assert "a child prints" in err
    assert not (out / "running").exists()


def test_where_all_fail_the_command_fails(environment, tmp_path):
    done = run(environment, *moody(tmp_path, "raises"), "--seeds", "0-1", *RAY, "--out", str(tmp_path / "out"))
    assert done.returncode == 1, done.stderr
    assert [record.reason for record in records(tmp_path / "out")] == ["RuntimeError: no idea"] * 2


def test_a_run_beyond_its_time_limit_fails_and_the_others_go_on(environment, tmp_path):
    done = run(environment, *moody(tmp_path, "sleeps", "good"), "--seeds", "0-1", "--time-limit", "2s", *RAY, "--out", str(tmp_path / "out"))
    assert done.returncode == 1, done.stderr
    assert [record.reason for record in records(tmp_path / "out")] == ["over its time limit of 2 s", None]


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        (("-o", "executor.address=127.0.0.1:9"), "no Ray cluster answers at '127.0.0.1:9'", "ray status --address 127.0.0.1:9"),
        (("-o", "executor.address=ray://127.0.0.1:9"), "no Ray cluster answers at 'ray://127.0.0.1:9'", "leave executor.address out"),
        (("-o", "executor.address=nowhere"), "executor.address 'nowhere' is no address", "-o executor.address=HOST:6379"),
        (("-o", "executor.address=auto"), "the Ray cluster at 'auto' cannot be used", "ray status"),
        (("-o", "executor.cluster_cpus=1", "-o", "executor.cpus=64"), "no node of the Ray cluster has 64 CPU for one run", "-o executor.cpus=1"),
    ],
)
def test_no_cluster_is_one_line_and_ends_at_once(options, said, hint, environment, tmp_path):
    began = time.monotonic()
    done = run(environment, *moody(tmp_path, "good"), "--executor", "ray", *options, "--out", str(tmp_path / "out"), timeout=100)
    assert done.returncode == 5, done.stderr
    assert done.stdout == ""
    error, told = done.stderr.strip().splitlines()[-2:]
    assert error.startswith(f"error: {said}")
    assert told.startswith("hint: ")
    assert hint in told
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_its_cluster_and_keeps_what_is_finished(sent, environment, tmp_path):
    before = {each.pid for each in ray_processes()}
    out = tmp_path / "out"
    line = command("run", *moody(tmp_path, "good", "sleeps"), "--seeds", "0-1", *RAY, "--out", str(out))
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 150
        while not (list(out.glob("records/*/*/*/*.json")) and (tmp_path / "seed 1").exists()):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        process.send_signal(sent)
        _, err = process.communicate(timeout=90)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent], err
    assert "interrupted: 1 of 2 runs are saved" in err
    assert (out / "leaderboard.json").exists()
    assert (out / "running").exists()
    deadline = time.monotonic() + 20
    while left := [each for each in ray_processes() if each.pid not in before and each.status() != psutil.STATUS_ZOMBIE]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_a_cluster_of_a_killed_command_does_not_stay(environment, tmp_path):
    before = {each.pid for each in ray_processes()}
    line = command("run", *moody(tmp_path, "sleeps"), "--seeds", "0-1", *RAY, "--out", str(tmp_path / "out"))
    with subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 150
        while not (tmp_path / "seed 0").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.kill()
    deadline = time.monotonic() + 60
    while left := [each for each in ray_processes() if each.pid not in before and each.status() != psutil.STATUS_ZOMBIE]:
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


#: A cluster of two nodes with a CPU each, beside a head without; it says where it is, and ends the node of a process that it is told.
CLUSTER = """
import sys, psutil
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
cluster.wait_for_nodes()
print(cluster.address, flush=True)
victim = int(sys.stdin.readline())
raylets = [process.pid for process in psutil.Process(victim).parents()]
node = next(node for node in nodes if node.all_processes["raylet"][0].process.pid in raylets)
cluster.remove_node(node, allow_graceful=False)
print("removed", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""


def test_the_runs_of_a_node_that_dies_are_carried_out_by_another(environment, tmp_path):
    environment |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    words = [sys.executable, "-c", CLUSTER]
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as cluster:
        try:
            address = cluster.stdout.readline().strip()
            # No retry for a run whose process dies by itself: a node's death is no such.
            options = ("--executor", "ray", "-o", f"executor.address={address}", "-o", "executor.retries=0")
            line = command("run", *moody(tmp_path, "sleeps once", "good"), "--seeds", "0-1", *options, "--out", str(tmp_path / "out"))
            with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                victim = tmp_path / "seed 0"
                deadline = time.monotonic() + 100
                while not (victim.exists() and victim.read_text().endswith("\n")):
                    assert time.monotonic() < deadline
                    assert process.poll() is None, process.communicate()
                    time.sleep(0.1)
                cluster.stdin.write(victim.read_text())
                cluster.stdin.flush()
                assert cluster.stdout.readline().strip() == "removed"
                _, err = process.communicate(timeout=150)
            assert process.returncode == 0, err
            cluster.communicate("\n", timeout=60)
        finally:
            for each in psutil.Process(cluster.pid).children(recursive=True) if cluster.poll() is None else ():
                each.kill()
            cluster.kill()
    assert [record.status for record in records(tmp_path / "out")] == ["ok", "ok"]
    assert len(victim.read_text().split()) == 2
