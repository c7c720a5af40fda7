"""Registers the local executor."""

from __future__ import annotations

from pare_bench.registry.specs import ExecutorSpec

EXECUTORS = (ExecutorSpec(name="local", summary="one run after the other in this process", target="pare_bench.builtin.executors.local:Local"),)
