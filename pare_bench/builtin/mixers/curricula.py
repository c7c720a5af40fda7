"""Curricula: the share of source tokens as a function of training progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

#: name -> share(begin, end, progress). ``begin`` is the share at progress 0 and ``end`` the share at progress 1 (reversed: the other way round).
CURRICULA: Mapping[str, Callable[[float, float, float], float]] = {
    "linear": lambda begin, end, progress: begin + (end - begin) * progress,
    "constant": lambda begin, end, progress: begin,  # noqa: ARG005 - one signature for all
    "cosine": lambda begin, end, progress: end + (begin - end) * (1 + math.cos(math.pi * progress)) / 2,
    "reversed": lambda begin, end, progress: end + (begin - end) * progress,
}


def source_share(name: str, begin: float, end: float, progress: float) -> float:
    """Return the share of source tokens of curriculum ``name`` at ``progress`` in [0, 1].

    Raises:
        ValueError: ``progress`` is outside [0, 1].
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"progress = {progress} is outside [0, 1]")
    return CURRICULA[name](begin, end, progress)
