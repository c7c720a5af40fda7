"""The executor ``slurm``: with submitit's local executor, and with a Slurm that is played by five small programs."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from third_party import command, installed, moody, run

from pare_bench.records.store import Store

pytest.importorskip("submitit")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LOCAL = ("--executor", "slurm", "-o", "executor.cluster=local", "-o", "executor.jobs=2")
#: Every program of the played Slurm begins like this; jobs are processes, known by ``<id>_<index>`` (or ``<id>``) in a folder.
HEAD = f"""#!{sys.executable}
import os, re, signal, subprocess, sys, time
from pathlib import Path
HOME = Path(os.environ["PLAYED_SLURM"])
"""
PROGRAMS = {
    "sbatch": """
script = Path(sys.argv[1]).read_text()
if "partition=nowhere" in script:
    sys.exit("sbatch: error: invalid partition specified: nowhere\\nsbatch: error: Batch job submission failed: Invalid partition name specified")
job = 100 + len(list(HOME.glob("*.sh")))
(HOME / f"{job}.sh").write_text(script)
found = re.search(r"--array=0-(\\d+)", script)
for index in range(int(found[1]) + 1) if found else [None]:
    name = f"{job}" if index is None else f"{job}_{index}"
    more = {"SLURM_JOB_ID": str(job + (index or 0)), "PLAYED_JOB": name}
    if index is not None:
        more |= {"SLURM_ARRAY_JOB_ID": str(job), "SLURM_ARRAY_TASK_ID": str(index)}
    with (HOME / f"{name}.log").open("w") as log:
        words = ["bash", str(HOME / f"{job}.sh")]
        process = subprocess.Popen(words, env={**os.environ, **more}, stdout=log, stderr=log, start_new_session=True)
    (HOME / f"{name}.pid").write_text(str(process.pid))
print(f"Submitted batch job {job}")
""",
    # The options of srun, then the command; written down how it ended.
    "srun": """
words = sys.argv[1:]
words.remove("--unbuffered")
output, error, words = Path(words[1]), Path(words[3]), words[4:]
job = os.environ["PLAYED_JOB"]
marks = {"%j": job, "%A": job.split("_")[0], "%a": job.split("_")[-1], "%t": "0"}
name = [re.sub("%[jAat]", lambda found: marks[found[0]], str(path)) for path in (output, error)]
Path(name[0]).parent.mkdir(parents=True, exist_ok=True)
with open(name[0], "a") as out, open(name[1], "a") as err:
    code = subprocess.call(words, stdout=out, stderr=err)
(HOME / f"{job}.ended").write_text("COMPLETED" if code == 0 else "FAILED")
""",
    "scancel": """
with (HOME / "cancelled").open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
for job in sys.argv[1:]:
    (HOME / f"{job}.ended").write_text("CANCELLED")
    try:
        os.killpg(int((HOME / f"{job}.pid").read_text()), signal.SIGTERM)
    except (OSError, ValueError):
        pass
""",
    "sacct": """
if (HOME / "no accounts").exists():
    sys.exit("Slurm accounting storage is disabled")
if "--parsable2" in sys.argv:
    print("JobID|State|NodeList")
    for path in HOME.glob("*.pid"):
        ended = path.with_suffix(".ended")
        print(f"{path.stem}|{ended.read_text() if ended.exists() else 'RUNNING'}|here")
""",
    "scontrol": """
with (HOME / "requeued").open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
""",
}


@pytest.fixture
def environment(tmp_path):
    return installed(tmp_path / "site", "pare-bench-slurm")


@pytest.fixture
def played(tmp_path, environment):
    """Return the folder of a played Slurm, and put its programs on the path of commands."""
    programs, home = tmp_path / "programs", tmp_path / "slurm"
    programs.mkdir()
    home.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(HEAD + text)
        (programs / name).chmod((programs / name).stat().st_mode | stat.S_IEXEC)
    environment |= {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PLAYED_SLURM": str(home)}
    yield home
    for path in home.glob("*.pid"):
        if path.read_text() and psutil.pid_exists(int(path.read_text())) and not path.with_suffix(".ended").exists():
            os.killpg(int(path.read_text()), signal.SIGKILL)


def records(folder: Path):
    return sorted(Store(folder).records(), key=lambda record: (record.task.name, record.seed))


def _validated(out):
    """Return the reports of runs that have ended an epoch."""
    return [path for path in out.glob("running/*.progress") if b'"train"' in (text := path.read_bytes()) and b'"validation": ""' not in text]


def wait_for(condition, process, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_it_conforms(environment, tmp_path):
    code = """
from pare_bench.conformance import check
from pare_bench.registry.names import Registry
print(check(Registry.from_environment(), "executor", "slurm", {"cluster": "local", "jobs": 2}))
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=580, check=False, cwd=tmp_path)
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stderr


