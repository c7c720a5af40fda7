"""The contract of an executor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, TypeVar

from pare_bench.contracts.params import Params

#: A run that is asked for, and what it leaves behind.
Config = TypeVar("Config")
Record = TypeVar("Record")


class Executor(ABC):
    """Carries out runs, here or elsewhere."""

    Params: ClassVar[type[Params]] = Params

    def __init__(self, params: Params) -> None:
        self.params = params

    @abstractmethod
    def map(self, run: Callable[[Config], Record], configs: Iterable[Config]) -> Iterator[Record]:
        """Yield one record per configuration, in any order."""
