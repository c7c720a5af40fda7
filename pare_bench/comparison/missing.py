"""What a comparison lacks, and the command that makes it."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from pare_bench.comparison.run_commands import Wanted, place_options, run_command
from pare_bench.comparison.task_rows import score_of
from pare_bench.config.presets import PRESETS
from pare_bench.config.run_config import Tier
from pare_bench.errors import DataMissingError, UsageError, unknown_name
from pare_bench.records.record import RunRecord
from pare_bench.records.variants import Data, Division, age, data_changes, data_of, division_of, label_records, method_name, preferred_data

#: Newest records as method -> task -> data -> seed -> record.
Found = Mapping[str, Mapping[str, Mapping[Data, Mapping[int, RunRecord]]]]

#: What to do where a method has no score on a task: stop, leave the task out, or put the method last there.
Policy = Literal["error", "drop-task", "worst-rank"]


def choose_division(wanted: Wanted, pool: Sequence[RunRecord]) -> Division:
    """Return the one division in which all methods that have records have some; of several the one that has all labels as they were asked for.

    A plain name means the plain run: runs with other settings on other data do not make it ambiguous.

    Raises:
        UsageError: a method is unknown, or there are several such divisions, or none because the methods were run in different ones.
        DataMissingError: no method has any record.
    """
    for method in map(method_name, wanted.methods):
        if wanted.known_methods and method not in wanted.known_methods and all(record.method.name != method for record in pool):
            raise unknown_name("method", method, wanted.known_methods, hint="pare-bench list method")
    for kind, value, known in (("preset", wanted.preset, tuple(PRESETS)), ("tier", wanted.tier, get_args(Tier))):
        if value is not None and value not in {*known, *(record.preset for record in pool)}:
            raise unknown_name(kind, value, known, hint=f"--{kind} {known[0]}")
    there = {(record.method.name, division_of(record)) for record in pool}
    chosen = {(name, division) for name, division in there if wanted.tier in (None, division.tier) and wanted.preset in (None, division.preset)}
    by_method = {method: sorted(division for name, division in chosen if name == method_name(method)) for method in wanted.methods}
    present = {method: divisions for method, divisions in by_method.items() if divisions}
    if not present:
        asked = (("preset", wanted.preset), ("tier", wanted.tier), ("track", wanted.track))
        where = ", ".join(f"{name} {value}" for name, value in asked if value is not None)
        raise DataMissingError(
            f"no records of {_quoted(wanted.methods)} for suite '{wanted.suite}', {where} in '{wanted.out}'",
            hint=" && ".join(run_command(wanted, method, wanted.tasks) for method in wanted.methods),
        )
    common = sorted(set.intersection(*map(set, present.values())))
    if len(common) > 1:
        common = [division for division in common if _has_labels(pool, division, wanted.methods)] or common
    if len(common) > 1:
        texts = " and for ".join(_where(division) for division in common)
        raise UsageError(
            f"there are records of {_quoted(wanted.methods)} for {texts}; these are never mixed",
            hint=f"choose one: --preset {common[0].preset} --tier {common[0].tier}",
        )
    if not common:
        texts = " and ".join(f"'{method}' was run with {', '.join(map(_where, divisions))}" for method, divisions in present.items())
        first, *others = present
        target = present[first][0]
        raise UsageError(
            f"{texts}; scores of different presets or tiers are never compared",
            hint="choose a --preset and --tier that all have, or make one: "
            + " && ".join(run_command(wanted, method, wanted.tasks, division=target) for method in others if target not in present[method]),
        )
    return common[0]


def _has_labels(pool: Sequence[RunRecord], division: Division, labels: Sequence[str]) -> bool:
    return set(labels) <= label_records(record for record in pool if division_of(record) == division).keys()


def choose_data(wanted: Wanted, division: Division, tasks: Sequence[str], found: Found, policy: Policy = "error") -> dict[str, Data]:
    """Return the tasks to compare on, each with the data on which every method that has a score there has one.

    Under ``error`` these are all ``tasks``, under ``drop-task`` those on which all methods have a score, under ``worst-rank`` those on which any has.

    Raises:
        DataMissingError: a method has no score on a task and the policy is ``error``, or it has none at all, or no task is left; the hint makes them.
        UsageError: the scores on a task are on different versions or bytes of its data.
    """
    on_task = {task: {method: _scored(found[method].get(task, {})) for method in wanted.methods} for task in tasks}
    gaps = {method: [task for task in tasks if not on_task[task][method]] for method in wanted.methods}
    enough = any if policy == "worst-rank" else all
    kept = [task for task in tasks if enough(on_task[task].values())]
    nowhere = any(len(gap) == len(tasks) for gap in gaps.values())
    if not kept or nowhere or (policy == "error" and any(gaps.values())):
        raise _missing(wanted, division, {method: gap for method, gap in gaps.items() if gap}, tasks, found)
    chosen = {}
    for task in kept:
        by_method = {method: data for method, data in on_task[task].items() if data}
        common = set.intersection(*by_method.values())
        if not common:
            raise _different_data(wanted, division, task, by_method, found)
        several = (record for record in _records(found, task) if data_of(record) in common)
        chosen[task] = next(iter(common)) if len(common) == 1 else preferred_data(several)
    return chosen


def _scored(groups: Mapping[Data, Mapping[int, RunRecord]]) -> set[Data]:
    return {data for data, runs in groups.items() if any(score_of(run) is not None for run in runs.values())}


def _missing(wanted: Wanted, division: Division, gaps: Mapping[str, Sequence[str]], tasks: Sequence[str], found: Found) -> DataMissingError:
    texts, commands, rerun = [], [], False
    for method, gap in gaps.items():
        reasons = {task: _reason(found[method].get(task, {})) for task in gap}
        texts.append(f"'{method}' has no score on {', '.join(task + reasons[task] for task in gap)}")
        groups: dict[tuple[tuple[int, ...], tuple[str, ...]], list[str]] = defaultdict(list)
        for task in gap:
            rerun = rerun or not reasons[task].startswith(" (skipped")
            groups[_like_others(wanted, method, task, found)].append(task)
        commands += [run_command(wanted, method, each, seeds, options, division=division) for (seeds, options), each in groups.items()]
    left = [task for task in tasks if all(task not in gap for gap in gaps.values())]
    if left and not rerun:
        # A skipped run says that the method cannot do the task: running it again would change nothing.
        only = [word for task in left for word in ("--task", task)]
        commands = [shlex.join(["pare-bench", "compare", *wanted.methods, "--suite", wanted.suite, *only, *place_options(wanted, division)])]
    return DataMissingError(f"{'; '.join(texts)} ({_where(division)})", hint=" && ".join(commands))


def _reason(groups: Mapping[Data, Mapping[int, RunRecord]]) -> str:
    unfinished = [record for runs in groups.values() for record in runs.values()]
    if not unfinished:
        return ""
    newest = max(unfinished, key=age)
    return f" ({newest.status}: {newest.reason})"


def _like_others(wanted: Wanted, method: str, task: str, found: Found) -> tuple[tuple[int, ...], tuple[str, ...]]:
    others = [record for record in _records({name: found[name] for name in wanted.methods if name != method}, task) if score_of(record) is not None]
    if not others:
        own = [record.seed for record in _records({method: found[method]}, task)]
        return tuple(sorted(set(own))) or (0,), ()
    data = preferred_data(others)
    same = [record for record in others if data_of(record) == data]
    return tuple(sorted({record.seed for record in same})), data_changes(max(same, key=age))


def _different_data(wanted: Wanted, division: Division, task: str, by_method: Mapping[str, set[Data]], found: Found) -> UsageError:
    newest = {method: max(data, key=lambda each: max(age(run) for run in found[method][task][each].values())) for method, data in by_method.items()}
    texts = [f"'{method}' on version {data.version} with digest {data.sha256[:12]}" for method, data in newest.items()]
    commands = [run_command(wanted, method, [task], *_like_others(wanted, method, task, found), division=division) for method in wanted.methods]
    message = f"the scores on task '{task}' are on different data and are never compared: {', '.join(texts)}"
    return UsageError(message, hint=" && ".join(commands))


def _records(found: Found, task: str) -> list[RunRecord]:
    return [record for tasks in found.values() for runs in tasks.get(task, {}).values() for record in runs.values()]


def _where(division: Division) -> str:
    return f"preset {division.preset}, tier {division.tier}"


def _quoted(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)
