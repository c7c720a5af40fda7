"""The optimism gap: how much better the ``paper`` track's protocol makes a method look than the ``clean`` one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pare_bench import statistics
from pare_bench.records.record import RunRecord
from pare_bench.records.variants import AskedData, asked_data, counted, label_records


@dataclass(frozen=True)
class Gap:
    """One method on one task in both tracks. ``gap`` is how much better the ``paper`` score is, in units of the metric (negative: worse).

    ``half_width`` is that of its 95% interval over ``seeds``, None where there are too few: paired where both tracks have the same seeds, or three in
    common, and then ``clean`` and ``paper`` are the means of these; else of all seeds of both (Welch). No interval is corrected for the number of
    gaps.
    """

    task: str
    method: str
    clean: float
    paper: float
    gap: float
    half_width: float | None
    seeds: int


def optimism_gaps(records: Iterable[RunRecord], methods: Sequence[str], tasks: Sequence[str]) -> tuple[Gap, ...]:
    """Return the gap of every method and task that has scores in both tracks, of one version of the method on data that were asked for alike.

    ``records`` are of one suite, tier and preset. The data of the tracks differ by design (the paper track trains on the validation examples, too);
    version, size, seed and options of the data are the same. Of several such the highest version counts, of the data and then of the method, then
    the preset's own, then the one with most runs.
    """
    pool = list(records)
    scores = {track: _scores([record for record in pool if record.track == track]) for track in ("clean", "paper")}
    gaps = []
    for task in tasks:
        for method in methods:
            clean, paper = (scores[track].get((method, task), {}) for track in ("clean", "paper"))
            common = clean.keys() & paper.keys()
            if common:
                runs = {kind: len(clean[kind]) + len(paper[kind]) for kind in common}
                best = max(runs, key=lambda kind: (kind.data.version, kind.method_version, not kind.data.changes, runs[kind], kind))
                gaps.append(_gap(task, method, clean[best], paper[best]))
    return tuple(gaps)


class _Kind(NamedTuple):
    """What must be alike in both tracks."""

    data: AskedData
    method_version: int


def _scores(records: Sequence[RunRecord]) -> dict[tuple[str, str], dict[_Kind, list[RunRecord]]]:
    found: dict[tuple[str, str], dict[_Kind, list[RunRecord]]] = {}
    for label, group in label_records(records).items():
        for record in counted(group)[0].values():
            if record.status == "ok":
                found.setdefault((label, record.task.name), {}).setdefault(_Kind(asked_data(record), record.method_version), []).append(record)
    return found


def _gap(task: str, method: str, clean: Sequence[RunRecord], paper: Sequence[RunRecord]) -> Gap:
    better = 1 if clean[0].primary.direction == "minimise" else -1
    first, second = ({record.seed: better * record.primary.value for record in group} for group in (clean, paper))
    found = statistics.seed_difference(first, second)
    return Gap(task, method, better * found.means[0], better * found.means[1], found.value, found.half, found.seeds)
