"""What of a suite is there: for every method, task and seed whether it is done, out of date, failed, running or missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pare_bench.provenance.explanation import Difference, changes_since, outdated, sentence
from pare_bench.records.glance import Glance
from pare_bench.records.variants import Division, age, data_changes, extended, label_records, method_name
from pare_bench.registry.names import Registry
from pare_bench.runs.marks import RunningRun

State = Literal["ok", "skipped", "stale", "failed", "running", "interrupted", "missing"]
STATES: tuple[State, ...] = ("ok", "skipped", "stale", "failed", "running", "interrupted", "missing")


@dataclass(frozen=True)
class Cell:
    """One run of a plan. ``detail`` is the reason of a failure or skip, what changed, or where it is being run."""

    division: Division
    method: str
    task: str
    seed: int
    state: State
    run_id: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Asked:
    """Which runs are asked for; empty or None: all that any record knows of, on every task of the suite."""

    suite: str
    methods: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    preset: str | None = None
    tier: str | None = None
    track: str | None = None

    def wants(self, division: Division, method: str, task: str) -> bool:
        """Return whether a method, or a variant of it, on a task is asked for."""
        return (
            division.suite == self.suite
            and self.preset in (None, division.preset)
            and self.tier in (None, division.tier)
            and self.track in (None, division.track)
            and (not self.methods or method in self.methods or method_name(method) in self.methods)
            and (not self.tasks or task in self.tasks)
        )


def inventory(registry: Registry, records: Iterable[Glance], running: Sequence[RunningRun], asked: Asked) -> list[Cell]:
    """Return the runs of a suite, by division, method, task (in suite order) and seed.

    A method is named with every setting in which its runs differ from what the preset gives, those of the data included: what stands under a plain
    name is what a plain command would find. A run is ``stale`` when its code has changed since its record was written: the same command would do it
    again. What is ``missing`` are the seeds asked for, or those that any run of the same method in the same division has.
    """
    tasks = [task for task in registry.spec("suite", asked.suite).tasks if not asked.tasks or task in asked.tasks]
    newest: dict[tuple[Division, str], dict[tuple[str, int], Glance]] = defaultdict(dict)
    for division, group in _by_division(records).items():
        for label, runs in label_records(group).items():
            for record in sorted(runs, key=age):
                name = extended(label, data_changes(record))
                if asked.wants(division, name, record.task.name) and (not asked.seeds or record.seed in asked.seeds):
                    newest[division, name][record.task.name, record.seed] = record
    since = _Since(registry)
    begun: dict[tuple[Division, str], dict[tuple[str, int], RunningRun]] = defaultdict(dict)
    for run in running:
        division = Division(run.suite, run.tier, run.track, run.preset)
        if asked.wants(division, run.method, run.task) and (not asked.seeds or run.seed in asked.seeds):
            begun[division, run.method][run.task, run.seed] = run
    cells: list[Cell] = []
    groups = sorted({*newest, *begun}) or []
    for key in [*groups, *_unknown_methods(groups, asked)]:
        found, at_work = newest.get(key, {}), begun.get(key, {})
        seeds = asked.seeds or tuple(sorted({seed for _, seed in {*found, *at_work}})) or (0,)
        cells += [
            _cell(since, key, task, seed, found.get((task, seed)), at_work.get((task, seed)))
            for task in [*tasks, *sorted({name for name, _ in found} - set(tasks))]
            for seed in seeds
        ]
    return cells


def _unknown_methods(groups: Sequence[tuple[Division, str]], asked: Asked) -> list[tuple[Division, str]]:
    """Return methods that were asked for and have nothing at all, in the divisions that there are; a variant does not stand for the plain method."""
    have = {label for _, label in groups}
    divisions = sorted({division for division, _ in groups}) or [
        Division(asked.suite, asked.tier or "generated", asked.track or "clean", asked.preset or "cpu")
    ]
    return [(division, method) for division in divisions for method in asked.methods if method not in have]


def _by_division(records: Iterable[Glance]) -> Mapping[Division, list[Glance]]:
    groups: dict[Division, list[Glance]] = defaultdict(list)
    for record in records:
        groups[Division(record.suite, record.tier, record.track, record.preset)].append(record)
    return groups


class _Since:
    """What has changed since runs, found out once for all that were made by the same code of the same components."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[tuple[Any, ...], tuple[list[Difference] | None, str | None]] = {}

    def __call__(self, record: Glance) -> tuple[list[Difference] | None, str | None]:
        if record.kind not in self._known:
            self._known[record.kind] = changes_since(self._registry, record.components, record.code_sha256, record.identity())
        return self._known[record.kind]


def _cell(since: _Since, key: tuple[Division, str], task: str, seed: int, record: Glance | None, at_work: RunningRun | None) -> Cell:
    division, method = key
    if at_work is not None:
        state, detail = _progress(at_work)
        return Cell(division, method, task, seed, state, at_work.run_id, detail)
    if record is None:
        return Cell(division, method, task, seed, "missing")
    if record.status == "failed":
        return Cell(division, method, task, seed, "failed", record.run_id, record.reason)
    changed, unknown = since(record)
    if changed is None:
        # A record that did not keep its parts is not served; one of a component that is not installed here says nothing about the code.
        return Cell(division, method, task, seed, "stale" if not record.keeps_identity else _state(record), record.run_id, unknown or "")
    if again := outdated(changed):
        return Cell(division, method, task, seed, "stale", record.run_id, sentence(again))
    return Cell(division, method, task, seed, _state(record), record.run_id, record.reason or sentence(changed))


def _state(record: Glance) -> State:
    return "ok" if record.status == "ok" else "skipped"


def _progress(run: RunningRun) -> tuple[State, str]:
    if run.alive():
        return "running", run.whose()
    return "interrupted", "goes on from its checkpoint" if run.checkpoint else "no checkpoint yet: begins anew"
