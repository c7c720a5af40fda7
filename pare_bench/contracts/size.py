"""How much data, and by which protocol: what a configuration names without touching any data, and so without numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: ``clean``: validation apart from train, whole-set metrics. ``paper``: what the released code does (docs/tracks.md).
Track = Literal["clean", "paper"]


@dataclass(frozen=True)
class TaskSize:
    """Number of examples in each split."""

    train: int
    val: int
    test: int
