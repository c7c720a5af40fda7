"""What a design would see, before anything is trained: from the variances between two methods that the records show."""

from __future__ import annotations

import statistics as plain
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from pare_bench import statistics
from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.contrasts import Pair, contrasts
from pare_bench.comparison.table_parts import Sentence, Table, many, points
from pare_bench.comparison.task_rows import is_the_floor, task_row
from pare_bench.records.record import RunRecord
from pare_bench.records.variants import Division, counted, data_of, division_of, label_records, preferred_data
from pare_bench.statistics import POWER

SCHEMA = "pare-bench/power/1"
#: Numbers of seeds that are told unless others are asked for.
SEEDS = (3, 5, 8, 16)


@dataclass(frozen=True)
class Design:
    """What ``seeds`` seeds would see of a pair of methods with 80% power.

    ``over_tasks`` is the smallest mean gain over as many tasks; ``tasks`` has the smallest difference on each task, in shares of the way from floor
    to perfect score. None, or nothing, where the records do not show the variance between seeds: that takes two of them.
    """

    seeds: int
    over_tasks: float | None
    tasks: Mapping[str, float]


def designs(pair: Pair, counts: Sequence[int]) -> tuple[Design, ...]:
    """Return what each number of seeds (two or more) would see, on the tasks that the methods were compared on.

    Variances are estimates from the seeds that were run: those of three seeds may be off by half, and so may what is told of a single task.
    """
    effect = pair.effect
    own = min(detail.seeds for detail in pair.details.values())
    made = []
    for count in counts:
        error = None if effect is None else statistics.with_design(effect, own, count, effect.tasks)
        over = None if error is None or effect is None or effect.tasks < 2 else statistics.detectable(effect.tasks - 1) * error
        single = {
            task: statistics.detectable(count - 1) * detail.gain_error * (detail.seeds / count) ** 0.5
            for task, detail in pair.details.items()
            if detail.gain_error is not None and detail.gain is not None
        }
        made.append(Design(count, over, single))
    return tuple(made)


def power_parts(comparison: Comparison, found: Sequence[Design]) -> list[Table | Sentence]:
    """Return the table of what designs would see, and below it a sentence on where the variances are from."""
    (pair,) = comparison.pairs
    rows = []
    for design in found:
        single = sorted(design.tasks.values())
        ends = (points(single[0]), points(plain.median(single)), points(single[-1])) if single else ("-", "-", "-")
        rows.append((str(design.seeds), "-" if design.over_tasks is None else points(design.over_tasks), *ends))
    suite, tier, track, preset = comparison.division
    table = Table(
        f"{pair.first} against {pair.second} on {suite}, tier {tier}, track {track}, preset {preset}: the smallest difference seen, in points",
        ("seeds", f"mean over {many(len(comparison.tasks), 'task')}", "best task", "median task", "worst task"),
        tuple(rows),
        (),
        f"seen: the 95% interval leaves 0 out with {POWER:.0%} power; a point is a hundredth of the way from floor to perfect score; single tasks: "
        "over seeds, paired",
    )
    effect = pair.effect
    if effect is None or effect.between is None or effect.within is None:
        return [
            table,
            Sentence("The records show no variance between seeds, or between tasks: that takes two of each, and tasks with a common scale."),
        ]
    own = min(detail.seeds for detail in pair.details.values())
    text = f"By the records: the difference varies from task to task by {points(effect.between**0.5)} points (standard deviation), "
    text += f"from seed to seed of a task by {points((effect.within * own) ** 0.5)}. Observed: {points(effect.mean)}."
    return [table, Sentence(text)]


def as_document(comparison: Comparison, found: Sequence[Design]) -> dict[str, Any]:
    """Return what designs would see as JSON, schema ``pare-bench/power/1``; differences are shares of the way from floor to perfect score."""
    (pair,) = comparison.pairs
    effect = pair.effect
    return {
        "schema": SCHEMA,
        **comparison.division._asdict(),
        "first": pair.first,
        "second": pair.second,
        "power": POWER,
        "num_tasks": len(comparison.tasks),
        "observed": None if effect is None else effect.mean,
        "variance_between_tasks": None if effect is None else effect.between,
        "variance_within_tasks": None if effect is None else effect.within,
        "measured_seeds": min(detail.seeds for detail in pair.details.values()),
        "designs": [{"seeds": each.seeds, "over_tasks": each.over_tasks, "tasks": dict(each.tasks)} for each in found],
    }


def expected_sentence(records: Iterable[RunRecord], division: Division, tasks: Sequence[str], seeds: int) -> str | None:
    """Return what ``seeds`` seeds on ``tasks`` would see of two methods, by all pairs of methods in the store that have two seeds on each of them.

    None where there are no such two: then nothing is known of the variances.
    """
    pool = [record for record in records if division_of(record) == division and record.task.name in tasks]
    data = {task: preferred_data(own) for task in tasks if (own := [record for record in pool if record.task.name == task])}
    found: dict[str, dict[str, dict[int, RunRecord]]] = {}
    for label, group in label_records(pool).items():
        runs: dict[str, dict[int, RunRecord]] = {}
        for (task, own_data, seed), record in counted(record for record in group if data_of(record) == data[record.task.name])[0].items():
            if record.status == "ok" and own_data == data[task]:
                runs.setdefault(task, {})[seed] = record
        if (
            set(runs) == set(tasks)
            and min(map(len, runs.values())) > 1
            and not is_the_floor((record.primary.value, record.floor) for group in runs.values() for record in group.values())
        ):
            found[label] = runs
    if len(found) < 2 or len(tasks) < 2 or seeds < 2:
        return None
    rows = [task_row(task, {label: runs[task] for label, runs in found.items()}) for task in tasks]
    pairs = contrasts(rows, list(combinations(found, 2)))
    seen = sorted(design.over_tasks for pair in pairs for design in designs(pair, [seeds]) if design.over_tasks is not None)
    if not seen:
        return None
    middle = f", {points(plain.median(seen))} in the median" if len(seen) > 2 else ""
    text = f"{many(len(tasks), 'task')} and {many(seeds, 'seed')} see a mean difference of {points(seen[0])}"
    text += f" to {points(seen[-1])} points of gain{middle}" if len(seen) > 1 else " points of gain"
    return f"{text} with {POWER:.0%} power, by the variances between the {len(found)} methods in the store"
