"""What ``--device`` takes."""

from __future__ import annotations

import re

from pare_bench.errors import UsageError


def checked_device(name: str, *more: str) -> str:
    """Return the name of a device; ``more`` are words that the command takes besides and has dealt with.

    Raises:
        UsageError: it is none.
    """
    if re.fullmatch(r"cpu|cuda(:\d+)?", name) is None:
        raise UsageError(f"--device '{name}' is not a device", hint=f"use {', '.join([*more, 'cpu'])}, cuda or cuda:N")
    return name
