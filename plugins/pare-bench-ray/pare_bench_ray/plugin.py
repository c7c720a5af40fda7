"""Registers the executor; light, because ``pare-bench list`` imports it."""

from collections.abc import Iterator

from pare_bench import ExecutorSpec, hookimpl


@hookimpl
def pare_bench_executors() -> Iterator[ExecutorSpec]:
    """Register ``ray``."""
    yield ExecutorSpec(name="ray", summary="runs on a Ray cluster, of this machine or of many", target="pare_bench_ray.executor:Ray")
