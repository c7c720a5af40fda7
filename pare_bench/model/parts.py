"""Part of a batch: what one process, or one piece of a step that did not fit into memory, works on.

A recipe's micro-batch is nominal: it may be dealt to several processes, or worked through in pieces. Random draws that belong to examples
are made for the whole nominal batch, in every process and for every piece, and then cut to the part. So what an example meets does not depend on
how the batch was cut, and a batch that was not cut draws exactly as it would without this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Examples ``start`` to ``stop`` (exclusive) of a nominal batch of ``total``."""

    start: int
    stop: int
    total: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def whole(self) -> bool:
        """Whether this is all of the nominal batch."""
        return len(self) == self.total

    def pieces(self, number: int) -> list[Part]:
        """Return this part cut into at most ``number`` contiguous, nearly equal, non-empty parts."""
        return [Part(self.start + start, self.start + stop, self.total) for start, stop in cuts(len(self), number) if stop > start]

    @contextmanager
    def current(self) -> Iterator[None]:
        """Inside, :func:`nominal` cuts draws to this part."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Part | None] = ContextVar("part of the nominal batch", default=None)


def cuts(total: int, number: int) -> list[tuple[int, int]]:
    """Return ``number`` contiguous, nearly equal ranges that cover ``range(total)``; some are empty where ``total`` is smaller than ``number``."""
    return [(total * index // number, total * (index + 1) // number) for index in range(number)]


def nominal(count: int) -> tuple[int, slice]:
    """Return for how many examples to draw, and which of them are the ``count`` examples at work.

    That is the whole nominal batch and the part at work; outside a part, and where ``count`` is not the size of the part, ``count`` and all of it.
    """
    part = _current.get()
    if part is None or part.whole or count != len(part):
        return count, slice(0, count)
    return part.total, slice(part.start, part.stop)


def nominal_rows(count: int, draw: Callable[[int], Tensor]) -> Tensor:
    """Return ``count`` random rows: ``draw(examples)`` of the whole nominal batch, cut to the part at work."""
    total, mine = nominal(count)
    return draw(total)[mine]
