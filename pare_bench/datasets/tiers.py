"""Which tier of a task is there."""

from __future__ import annotations

from pare_bench.datasets.official import data_root, state_of
from pare_bench.registry.names import Registry


def auto_tier(registry: Registry, task: str) -> str:
    """Return the tier that ``auto`` takes: official where the published files are, else the one that needs none.

    A task that has published files alone is asked for them: what is missing and where it can be had is said when they are read.
    """
    if task not in registry.names("task"):
        return "generated"
    try:
        present = state_of(data_root(), task, registry.component("task", task).official_files) == "present"
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - whatever is wrong with the task is told when its runs are resolved
        present = False
    return "official" if present else registry.spec("task", task).offline_tier or "official"
