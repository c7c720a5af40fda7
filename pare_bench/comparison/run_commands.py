"""The ``pare-bench run`` that makes what a comparison lacks."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from pare_bench.records.variants import Division, method_name, settings_of


@dataclass(frozen=True)
class Wanted:
    """What was asked to be compared.

    ``tasks`` empty means those that any of the methods has run; ``suite_tasks`` and ``known_methods`` are what is registered, empty when
    unknown; ``out`` is the folder of the records.
    """

    methods: tuple[str, ...]
    suite: str
    tier: str | None = None
    track: str = "clean"
    preset: str | None = None
    tasks: tuple[str, ...] = ()
    suite_tasks: tuple[str, ...] = ()
    known_methods: tuple[str, ...] = ()
    out: str = "leaderboard"


def run_command(
    wanted: Wanted,
    method: str,
    tasks: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    options: Sequence[str] = (),
    *,
    division: Division | None = None,
) -> str:
    """Return the ``pare-bench run`` that makes records of a method or variant, without the options that are default."""
    words = ["pare-bench", "run", "--method", method_name(method), "--suite", wanted.suite]
    if set(tasks) != set(wanted.suite_tasks):
        words += [word for task in tasks for word in ("--task", task)]
    words += ["--seeds", seed_text(seeds)]
    words += [word for option in [*options, *settings_of(method)] for word in ("-o", option)]
    return shlex.join([*words, *place_options(wanted, division)])


def place_options(wanted: Wanted, division: Division | None) -> list[str]:
    """Return the options that say where runs belong, without those that are default."""
    preset, tier = (division.preset, division.tier) if division else (wanted.preset, wanted.tier)
    given = (("--preset", preset, "cpu"), ("--tier", tier, "generated"), ("--track", wanted.track, "clean"), ("--out", wanted.out, "leaderboard"))
    return [word for flag, value, usual in given if value not in (None, usual) for word in (flag, str(value))]


def seed_text(seeds: Sequence[int]) -> str:
    """Return seeds as ``--seeds`` takes them: ``0-2,5``."""
    runs: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
