"""Runs one after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pare_bench.config.run_config import RunConfig
from pare_bench.contracts.executor import Executor
from pare_bench.records.record import RunRecord


class Local(Executor):
    """The default executor: no parallelism, nothing to retry."""

    def map(self, run: Callable[[RunConfig], RunRecord], configs: Iterable[RunConfig]) -> Iterator[RunRecord]:
        """Yield records in the order of ``configs``."""
        return map(run, configs)
