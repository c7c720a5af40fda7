"""Whether examples of one split stand in another: the same bytes, or the same but for noise, offset and scale."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.examples import Examples
from pare_bench.contracts.task import SPLIT_NAMES, Splits

#: Examples of a split, and values of an example, that are compared at most.
_EXAMPLES, _VALUES = 2048, 4096
#: How near two examples are, as a share of the usual distance to the nearest one in training, that are one but for noise; and for rounding.
_NOISE, _ROUNDING = 0.03, 1e-4
_PAIRS = (("train", "val"), ("train", "test"), ("val", "test"))


def disjoint(splits: Splits) -> Iterator[str]:
    """Yield in which splits a simulated example stands that stands in another one."""
    seen: dict[bytes, str] = {}
    for name in SPLIT_NAMES:
        for key in _keys(getattr(splits, name).inputs):
            if seen.setdefault(key, name) != name:
                yield f"an example of '{seen[key]}' stands in '{name}', too"


def repeated(splits: Splits) -> Iterator[str]:
    """Yield which split repeats another one: more often than the first repeats itself, since real data have examples that occur twice."""
    keys = {name: _keys(getattr(splits, name).inputs) for name in SPLIT_NAMES}
    for first, second in _PAIRS:
        known = set(keys[first])
        counts = dict.fromkeys(known, 0)
        for key in keys[first]:
            counts[key] += 1
        usual = sum(count for count in counts.values() if count > 1)
        found = sum(key in known for key in keys[second])
        if _too_many(found, len(keys[second]), usual, len(keys[first])):
            yield f"{found} of {len(keys[second])} examples of '{second}' stand in '{first}', too; in itself it repeats {usual} of {len(keys[first])}"


def nearly_repeated(splits: Splits, *, table: bool, simulated: bool) -> Iterator[str]:
    """Yield which split has examples of another one but for noise, offset and scale (rows of a ``table``: for noise).

    What differs from another example by rounding alone is a copy where data are ``simulated``; else a few such pairs prove nothing.
    """
    rows = {name: _rows(getattr(splits, name).inputs, table) for name in SPLIT_NAMES}
    for first, second in _PAIRS:
        one, other = rows[first], rows[second]
        if one is None or other is None or len(one) < 3 or not len(other):
            continue
        own, across = _nearest(one, one, itself=True), _nearest(other, one)
        unit = float(np.median(own))
        # Exact copies are told by themselves.
        across = across[across > 0]
        if not unit or not len(across):
            continue
        copies = int((across < _ROUNDING * unit).sum()) if simulated and not (own < _ROUNDING * unit).any() else 0
        found, usual = int((across < _NOISE * unit).sum()), int((own < _NOISE * unit).sum())
        if copies or _too_many(found, len(other), usual, len(one)):
            yield f"{max(copies, found)} of {len(other)} examples of '{second}' are nearly examples of '{first}': the same but for noise or scale"


def _keys(examples: Examples) -> list[bytes]:
    return [hashlib.sha256(np.ascontiguousarray(example).data).digest() for example in examples[:]]


def _too_many(found: int, count: int, usual: int, among: int) -> bool:
    """Return whether ``found`` of ``count`` is more than chance makes of a share of ``usual`` among ``among``: three standard errors."""
    if not count or not among:
        return False
    share = usual / among
    return found / count > share + 3 * math.sqrt(max(share * (1 - share), 1 / count) / count)


def _rows(examples: Examples, table: bool) -> NDArray[np.float64] | None:
    """Return examples as rows [n values], each of mean 0 and size 1 except those of a table; None where they are no finite numbers."""
    count = min(len(examples), _EXAMPLES)
    # A proxy may have no test split.
    if not count:
        return None
    values = np.asarray(examples[:count]).reshape(count, -1)
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        return None
    values = values[:, :: -(-values.shape[1] // _VALUES)].astype(np.float64)
    if table:
        return values
    values -= values.mean(axis=1, keepdims=True)
    return values / np.maximum(values.std(axis=1, keepdims=True), np.finfo(np.float64).tiny)


def _nearest(rows: NDArray[np.float64], others: NDArray[np.float64], *, itself: bool = False) -> NDArray[np.float64]:
    """Return the distance of each row to the nearest of ``others``, to another one where these are the rows themselves."""
    from scipy.spatial.distance import cdist

    distances = cdist(rows, others)
    if itself:
        np.fill_diagonal(distances, np.inf)
    nearest: NDArray[np.float64] = distances.min(axis=1)
    return nearest
