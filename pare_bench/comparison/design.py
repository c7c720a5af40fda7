"""What rank tests over so many tasks can show, and the notes below a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pare_bench import statistics
from pare_bench.comparison.contrasts import ALPHA
from pare_bench.comparison.table_parts import many, number
from pare_bench.comparison.task_rows import TaskRow
from pare_bench.records.record import RunRecord
from pare_bench.records.variants import Data, Division


def ranks_sentence(rows: Sequence[TaskRow], num_methods: int, reference: str | None = None) -> str:
    """Return what sign and signed-rank tests over these tasks can show whatever the scores are."""
    smallest, pairs = statistics.smallest_possible_p(len(rows)), statistics.holm_factor(num_methods)
    text = f"with {many(len(rows), 'task')} the smallest possible two-sided p of a signed-rank or sign test over tasks is {smallest:.2g}"
    if pairs > 1:
        text += f", {min(1.0, smallest * pairs):.2g} after Holm's correction for {pairs} pairs"
    if pairs > 1 and reference is not None:
        text += f" and {min(1.0, smallest * (num_methods - 1)):.2g} for the {num_methods - 1} pairs with {reference}"
    wins = statistics.fewest_wins(len(rows), pairs)
    if smallest * pairs > ALPHA:
        text += ", so no scores whatever could reach 0.05"
    elif wins is not None:
        text += f": a sign test takes {wins} wins of {len(rows)} to reach 0.05"
    return text


def notes(division: Division, rows: Sequence[TaskRow], suite_tasks: Sequence[str], dropped: Sequence[str], rope: float) -> tuple[str, ...]:
    """Return what a reader must know of the data, of tasks that are not compared, and of runs that failed or are missing."""
    found = []
    if division.tier == "generated":
        found.append("tier generated: the data are simulated twins of the published ones; scores are not comparable with published numbers")
    if division.tier == "bundled":
        where = "comparable with published numbers only where a task's page says that its splits are the published ones"
        found.append(f"tier bundled: real data that a package ships; scores are {where}")
    if division.track == "paper":
        found.append("track paper: as in the released code the validation data are the test data, so scores are optimistic")
    absent = [task for task in suite_tasks if task not in {row.task for row in rows} | set(dropped)]
    if absent:
        found.append(f"{len(rows)} of the {len(suite_tasks)} tasks of suite {division.suite}; not compared: {', '.join(absent)}")
    unscaled = [row.task for row in rows if row.span is None]
    if unscaled and rope:
        found.append(f"no common scale (no floor that is worse than perfect) on {', '.join(unscaled)}: only equal scores are practically equal there")
    for row in rows:
        found += _row_notes(row)
    low = [f"{', '.join(names)} on {row.task}" for row in rows if (names := _no_better(row))]
    if low:
        found.append(f"no better than the constant floor: {'; '.join(low)}")
    return tuple(found)


def mixed_versions(records: Iterable[RunRecord]) -> tuple[str, ...]:
    """Return one note where runs that are compared were made with different versions of a library, none where they were not."""
    versions: dict[str, set[str]] = {}
    for record in records:
        for library, version in (record.identity.libraries if record.identity is not None else {}).items():
            versions.setdefault(library, set()).add(version)
    mixed = [f"{library} {', '.join(sorted(found))}" for library, found in sorted(versions.items()) if len(found) > 1]
    return (f"the runs were made with different versions of libraries ({'; '.join(mixed)}), which may move scores a little",) if mixed else ()


def _row_notes(row: TaskRow) -> list[str]:
    found = []
    if len({tuple(cell.seeds) for cell in row.cells.values() if cell.seeds}) > 1:
        rule = f"differences are over common ones where two methods have {statistics.VERDICT_SEEDS}, else over all of both"
        found.append(f"{row.task}: the methods have different seeds; means are over each one's own, {rule}")
    if row.other_floors:
        others = ", ".join(map(number, row.other_floors))
        found.append(f"{row.task}: the records disagree on the floor: {number(row.floor)} in the newest, which is used, {others} in others")
    for method, cell in row.cells.items():
        end = "it takes the last rank" if cell.last else "its mean leaves this seed out"
        found += [f"{row.task}: {method} seed {seed} {reason}; {end}" for seed, reason in cell.failed.items()]
        if cell.mean is None and not cell.failed:
            found.append(f"{row.task}: {method} has no run; it takes the last rank")
        bad = [seed for seed, value in cell.seeds.items() if row.diverged(value)]
        if bad:
            named = f"seed {bad[0]}" if len(bad) == 1 else f"seeds {', '.join(map(str, bad))}"
            found.append(
                f"{row.task}: {method} {named} diverged: as far below the floor as perfect is above it, or farther; its gain counts as -100 points"
            )
    return found


def _no_better(row: TaskRow) -> list[str]:
    """Return the methods whose mean is the floor or worse, but for diverged runs, which have a note of their own."""
    found = []
    for method, cell in row.cells.items():
        if cell.mean is None or row.floor is None or any(row.diverged(value) for value in cell.seeds.values()):
            continue
        if statistics.same(cell.mean, row.floor) or (cell.mean > row.floor if row.direction == "minimise" else cell.mean < row.floor):
            found.append(method)
    return found


def left_out(tasks: Mapping[str, Data], found: Mapping[str, Mapping[str, Mapping[Data, Mapping[int, RunRecord]]]]) -> tuple[str, ...]:
    """Return one note on runs of the methods that are not compared, since they are on another version or other bytes of a task's data.

    ``tasks`` are those compared with their data, ``found`` has the runs as method -> task -> data -> seed -> record.
    """
    counts: dict[str, int] = {}
    for by_task in found.values():
        for task, chosen in tasks.items():
            for data, runs in by_task.get(task, {}).items():
                if data != chosen:
                    kind = "another version of the task" if data.version != chosen.version else "other data of the same version"
                    counts[kind] = counts.get(kind, 0) + len(runs)
    if not counts:
        return ()
    texts = [f"{many(count, 'run')} on {kind}" for kind, count in sorted(counts.items())]
    return (f"not compared: {' and '.join(texts)}",)
