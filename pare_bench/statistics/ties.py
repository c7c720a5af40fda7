"""When two numbers are equal: one rule for ranks, signed ranks, differences, floors and what is printed.

A mean over seeds is exact only to rounding: .9900 .9875 .9925 have a mean that differs from .99 in its last bit. Equality of floats would rank two
such methods, and count their difference as one.
"""

from __future__ import annotations

import math
import sys

#: Numbers are equal that differ by at most this share of the larger: a million times rounding, a thousandth of what a million test examples can show.
RELATIVE = 1e-9


def same(first: float, second: float, scale: float = 0.0) -> bool:
    """Return whether two numbers are equal; ``scale`` is the size of what they were computed from, where that is larger than they are."""
    # Two infinities of one sign are equal, though their difference is not a number; an infinity equals nothing else.
    return first == second or abs(first - second) <= RELATIVE * max(abs(first), abs(second), scale) < math.inf


def difference(first: float, second: float) -> float:
    """Return first - second, exactly 0 where the two are equal, and the largest float where it would overflow."""
    return 0.0 if same(first, second) else bounded(first - second)


def bounded(value: float) -> float:
    """Return a number with infinity replaced by the largest float, so that what overflows can still be printed and compared."""
    return min(max(value, -sys.float_info.max), sys.float_info.max)