def test_twelve_smoke_runs_score_as_the_local_executor_does(environment, tmp_path):
    words = ("-m", "full_finetune", "-t", "satellite", "-t", "ecg", "-t", "deepsea", "--seeds", "0-3", "--preset", "smoke", "-o", "budget.epochs=1")
    done = run(environment, *words, "--out", str(tmp_path / "local"), timeout=200)
    assert done.returncode == 0, done.stderr
    done = run(environment, *words, *LOCAL, "--out", str(tmp_path / "there"), "--format", "json", timeout=560)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 12
    local, there = records(tmp_path / "local"), records(tmp_path / "there")
    assert len(there) == 12
    assert [record.run_id for record in there] == [record.run_id for record in local]
    assert [record.metrics for record in there] == [record.metrics for record in local]
    assert [record.predictions_sha256 for record in there] == [record.predictions_sha256 for record in local]
    # Nothing but what the local executor leaves.
    assert not (tmp_path / "there" / "slurm").exists()


def test_what_dies_is_tried_again_and_the_others_go_on(environment, tmp_path):
    words = moody(tmp_path, "good", "dies once", "dies", "raises", "sleeps once", "prints")
    out = tmp_path / "out"
    line = command("run", *words, "--seeds", "0-5", *LOCAL, "--out", str(out), "--format", "json")
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        victim = tmp_path / "seed 4"
        wait_for(lambda: victim.exists() and victim.read_text().endswith("\n"), process)
        os.kill(int(victim.read_text()), signal.SIGKILL)
        printed, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert len(json.loads(printed)) == 6
    found = {record.seed: record for record in records(out)}
    assert {seed: record.status for seed, record in found.items()} == {0: "ok", 1: "ok", 2: "failed", 3: "failed", 4: "ok", 5: "ok"}
    assert found[2].reason.startswith("its worker is lost: its job has ended without a result (finished), 2 times, see '")
    assert Path(found[2].reason.split("'")[1]).exists()
    assert found[3].reason == "RuntimeError: no idea"
    assert [len((tmp_path / f"seed {seed}").read_text().split()) for seed in range(6)] == [1, 2, 2, 1, 2, 1]


def test_where_all_fail_the_command_fails(environment, tmp_path):
    done = run(environment, *moody(tmp_path, "raises"), "--seeds", "0-1", *LOCAL, "--out", str(tmp_path / "out"), timeout=300)
    assert done.returncode == 1, done.stderr
    assert [record.reason for record in records(tmp_path / "out")] == ["RuntimeError: no idea"] * 2


def test_a_run_beyond_its_time_limit_fails_and_the_others_go_on(environment, tmp_path):
    done = run(
        environment, *moody(tmp_path, "sleeps", "good"), "--seeds", "0-1", "--time-limit", "2s", *LOCAL, "--out", str(tmp_path / "out"), timeout=300
    )
    assert done.returncode == 1, done.stderr
    assert [record.reason for record in records(tmp_path / "out")] == ["over its time limit of 2 s", None]


