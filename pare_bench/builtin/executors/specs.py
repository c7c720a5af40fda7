"""Registers the executors."""

from __future__ import annotations

from pare_bench.registry.specs import ExecutorSpec

EXECUTORS = (
    ExecutorSpec(name="local", summary="one run after the other in this process", target="pare_bench.builtin.executors.local:Local"),
    ExecutorSpec(
        name="processes",
        summary="several runs at a time on this machine, each in a process of its own (--jobs N)",
        target="pare_bench.builtin.executors.processes:Processes",
    ),
)
