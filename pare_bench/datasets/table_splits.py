"""Splits of the rows of a table: stratified, from an explicit seed, the same for every method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pare_bench.seeds import stream

#: Of five rows of a class: three to learn from, one to choose by, one to be scored.
_PATTERN = np.array([0, 1, 0, 2, 0])


def stratified_rows(labels: NDArray[np.int64], name: str, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of train (three fifths), val and test (a fifth each), ascending; each class is divided so to within one row.

    Raises:
        ValueError: there are fewer than five rows.
    """
    if len(labels) < 5:
        raise ValueError(f"{len(labels)} rows cannot be split, five are needed")
    rng = stream("rows of a table", name, seed)
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    parts = _PATTERN[(np.arange(len(labels)) + int(rng.integers(5))) % 5]
    train, val, test = (np.sort(by_class[parts == part]) for part in range(3))
    return train, val, test


def released_rows(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the released split: a stratified tenth is test, by scikit-learn's shuffle split with ``random_state`` = ``seed`` (published: 0).

    Raises:
        ValueError: a class has a single row.
    """
    from sklearn.model_selection import StratifiedShuffleSplit

    (train, test) = next(StratifiedShuffleSplit(n_splits=1, test_size=0.1, random_state=seed % 2**32).split(np.zeros(len(labels)), labels))
    return train.astype(np.int64), test.astype(np.int64)