def test_a_job_whose_time_is_up_goes_on_from_its_checkpoint(environment, tmp_path):
    """Submitit's signal, as Slurm sends it before the end of a job: a checkpoint, the queue, and the same score as in one piece."""
    words = ("-m", "full_finetune", "-t", "satellite", "--preset", "smoke", "-o", "budget.epochs=20", "-o", "size.train=8", "-o", "size.test=8")
    done = run(environment, *words, "--out", str(tmp_path / "whole"))
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    with subprocess.Popen(
        command("run", *words, *LOCAL, "--out", str(out)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: _validated(out), process)
        (mark,) = out.glob("running/*.json")
        os.kill(json.loads(mark.read_text())["process"], signal.SIGUSR2)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    (whole,), (found,) = records(tmp_path / "whole"), records(out)
    assert 0 < found.training["train"].resumed_from < 20
    assert found.metrics == whole.metrics
    assert found.predictions_sha256 == whole.predictions_sha256


def test_a_job_whose_time_is_up_too_often_is_lost(environment, tmp_path):
    """Its time is up after two seconds each time, as submitit's local executor counts it."""
    options = (*LOCAL, "-o", "executor.time=0.7", "-o", "executor.signal_delay=20", "-o", "executor.requeues=1")
    done = run(environment, *moody(tmp_path, "sleeps"), *options, "--out", str(tmp_path / "out"), timeout=300)
    assert done.returncode == 1, done.stderr
    (record,) = records(tmp_path / "out")
    assert record.reason == "its worker is lost: the time of its job was up too often (-o executor.time=MINUTES, -o executor.requeues=N)"
    # Where the machine is busy, it may be up before the run has begun.
    assert not (tmp_path / "seed 0").exists() or len((tmp_path / "seed 0").read_text().split()) <= 2


def test_an_interrupted_command_ends_its_jobs_and_keeps_what_is_finished(environment, tmp_path):
    out = tmp_path / "out"
    line = command("run", *moody(tmp_path, "good", "sleeps"), "--seeds", "0-1", *LOCAL, "--out", str(out))
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: list(out.glob("records/*/*/*/*.json")) and (tmp_path / "seed 1").exists(), process)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    assert "interrupted: 1 of 2 runs are saved" in err
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def test_the_script_is_shown_and_nothing_is_submitted(environment, tmp_path):
    options = ("-o", "executor.partition=gpu", "-o", "executor.gres=gpu:1", "-o", "executor.time=90", "-o", 'executor.extra={"mail-type": "END"}')
    words = (*moody(tmp_path, "good"), "--seeds", "0-4", "--executor", "slurm", *options, "-o", "executor.jobs=3", "--out", str(tmp_path / "out"))
    done = run(environment, *words, "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    wanted = ("--array=0-4%3", "--partition=gpu", "--gres=gpu:1", "--time=90", "--mail-type=END", "--cpus-per-task=1", "--signal=USR2@90")
    assert {f"#SBATCH {option}" for option in wanted} <= set(lines)
    assert lines.index("#!/bin/bash") > 0
    assert not (tmp_path / "out").exists()
    done = run(environment, *words, "--dry-run", "--format", "json")
    assert len(json.loads(done.stdout)) == 5
    assert "#SBATCH --partition=gpu" in done.stderr


def test_an_array_is_what_the_dry_run_shows_and_lost_jobs_are_submitted_again(environment, played, tmp_path):
    options = ("--executor", "slurm", "-o", "executor.partition=gpu", "--out", str(tmp_path / "out"))
    words = (*moody(tmp_path, "good", "dies once"), "--seeds", "0-2", *options)
    shown = run(environment, *words, "--dry-run").stdout
    done = run(environment, *words, timeout=500)
    assert done.returncode == 0, done.stderr
    assert [record.status for record in records(tmp_path / "out")] == ["ok"] * 3
    scripts = sorted(played.glob("*.sh"))
    # The array, and the one that was lost.
    assert len(scripts) == 2
    assert scripts[0].read_text().strip() in shown
    assert "--array" not in scripts[1].read_text()
    assert [len((tmp_path / f"seed {seed}").read_text().split()) for seed in range(3)] == [1, 2, 1]
    assert not (tmp_path / "out" / "slurm").exists()


def test_jobs_are_cancelled_when_the_command_ends(environment, played, tmp_path):
    line = command("run", *moody(tmp_path, "sleeps"), "--seeds", "0-1", "--executor", "slurm", "--out", str(tmp_path / "out"))
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: len(list(tmp_path.glob("seed *"))) == 2, process)
        pids = [int((tmp_path / f"seed {seed}").read_text()) for seed in range(2)]
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 143, err
    assert sorted((played / "cancelled").read_text().split()) == ["100_0", "100_1"]
    deadline = time.monotonic() + 30
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("options", "accounts", "said", "hint"),
    [
        (
            (),
            True,
            "sbatch refuses the jobs: sbatch: error: Batch job submission failed: Invalid partition name specified",
            "--dry-run shows the script",
        ),
        ((), False, "sacct fails, so that a lost job would be waited for: Slurm accounting storage is disabled", "sacct -X"),
    ],
)
def test_a_slurm_that_refuses_is_one_line(options, accounts, said, hint, environment, played, tmp_path):
    if not accounts:
        (played / "no accounts").touch()
    done = run(environment, *moody(tmp_path, "good"), "--executor", "slurm", "-o", "executor.partition=nowhere", "--out", str(tmp_path / "out"))
    _one_line(done, said, hint)


def test_no_slurm_is_one_line(environment, tmp_path):
    done = run(environment, *moody(tmp_path, "good"), "--executor", "slurm", "--out", str(tmp_path / "out"))
    _one_line(done, "no 'sbatch' on PATH", "-o executor.cluster=local")


def _one_line(done, said, hint):
    assert done.returncode == 5, done.stderr
    assert done.stdout == ""
    error, told = done.stderr.strip().splitlines()[-2:]
    assert error.startswith(f"error: {said}")
    assert told.startswith("hint: ")
    assert hint in told
    assert "Traceback" not in done.stderr


def test_an_option_that_is_none_is_refused(environment, tmp_path):
    done = run(environment, *moody(tmp_path, "good"), "--executor", "slurm", "-o", 'executor.extra={"a\\nb": 1}', "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "extra" in done.stderr
