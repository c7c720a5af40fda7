"""Numbers as a reader wants them."""

from __future__ import annotations


def number(value: float | None) -> str:
    """Return a score with four significant digits, ``-`` for none."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 10 else f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """Return seconds as ``8.2 s``, ``3.1 min`` or ``2.4 h``, ``-`` for none."""
    if seconds is None:
        return "-"
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def count(value: float | None) -> str:
    """Return a number of weights or bytes as ``1.2 k``, ``3.4 M`` or ``5.6 G``, ``-`` for none."""
    if value is None:
        return "-"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f}"
