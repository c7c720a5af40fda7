"""What so many tasks and seeds can show: the sentence that stands before every verdict of a test, and the notes below a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pare_bench import statistics
from pare_bench.comparison.contrasts import ALPHA
from pare_bench.comparison.table_parts import many, many_between
from pare_bench.comparison.task_rows import TaskRow
from pare_bench.records.record import RunRecord
from pare_bench.records.variants import Division


def power_sentence(rows: Sequence[TaskRow], num_methods: int, reference: str | None = None) -> str:
    """Return what tests over these tasks, and intervals over these seeds, can show whatever the scores are."""
    counts = [cell.n for row in rows for cell in row.cells.values() if cell.n]
    design = f"{many(len(rows), 'task')} and {many_between(counts, 'seed')}"
    smallest, pairs = statistics.smallest_possible_p(len(rows)), statistics.holm_factor(num_methods)
    text = f"with {design} the smallest possible two-sided p of a signed-rank or sign test over tasks is {smallest:.2g}"
    if pairs > 1:
        text += f", {min(1.0, smallest * pairs):.2g} after Holm's correction for {pairs} pairs"
    if pairs > 1 and reference is not None:
        text += f" and {min(1.0, smallest * (num_methods - 1)):.2g} for the {num_methods - 1} pairs with {reference}"
    wins = statistics.fewest_wins(len(rows), pairs)
    if smallest * pairs > ALPHA:
        text += ", so no scores whatever could reach 0.05"
    elif wins is not None:
        text += f": a sign test takes {wins} wins of {len(rows)} to reach 0.05"
    if min(counts) < 2:
        text += "; one seed gives no interval, so where a method has one, any difference may be seed noise and no method is called best"
    if max(counts) >= 2:
        beyond = sum(row.best is not None for row in rows)
        text += f"; on {beyond} of {many(len(rows), 'task')} one method leads by more than its 95% interval over seeds"
        text += ", the other leads may be seed noise" if beyond < len(rows) else ""
    return text


def notes(division: Division, rows: Sequence[TaskRow], suite_tasks: Sequence[str], dropped: Sequence[str], rope: float) -> tuple[str, ...]:
    """Return what a reader must know of the data, of tasks that are not compared, and of runs that failed or are missing."""
    found = []
    if division.tier == "generated":
        found.append("tier generated: the data are simulated twins of the published ones; scores are not comparable with published numbers")
    if division.tier == "bundled":
        found.append("tier bundled: real tables, split here; scores are not comparable with published numbers, which are of other splits")
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
        found.append(f"{row.task}: the methods have different seeds; means are over each one's own, intervals of differences over common ones")
    for method, cell in row.cells.items():
        end = "it takes the last rank" if cell.last else "its mean leaves this seed out"
        found += [f"{row.task}: {method} seed {seed} {reason}; {end}" for seed, reason in cell.failed.items()]
        if cell.mean is None and not cell.failed:
            found.append(f"{row.task}: {method} has no run; it takes the last rank")
        if cell.mean is not None and row.floor is not None and (cell.mean >= row.floor if row.direction == "minimise" else cell.mean <= row.floor):
            found.append(f"{row.task}: {method} is no better than the constant floor")
    return found
