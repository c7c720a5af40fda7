"""Means, deviations and medians of targets that need not be in memory.

What is in memory is reduced in one numpy call, as always; what is not is read in pieces of at most :data:`PIECE_BYTES` and merged.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pare_bench.contracts.examples import Examples, in_memory

#: Bytes of examples (as float64, where they are summed) that are held at a time.
PIECE_BYTES = 1 << 28


def pieces(examples: Examples, piece_bytes: int = PIECE_BYTES) -> Iterator[NDArray[np.generic]]:
    """Yield ``examples`` in order, as many at a time as fit ``piece_bytes`` as float64, at least one."""
    count = max(1, piece_bytes // (8 * max(1, int(np.prod(examples.shape[1:])))))
    for start in range(0, len(examples), count):
        yield examples[start : start + count]


def pointwise_moments(examples: Examples, piece_bytes: int = PIECE_BYTES) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return mean and standard deviation (over n) of each place of an example, and the deviation of all values together, in float64."""
    if in_memory(examples):
        values = np.asarray(examples, dtype=np.float64)
        return values.mean(0), values.std(0), float(values.std())
    mean, std = _merged(examples, np.inf, piece_bytes)
    return mean, std, _of_all(mean, std)[1]


def clipped_moments(examples: Examples, clip: float, piece_bytes: int = PIECE_BYTES) -> tuple[float, float]:
    """Return mean and standard deviation of all values together, those above ``clip`` counted as ``clip``, in float64."""
    if in_memory(examples):
        values = np.minimum(np.asarray(examples, dtype=np.float64), clip)
        return float(values.mean()), float(values.std())
    return _of_all(*_merged(examples, clip, piece_bytes))


def total(examples: Examples, dtype: DTypeLike | None = None, piece_bytes: int = PIECE_BYTES) -> NDArray[np.floating]:
    """Return the sum over examples, added up in ``dtype`` (None: in their own type)."""
    if in_memory(examples):
        return np.asarray(examples).sum(0, dtype=dtype)
    return np.sum([piece.sum(0, dtype=dtype) for piece in pieces(examples, piece_bytes)], axis=0)


def clipped_median(examples: Examples, clip: float, piece_bytes: int = PIECE_BYTES) -> NDArray[np.floating]:
    """Return the median of each place of an example, values above ``clip`` counted as ``clip``.

    A median cannot be merged from pieces: as many rows (second axis) as fit ``piece_bytes`` are collected from all examples at a time, so that
    examples which are not in memory are read once for each such band. The result is that of numpy on the whole array.
    """
    if in_memory(examples):
        return np.median(np.minimum(np.asarray(examples), clip), axis=0)
    count, height, *rest = examples.shape
    rows = max(1, piece_bytes // (examples.dtype.itemsize * count * int(np.prod(rest))))
    medians = []
    for top in range(0, height, rows):
        band = np.empty((count, min(rows, height - top), *rest), examples.dtype)
        filled = 0
        for piece in pieces(examples, piece_bytes):
            np.minimum(piece[:, top : top + rows], clip, out=band[filled : filled + len(piece)])
            filled += len(piece)
        medians.append(np.median(band, axis=0, overwrite_input=True))
    return np.concatenate(medians)


def _merged(examples: Examples, clip: float, piece_bytes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation of each place; pieces are merged by the pairwise update of Chan, Golub and LeVeque (1979)."""
    count, mean, squares = 0, np.zeros(examples.shape[1:]), np.zeros(examples.shape[1:])
    for piece in pieces(examples, piece_bytes):
        values = np.minimum(np.asarray(piece, dtype=np.float64), clip)
        difference = values.mean(0) - mean
        squares += values.var(0) * len(values) + difference**2 * (count * len(values) / (count + len(values)))
        mean += difference * (len(values) / (count + len(values)))
        count += len(values)
    return mean, np.sqrt(squares / count)


def _of_all(mean: NDArray[np.float64], std: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and deviation of all values together, from those of the places: the variance within plus the variance between."""
    return float(mean.mean()), float(np.sqrt(np.mean(std**2) + mean.var()))
