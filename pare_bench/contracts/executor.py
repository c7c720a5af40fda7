"""The contract of an executor, and the plain data that pass through it: what is to be done, and what came of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pare_bench.contracts.params import Params


@dataclass(frozen=True)
class WorkItem:
    """One run to carry out, as plain data: it pickles, and :func:`dataclasses.asdict` of it is JSON.

    ``number`` is its place in the command, ``label`` its name for people, ``run_id`` what it will be recorded as, ``config`` a resolved
    :class:`pare_bench.config.run_config.RunConfig` as JSON, ``out`` the absolute folder of records, which must be the same folder wherever it is
    carried out (or one that is copied back), ``command`` what the user typed. ``flags`` are those of :class:`pare_bench.runs.single.Manner`.
    ``time_limit`` in seconds and ``memory_limit`` in MB end the run as a failed one; None: no limit.
    """

    number: int
    label: str
    run_id: str
    config: Mapping[str, Any]
    out: str
    command: str
    flags: Mapping[str, Any] = field(default_factory=dict)
    time_limit: float | None = None
    memory_limit: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of one item, as plain data. Exactly one of the following holds.

    ``record``: its record as JSON; ``served`` says that it was there before, ``exit_code`` what a failed one failed for.
    ``left``: another process works on it; the text says who.
    ``lost``: whoever carried it out has gone without a word; the text says what is known. Executors make these, once they have
    tried again.
    ``interrupted``: it was asked to end, and goes on from its checkpoint when it is carried out again.
    ``fault``: message and hint of what is missing on the machine for this run and all others (disk, device, permission).

    ``notes`` are lines for people, whatever came of it.
    """

    number: int
    record: Mapping[str, Any] | None = None
    served: bool = False
    exit_code: int = 0
    left: str | None = None
    lost: str | None = None
    interrupted: bool = False
    fault: tuple[str, str | None] | None = None
    notes: tuple[str, ...] = ()


#: Carries out one item; an importable function, so that it pickles.
Work = Callable[[WorkItem], Outcome]


class Executor(ABC):
    """Carries out runs, here or elsewhere.

    ``in_process`` says that it calls ``work`` in this process, one item after the other: only then do bars show every step, and ``work`` is a
    closure. Threads of one process cannot carry out two runs at a time, since runs seed the process's generators: ``work`` refuses the second.
    """

    Params: ClassVar[type[Params]] = Params
    in_process: ClassVar[bool] = False

    def __init__(self, params: Params) -> None:
        self.params = params

    @abstractmethod
    def map(self, work: Work, items: Iterable[WorkItem]) -> Iterator[Outcome]:
        """Yield exactly one outcome per item, in any order, as soon as it is known.

        ``items`` may be a generator that prepares what it yields: take an item when there is room for it. ``work`` raises nothing of its own accord;
        a worker that dies under it is tried again or yielded as ``Outcome(item.number, lost="...")``. When the caller stops early (Ctrl-C), the
        generator is closed: end the workers in a ``finally``.
        """

    def describe(self, items: Iterable[WorkItem]) -> str:  # noqa: ARG002
        """Return what would be handed to another system, for ``run --dry-run``: a batch script, say; nothing is handed over.

        The items have no ``run_id``: nothing has been prepared.
        """
        return ""
