"""What exports have in common: the methods of each division with their scores, and names that a file can have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pare_bench.leaderboard.build import build, unique
from pare_bench.records.record import RunRecord
from pare_bench.records.variants import Division


@dataclass(frozen=True)
class Score:
    """The runs of a method on a task that count; ``runs`` has one for each seed, ``persistence`` is the second floor of fields that evolve."""

    task: str
    metric: str
    direction: str
    floor: float | None
    persistence: float | None
    mean: float
    spread: float | None
    runs: tuple[RunRecord, ...]

    @property
    def floors(self) -> dict[str, float]:
        """The floors that the task has, by name."""
        return {name: value for name, value in (("floor", self.floor), ("persistence", self.persistence)) if value is not None}


@dataclass(frozen=True)
class MethodScores:
    """A method of a division. ``complete`` says whether it has a score on every task of the division and no failed run."""

    division: Division
    label: str
    complete: bool
    scores: tuple[Score, ...]

    @property
    def newest(self) -> str:
        """When the last of its runs was finished."""
        return max(run.finished for score in self.scores for run in score.runs)


def method_scores(records: Iterable[RunRecord]) -> Iterator[MethodScores]:
    """Yield the methods that have scores, division by division, in the order of the leaderboard."""
    known = {record.run_id: record for record in unique(records)}
    for document in build(known.values())["divisions"]:
        division = Division(*(document[field] for field in Division._fields))
        for label, method in document["methods"].items():
            scores = []
            for task, result in method["tasks"].items():
                about = document["tasks"][task]
                runs = tuple(known[run["run_id"]] for run in result["seeds"].values())
                told = {field: about[field] for field in ("metric", "direction", "floor", "persistence")}
                scores.append(Score(task=task, **told, mean=result["mean"], spread=result["spread"], runs=runs))
            if scores:
                yield MethodScores(division, label, method["status"] == "complete", tuple(scores))


def slug(text: str) -> str:
    """Return ``text`` as a part of a path; different texts may give the same one."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80] or "method"


def slugs(labels: Iterable[str]) -> dict[str, str]:
    """Return a different slug for each label."""
    taken: dict[str, str] = {}
    for label in sorted(set(labels)):
        name, number = slug(label), 2
        while name in taken.values():
            name, number = f"{slug(label)}-{number}", number + 1
        taken[label] = name
    return taken
