"""What the proofs share: how often something is tried, and the command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

#: Seconds instead of minutes.
TINY = ("--preset", "smoke", "-o", "size.train=32", "-o", "size.val=16", "-o", "size.test=16", "-o", "budget.epochs=1", "-o", "recipe.batch_size=32")


def epochs(number: int) -> tuple[str, ...]:
    """The settings of ``TINY`` with another number of epochs."""
    return tuple(word.replace("budget.epochs=1", f"budget.epochs={number}") for word in TINY)


def count(short: int, long: int) -> int:
    """How often something is tried: ``short`` in CI, ``long`` with ``PARE_BENCH_PROOFS=long`` (docs/proofs.md)."""
    return long if os.environ.get("PARE_BENCH_PROOFS") == "long" else short


def command(*words, env=None, **options):
    """Run pare-bench as a console would and return the finished process; its text is captured."""
    process = [sys.executable, "-m", "pare_bench", *map(str, words)]
    return subprocess.run(process, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False, **options)
