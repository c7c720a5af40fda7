"""Examples: arrays, or what reads and computes them when they are asked for, for data sets larger than memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Examples(Protocol):
    """Examples that need not be in memory: the part of an array's interface that training and scoring use.

    A plain array and a memory map are ``Examples``; :class:`LazyExamples` reads or computes them when they are asked for.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, ...)``."""
        ...

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: slice | NDArray[np.integer], /) -> NDArray[np.generic]:
        """Return the examples of a slice or at an array of indices, in memory."""
        ...


Read = Callable[[NDArray[Any]], NDArray[np.generic]]


class LazyExamples:
    """``read(indices [k]) -> array [k ...]`` behind an array's interface.

    ``shape`` is ``(n, ...)``. Reading must be a pure function of the index: the same example twice gives the same values.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, read: Read) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: slice | NDArray[np.integer]) -> NDArray[np.generic]:
        """Return the examples of a slice or at an array of indices (negative ones count from the end).

        Raises:
            IndexError: an index is out of range.
            ValueError: what was read does not have the promised shape.
        """
        wanted = np.arange(len(self))[indices]
        if wanted.ndim != 1:
            raise IndexError("examples are taken by a slice or by a 1-D array of indices")
        if not len(wanted):
            return np.empty((0, *self.shape[1:]), self.dtype)
        values = np.asarray(self._read(wanted), self.dtype)
        if values.shape != (len(wanted), *self.shape[1:]):
            raise ValueError(f"examples of shape {self.shape[1:]} were promised, {values.shape[1:]} were read")
        return values

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[np.generic]:
        """Read everything into memory; for what is known to be small."""
        return np.asarray(self[:], dtype)


def in_memory(examples: Examples) -> bool:
    """Return whether ``examples`` is a plain array, which costs nothing to take whole."""
    return isinstance(examples, np.ndarray) and not isinstance(examples, np.memmap)


def mapped(examples: Examples, function: Read, shape: tuple[int, ...], dtype: DTypeLike) -> LazyExamples:
    """Return ``function`` of each batch of ``examples``; ``shape`` is that of one example afterwards."""
    return LazyExamples((len(examples), *shape), dtype, lambda indices: function(examples[indices]))


def taken(examples: Examples, indices: NDArray[np.integer]) -> Examples:
    """Return a view of ``examples`` at ``indices``: a copy where they are in memory, lazy where they are not."""
    if in_memory(examples):
        return examples[indices]
    return LazyExamples((len(indices), *examples.shape[1:]), examples.dtype, lambda wanted: examples[indices[wanted]])


def joined(first: Examples, second: Examples) -> Examples:
    """Return ``first`` then ``second``; in memory only if both are."""
    if in_memory(first) and in_memory(second):
        return np.concatenate([np.asarray(first), np.asarray(second)])
    count = len(first)

    def read(indices: NDArray[np.integer]) -> NDArray[np.generic]:
        values = np.empty((len(indices), *first.shape[1:]), first.dtype)
        early = indices < count
        for part, chosen, offset in ((first, early, 0), (second, ~early, count)):
            if chosen.any():
                values[chosen] = part[indices[chosen] - offset]
        return values

    return LazyExamples((count + len(second), *first.shape[1:]), first.dtype, read)
