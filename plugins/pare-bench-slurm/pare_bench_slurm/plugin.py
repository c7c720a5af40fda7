"""Registers the executor; light, because ``pare-bench list`` imports it."""

from collections.abc import Iterator

from pare_bench import ExecutorSpec, hookimpl


@hookimpl
def pare_bench_executors() -> Iterator[ExecutorSpec]:
    """Register ``slurm``."""
    yield ExecutorSpec(name="slurm", summary="runs as jobs of a Slurm cluster, through submitit", target="pare_bench_slurm.executor:Slurm")
