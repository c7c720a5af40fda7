"""``torchrun -m pare_bench``: two processes give the losses and scores of one, write one record, and print once; killed runs go on."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import pytest
import several_processes

from pare_bench.records.record import RunRecord

#: A micro-batch of 7 of 31 examples: shards of unequal size, a last batch of 3.
SMALL = ("--preset", "smoke", "-o", "size.train=31", "-o", "size.val=17", "-o", "size.test=70", "-o", "recipe.batch_size=7")
SOURCE = ("-o", "source_size.train=64", "-o", "source_size.val=1", "-o", "source_size.test=1")


def records(out: Path) -> dict[str, RunRecord]:
    found = [RunRecord.from_json(path.read_text()) for path in sorted(out.glob("records/*/*/*/*.json"))]
    return {record.task.name: record for record in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "tasks", "options"),
    [
        ("pare", ("ecg", "darcy_flow", "cosmic"), SOURCE),
        ("pare", ("ninapro",), (*SOURCE, "-o", "selector=random", "-o", "method.source_content=noise", "-o", "recipe.accumulate=released")),
        ("full_finetune", ("satellite",), ("-o", "recipe.accumulation=2")),
        ("orca", ("satellite", "darcy_flow"), SOURCE),
    ],
)
def test_two_processes_do_what_one_does(pare_bench, tmp_path, method, tasks, options):
    chosen = [word for task in tasks for word in ("--task", task)]
    command = ["run", "--method", method, *chosen, *SMALL, *options]
    code, _, err = pare_bench(*command, "--out", str(tmp_path / "one"))
    assert code == 0, err
    main, other = several_processes.run(2, "-m", "pare_bench", *command, "--out", tmp_path / "two", "--format", "md")
    assert (main[0], other[0]) == (0, 0), main[2] + other[2]
    assert other[1] == ""
    assert "[1/" not in other[2]
    assert main[1].count("| ok |") == len(tasks)
    alone, together = records(tmp_path / "one"), records(tmp_path / "two")
    assert alone.keys() == together.keys() == set(tasks)
    for task in tasks:
        first, second = alone[task], together[task]
        # A code change between the two runs is the only thing that may tell them apart.
        assert first.run_id == second.run_id or first.code_sha256 != second.code_sha256
        for stage, history in first.training.items():
            expected = [point.train_loss for point in history.curve]
            assert [point.train_loss for point in second.training[stage].curve] == pytest.approx(expected, rel=1e-5, abs=1e-5)
        assert [metric.value for metric in second.metrics] == pytest.approx([metric.value for metric in first.metrics], rel=1e-4)
    assert not (tmp_path / "two" / "checkpoints").exists()


@pytest.mark.slow
def test_a_run_is_served_to_all_processes(tmp_path):
    command = ["-m", "pare_bench", "run", "--method", "full_finetune", "--task", "satellite", *SMALL, "--out", tmp_path]
    assert [code for code, _, _ in several_processes.run(2, *command)] == [0, 0]
    (path,) = tmp_path.glob("records/*/*/*/*.json")
    before = path.stat().st_mtime_ns
    main, other = several_processes.run(2, *command)
    assert (main[0], other[0]) == (0, 0), main[2] + other[2]
    assert "served from the store" in main[2]
    assert path.stat().st_mtime_ns == before


def run_command(out: Path) -> list[str]:
    start = ["-m", "pare_bench", "run", "--method", "pare", "--task", "satellite", "--out", str(out), *SMALL, *SOURCE]
    return [*start, "-o", "budget.epochs=16", "-o", "recipe.warmup=0.0"]


OFTEN = {"PARE_BENCH_CHECKPOINT_SECONDS": "0"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The record of a run that nobody disturbs, by the number of its processes."""

    @cache
    def record(count):
        out = tmp_path_factory.mktemp("whole")
        for code, _, err in several_processes.run(count, *run_command(out), **OFTEN):
            assert code == 0, err
        return records(out)["satellite"]

    return record


@pytest.mark.slow
@pytest.mark.parametrize(("count", "after"), [(1, 1), (1, 3), (2, 2)])
def test_a_killed_run_goes_on_and_ends_with_the_same_predictions(whole, tmp_path, count, after):
    """SIGKILL at whatever point the processes have reached when the checkpoint of some epoch appears."""
    killed = tmp_path / "killed"
    processes = several_processes.start(count, *run_command(killed), **OFTEN)
    seen: set[tuple[int, int]] = set()
    deadline = time.monotonic() + 200
    while len(seen) < after and time.monotonic() < deadline:
        seen |= {(path.stat().st_ino, path.stat().st_mtime_ns) for path in killed.glob("checkpoints/*/train.safetensors")}
        time.sleep(0.001)
    for process in processes:
        process.kill()
    for process in processes:
        process.communicate()
    assert not records(killed)
    again = several_processes.run(count, *run_command(killed), **OFTEN)
    assert [code for code, _, _ in again] == [0] * count, again
    assert "goes on after epoch" in again[0][2]
    undisturbed, resumed = whole(count), records(killed)["satellite"]
    assert resumed.predictions_sha256 == undisturbed.predictions_sha256
    assert resumed.training["train"].curve == undisturbed.training["train"].curve
    assert resumed.metrics == undisturbed.metrics
    assert not (killed / "checkpoints").exists()
