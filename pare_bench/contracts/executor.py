"""The contract of an executor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from pare_bench.contracts.params import Params

if TYPE_CHECKING:
    from pare_bench.config.run_config import RunConfig
    from pare_bench.records.record import RunRecord


class Executor(ABC):
    """Carries out runs, here or elsewhere."""

    Params: ClassVar[type[Params]] = Params

    def __init__(self, params: Params) -> None:
        self.params = params

    @abstractmethod
    def map(self, run: Callable[[RunConfig], RunRecord], configs: Iterable[RunConfig]) -> Iterator[RunRecord]:
        """Yield one record per configuration, in any order."""
