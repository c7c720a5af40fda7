"""From what is asked for to runs: what ``auto`` stands for here, requests, and what they come to. The command line and Python ask here."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from pare_bench.config.rates import PATH, rate_notes
from pare_bench.config.resolution import Planned, Request, Unresolved, resolve, resolve_each
from pare_bench.config.run_config import Tier
from pare_bench.datasets.official import data_root
from pare_bench.datasets.tiers import auto_tier
from pare_bench.registry.names import Registry
from pare_bench.runs.plans import Plans

#: Takes a line that says what ``auto`` has become.
Say = Callable[[str], None]


def requests_of(
    registry: Registry,
    methods: Sequence[str],
    suite: str,
    tasks: tuple[str, ...],
    seeds: tuple[int, ...],
    preset: str,
    tier: str,
    track: str,
    device: str,
    overrides: tuple[str, ...],
    say: Say,
) -> list[Request]:
    """Return what is asked for, a request for each method; ``tasks`` empty: all of the suite. ``preset`` and ``tier`` may be ``auto``."""
    wanted = [name for name in registry.spec("suite", suite).tasks if not tasks or name in tasks]
    tiers = auto_tiers(registry, wanted, say) if tier == "auto" else {}
    chosen = auto_preset(registry, device, wanted, tiers, tier, say) if preset == "auto" else preset
    tier = "generated" if tier == "auto" else tier
    return [Request(method, suite, tasks, chosen, tier, tiers, track, seeds, device, overrides) for method in methods]


def planned_of(registry: Registry, requests: Sequence[Request], say: Say, *, fail_fast: bool) -> list[Planned]:
    """Return the runs of several requests with the same ``-o`` settings, and say which of them take another learning rate than their preset's.

    Raises:
        UsageError: a name, path or value does not fit.
        PareBenchError: as the first run says that cannot be resolved, under ``fail_fast``.
    """
    plans = Plans()
    planned: list[Planned] = []
    for request in requests:
        planned += resolve(registry, request, plans.one) if fail_fast else resolve_each(registry, request, plans.one)
    plans.save()
    if not any(text.startswith(f"{PATH}=") for text in requests[0].overrides):
        for line in rate_notes(registry, (each for each in planned if not isinstance(each, Unresolved))):
            say(line)
    return planned


def auto_tiers(registry: Registry, tasks: Sequence[str], say: Say) -> dict[str, str]:
    """Return the tier that ``auto`` takes for each task, and say so in one line."""
    tiers = {name: auto_tier(registry, name) for name in tasks}
    kinds = sorted(set(tiers.values()), key=get_args(Tier).index, reverse=True)
    if len(kinds) == 1 and kinds != ["official"]:
        say(f"tier auto: no official files in '{data_root()}', so the data are {kinds[0]}")
    else:
        say("tier auto: " + "; ".join(f"{kind} data for {', '.join(name for name in tasks if tiers[name] == kind)}" for kind in kinds))
    return tiers


def auto_preset(registry: Registry, device: str, tasks: Sequence[str], tiers: Mapping[str, str], tier: str, say: Say) -> str:
    """Return the preset that ``auto`` takes: paper with a GPU and official data, else cpu; ``tiers`` has the tasks whose tier is not ``tier``."""
    if device == "cpu":
        return "cpu"
    if not all(tiers.get(task, tier) == "official" and registry.component("task", task).released_configurations for task in tasks):
        return "cpu"
    say("preset auto: paper, since there are a GPU and official data")
    return "paper"


def auto_device() -> str:
    """Return the device that ``auto`` takes."""
    if not _has_gpu_driver():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _has_gpu_driver() -> bool:
    """Return whether there may be a GPU that torch can use: without a driver there is none, and torch need not be imported to say so."""
    if Path("/dev/kfd").exists():
        return True
    for library in ("libcuda.so.1", "libcuda.so", "nvcuda.dll"):
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return True
    return False
