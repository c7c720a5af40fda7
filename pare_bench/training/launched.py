"""How many processes do this run together, as the launcher's variables say; light, for whatever prints asks it."""

from __future__ import annotations

import os


def launched_processes() -> int:
    """Return how many processes the launcher started, 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1")) if {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys() else 1


def is_main_process() -> bool:
    """Return whether this process is the one that prints and writes."""
    return launched_processes() == 1 or os.environ["RANK"] == "0"
