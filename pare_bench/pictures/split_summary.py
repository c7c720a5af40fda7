"""What the splits of a task hold: shapes, ranges of values, and how often each class or label occurs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pare_bench.contracts.task import SPLIT_NAMES, Split, Splits


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds: shapes, ranges over the first ``seen`` samples, and how often each class or label occurs among them."""

    split: str
    count: int
    seen: int
    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    input_range: tuple[float, float]
    target_range: tuple[float, float]
    classes: Mapping[int, int] = field(default_factory=dict)


#: Samples of a split that ranges and counts are taken over: official data may be larger than memory.
MOST_SEEN = 1000


def summary(splits: Splits) -> list[SplitSummary]:
    """Return what each split holds."""
    return [_summary(name, getattr(splits, name)) for name in SPLIT_NAMES]


def _summary(name: str, split: Split) -> SplitSummary:
    seen = min(len(split), MOST_SEEN)
    lows, highs = [], []
    for start in range(0, seen, 50):
        values = np.asarray(split.inputs[start : min(start + 50, seen)])
        lows.append(float(np.nanmin(values)))
        highs.append(float(np.nanmax(values)))
    targets = np.asarray(split.targets[:seen])
    counts: dict[int, int] = {}
    if targets.ndim == 1:
        counts = {int(number): int(count) for number, count in zip(*np.unique(targets, return_counts=True), strict=True)}
    elif targets.ndim == 2 and np.isin(targets, (0, 1)).all():
        counts = {label: int(count) for label, count in enumerate(targets.sum(axis=0))}
    return SplitSummary(
        name,
        len(split),
        seen,
        tuple(split.inputs.shape[1:]),
        tuple(targets.shape[1:]),
        (min(lows), max(highs)),
        (float(np.nanmin(targets)), float(np.nanmax(targets))),
        counts,
    )
