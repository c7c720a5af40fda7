"""From the rows of a table to the numbers that a network takes: scaling, categories, missing values; fitted on chosen rows only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.table import Column, Table

#: Channels of an encoded feature before those of its categories.
VALUE, MISSING = 0, 1
FIRST_CATEGORY = 2


@dataclass(frozen=True)
class NumberScale:
    """Mean and standard deviation of a column of numbers over the rows that it was fitted on."""

    mean: float
    std: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> NumberScale:
        """Fit to the observed of ``values``; a constant or empty column keeps deviation 1."""
        seen = values[~np.isnan(values)]
        std = float(seen.std()) if len(seen) else 0.0
        return cls(float(seen.mean()) if len(seen) else 0.0, std if std > 0 else 1.0)

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of mean 0 and deviation 1; a missing one becomes 0, the mean."""
        return np.nan_to_num((values - self.mean) / self.std, nan=0.0)


def encode_features(table: Table, fitted: NDArray[np.integer], slots: int) -> NDArray[np.float32]:
    """Return ``[rows 2 + slots features]``: one place per feature.

    Channel 0 is the scaled number (0 for categories), channel 1 is 1 where the value is missing, and the others are the category, one-hot. Scale and
    categories are those of the rows ``fitted``; a category that never occurs there is 0 in all channels. Of more than ``slots`` categories the most
    frequent have a channel.
    """
    encoded = np.zeros((len(table), FIRST_CATEGORY + slots, len(table.columns)), dtype=np.float32)
    for place, column in enumerate(table.columns):
        encoded[:, MISSING, place] = np.isnan(column.values)
        if column.categories is None:
            encoded[:, VALUE, place] = NumberScale.of(column.values[fitted]).apply(column.values)
        else:
            encoded[:, FIRST_CATEGORY:, place] = _one_hot(column.values, category_order(column, fitted)[:slots], slots)
    return encoded


def encode_as_released(table: Table, fitted: NDArray[np.integer], slots: int) -> NDArray[np.float32]:
    """Return the released layout of ORCA: ``[rows features 1]`` for numbers alone (``slots`` 0), else ``[rows slots + 1 features]``.

    Numbers alone: all features are channels of a single place; a column with a missing value counts for nothing (released: it is dropped; here it is
    zeros, which adds nothing to a convolution). Otherwise the columns of categories come first, one-hot with "missing" as one more category; then the
    numbers, missing ones set to 0 *before* scaling, in the first channel. Released code fits all of it on every row, the test rows included.
    """
    if slots == 0:
        scaled = [
            np.zeros(len(table)) if np.isnan(column.values).any() else NumberScale.of(column.values[fitted]).apply(column.values)
            for column in table.columns
        ]
        return np.stack(scaled, axis=1).astype(np.float32)[:, :, None]
    ordered = sorted(table.columns, key=lambda column: column.categories is None)
    encoded = np.zeros((len(table), slots + 1, len(ordered)), dtype=np.float32)
    for place, column in enumerate(ordered):
        if column.categories is None:
            values = np.nan_to_num(column.values, nan=0.0)
            encoded[:, 0, place] = NumberScale.of(values[fitted]).apply(values)
        else:
            order = category_order(column, fitted)[:slots]
            missing = np.isnan(column.values)
            encoded[:, :slots, place] = _one_hot(column.values, order, slots)
            encoded[missing, len(order), place] = 1
    return encoded


def category_order(column: Column, fitted: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the categories that occur in the rows ``fitted``, most frequent first; of equal ones the alphabetically first."""
    seen = column.values[fitted]
    counts = np.bincount(seen[~np.isnan(seen)].astype(np.int64), minlength=len(column.categories or ()))
    order = np.argsort(-counts, kind="stable")
    return order[counts[order] > 0]


def _one_hot(values: NDArray[np.float64], order: NDArray[np.int64], slots: int) -> NDArray[np.bool_]:
    known = np.full(slots, -1.0)
    known[: len(order)] = order
    return values[:, None] == known[None, :]
