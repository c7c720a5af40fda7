"""Runs one after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pare_bench.contracts.executor import Executor, Outcome, Work, WorkItem


class Local(Executor):
    """The default executor: no parallelism, nothing to retry."""

    in_process = True

    def map(self, work: Work, items: Iterable[WorkItem]) -> Iterator[Outcome]:
        """Yield outcomes in the order of ``items``."""
        return map(work, items)
