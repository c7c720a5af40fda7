"""Tables: columns that are numbers or categories, and a class for each row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Column:
    """One feature: float64 values ``[rows]``, NaN where missing.

    ``categories`` is None for numbers; else the values are indices into it, and its order means nothing.
    """

    name: str
    values: NDArray[np.float64]
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Table:
    """Features in their published order, ``labels`` int64 ``[rows]``, what the classes are called, and ``target``, the name of their column.

    Raises:
        ValueError: columns of different lengths, or a number that is infinite.
    """

    columns: tuple[Column, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    target: str = "class"

    def __post_init__(self) -> None:
        for column in self.columns:
            if column.values.shape != self.labels.shape:
                raise ValueError(f"column '{column.name}' has {len(column.values)} rows, the labels have {len(self.labels)}")
            if np.isinf(column.values).any():
                raise ValueError(f"column '{column.name}' holds an infinite number")

    def __len__(self) -> int:
        return len(self.labels)
