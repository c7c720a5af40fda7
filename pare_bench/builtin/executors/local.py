"""Runs one after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pare_bench.contracts.executor import Config, Executor, Record


class Local(Executor):
    """The default executor: no parallelism, nothing to retry."""

    def map(self, run: Callable[[Config], Record], configs: Iterable[Config]) -> Iterator[Record]:
        """Yield records in the order of ``configs``."""
        return map(run, configs)
