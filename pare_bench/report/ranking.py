"""What is said about the ranking of a division as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pare_bench import statistics
from pare_bench.report.content import Section


@dataclass(frozen=True)
class Critical:
    """Which methods a test over tasks cannot tell apart: ``groups`` of them, and the difference of mean ranks that would tell."""

    mean_ranks: Mapping[str, float]
    groups: Sequence[Sequence[str]]
    difference: float | None
    caption: str


@dataclass(frozen=True)
class Overview:
    """``profiles`` has, per method, pairs (ratio to the best, share of tasks within it)."""

    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    critical: Critical | None = None
    profiles: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    profile_axis: str = ""
    profile_caption: str = ""
    notes: Sequence[str] = ()


def overview(section: Section) -> Overview:
    """Return what the statistics say about the ranked methods of a division."""
    if len(section.ranked) < 2:
        return Overview()
    tasks, pairs = len(section.tasks), statistics.holm_factor(len(section.ranked))
    smallest = min(1.0, statistics.smallest_possible_p(tasks) * pairs)
    sentence = f"{tasks} tasks and {len(section.ranked)} methods: the smallest p that a signed-rank test of all pairs can give is {smallest:.2g}"
    return Overview(notes=[sentence + ("; no scores whatever could show a difference at 0.05." if smallest > 0.05 else ".")])


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the names of the points that no other one beats in both coordinates, lower being better, by rising first coordinate."""
    front: list[str] = []
    best = float("inf")
    for name in sorted(points, key=lambda name: (*points[name], name)):
        if points[name][1] < best:
            front.append(name)
            best = points[name][1]
    return front
