"""Hundreds of runs in one process: memory, open files, threads and live objects stay where they are after the first fifty."""

from __future__ import annotations

import gc
import shutil
import sys
import threading
from pathlib import Path

import psutil
import pytest
from proof_tools import TINY, count

#: Runs of one call: seeds of a method on a task.
SEEDS = 10
CALLS = [("constant", "satellite"), ("full_finetune", "satellite"), ("linear_probe", "ecg")]
ROUND = SEEDS * len(CALLS)
#: Runs after which everything that is loaded once is loaded.
FIRST = 50


def state():
    """Anonymous memory of this process in MiB, open files, threads, and objects that the collector knows.

    Not USS: that counts pages of libraries, too, as long as no other process has mapped them. It jumped by 290 MiB (libtorch) whenever the last other
    process with torch on the machine ended.
    """
    gc.collect()
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) / 2**10, psutil.Process().num_fds(), threading.active_count(), len(gc.get_objects())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory and descriptors as Linux tells them")
@pytest.mark.timeout(3600)
def test_nothing_grows_over_hundreds_of_runs(pare_bench, tmp_path):
    wanted = count(80, 500)
    runs, states = 0, {}
    while runs < wanted:
        method, task = CALLS[runs // SEEDS % len(CALLS)]
        out = tmp_path / "out"
        seeds = f"{runs}-{runs + SEEDS - 1}"
        code, _, err = pare_bench("run", "--method", method, "--task", task, "--seeds", seeds, "--out", str(out), *TINY)
        assert code == 0, err
        runs += SEEDS
        shutil.rmtree(out)
        if runs >= FIRST:
            states[runs] = state()
    # The methods differ in what they hold: whole rounds of them are compared.
    first, last = [each for runs, each in states.items() if runs < FIRST + ROUND], list(states.values())[-len(CALLS) :]
    print("runs: anonymous memory in MiB, open files, threads, objects")
    for number, each in states.items():
        print(f"{number}: {each[0]:.1f}, {each[1]}, {each[2]}, {each[3]}")
    assert len(first) == len(last) == len(CALLS)
    (memory, files, threads, objects), (memory_now, files_now, threads_now, objects_now) = map(highest, (first, last))
    assert (files_now, threads_now) == (files, threads)
    assert memory_now <= 1.02 * memory
    assert objects_now <= 1.002 * objects


def highest(states):
    return tuple(max(each) for each in zip(*states, strict=True))
