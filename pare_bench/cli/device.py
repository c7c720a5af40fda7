"""What ``--device`` takes."""

from __future__ import annotations

import re

from pare_bench.cli import output
from pare_bench.errors import UsageError


def chosen_device(name: str) -> str:
    """Return the device that a name, or ``auto``, stands for.

    Raises:
        UsageError: it is none.
    """
    if name != "auto":
        return checked_device(name, "auto")
    from pare_bench.runs.asked import auto_device

    return auto_device()


def checked_device(name: str, *more: str) -> str:
    """Return the name of a device; ``more`` are words that the command takes besides and has dealt with.

    Raises:
        UsageError: it is none.
    """
    if re.fullmatch(r"cpu|cuda(:\d+)?|mps", name) is None:
        raise UsageError(f"--device '{name}' is not a device", hint=f"use {', '.join([*more, 'cpu'])}, cuda, cuda:N or mps")
    if name == "mps":
        output.note("device mps is untested: no score of pare-bench has been checked on it")
    return name
