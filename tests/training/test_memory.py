"""A run on a CPU is refused memory that the machine does not have, instead of being killed for using it."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from pare_bench.training import memory

PROGRAM = """
import torch
from pare_bench.training import memory
from pare_bench.training.out_of_memory import is_out_of_memory

memory.free_bytes = lambda: 2 * 2**30
kept = []
with memory.MemoryLimit("cpu"):
    try:
        for _ in range(4):
            kept.append(torch.ones(2**28 // 2))
    except (RuntimeError, MemoryError) as error:
        assert is_out_of_memory(error), error
        print("refused after", len(kept))
kept += [torch.ones(2**28 // 2) for _ in range(4 - len(kept))]
print("free again", len(kept))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_allocations_beyond_the_free_memory_are_refused_while_a_run_lasts():
    # In a process of its own: the limit is the process's.
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["refused after 3", "free again 4"]


def test_a_gpu_run_is_not_limited():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory.MemoryLimit("cuda"):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_control_group_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    free = memory.free_bytes()
    assert free > 0
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5\n")
    assert memory.free_bytes() > 1000
    (tmp_path / "memory.max").write_text("1005\n")
    assert memory.free_bytes() == 1000
