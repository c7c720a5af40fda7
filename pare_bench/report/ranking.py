"""What is said about the ranking of a division as a whole: by the functions of ``pare-bench compare``, so that both say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from pare_bench import statistics
from pare_bench.comparison import design
from pare_bench.comparison.contrasts import ALPHA, Pair, contrasts
from pare_bench.comparison.lead import answer, lead
from pare_bench.comparison.overall import Overall, mean_ranks, omnibus_sentence, overall, rank_intervals
from pare_bench.comparison.table_parts import design_text
from pare_bench.comparison.task_rows import is_the_floor
from pare_bench.report.content import Row, Section, Task

#: Pairs are shown one by one up to this many of them; ``compare`` shows any.
MOST_PAIRS = 66
POLICY = (
    "Missing and failed runs: only methods with a score and no failed run on every task of the division are ranked (compare's policy 'error'); "
    "the others are listed below with the reason."
)


@dataclass(frozen=True)
class Critical:
    """Which methods a test over tasks cannot tell apart: ``groups`` of them, and the difference of mean ranks that would tell."""

    mean_ranks: Mapping[str, float]
    groups: Sequence[Sequence[str]]
    difference: float | None
    caption: str


@dataclass(frozen=True)
class Standing:
    """A method over all tasks: its letters by the corrected pair tests and by Nemenyi's, gains in percent, area under its profile."""

    label: str
    pair_letters: str
    rank_letters: str
    gain: float | None
    interquartile: float | None
    interval: tuple[float, float] | None
    area: float | None


@dataclass(frozen=True)
class Overview:
    """``intervals`` are those of mean ranks; ``profiles`` has, per method, pairs (ratio to the best, share of tasks within it).

    ``answer`` says who is ahead, how sure that is and what the design would have seen; ``ahead`` are the pairs of that method with every other.
    """

    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    critical: Critical | None = None
    profiles: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    profile_axis: str = ""
    profile_caption: str = ""
    notes: Sequence[str] = ()
    standings: Sequence[Standing] = ()
    pairs: Sequence[Pair] = ()
    answer: Sequence[str] = ()
    ahead: Sequence[Pair] = ()


def overview(section: Section) -> Overview:
    """Return what the statistics say about the ranked methods of a division.

    A method that is the floor itself has a rank and enters no test: that everything beats the floor says nothing of the others, but would make
    Friedman's p small and every correction of the others larger.
    """
    ranked = [row.label for row in section.ranked]
    if len(ranked) < 2:
        return Overview(notes=[POLICY] if section.partial else ())
    floors = [row.label for row in section.ranked if _is_the_floor(row, section.tasks)]
    if len(ranked) - len(floors) < 2:
        floors = []
    labels = [label for label in ranked if label not in floors]
    rows = section.task_rows(labels)
    ranks = mean_ranks(rows, labels)
    pairs = contrasts(rows, list(combinations(labels, 2)))
    found = overall(rows, labels, ranks, pairs)
    words = design_text(rows)
    sentence = design.ranks_sentence(rows, len(labels))
    ahead = lead(labels, pairs)
    disagreements = [text for pair in pairs if (text := pair.disagreement) is not None]
    notes = [POLICY, *_left_out(floors), *disagreements, sentence[:1].upper() + sentence[1:] + ".", omnibus_sentence(found, len(labels), words)]
    largest = f"{statistics.LARGEST_FACTOR:g}"
    return Overview(
        rank_intervals(section.task_rows(ranked), ranked) if floors else found.rank_intervals,
        _critical(found, ranks, words),
        {label: statistics.profile_steps(found.ratios[label]) for label in labels} if found.ratios else {},
        "distance to perfect / the least one (log)",
        f"Performance profiles (Dolan and More): share of the tasks on which the distance to the perfect score is "
        f"within a factor, from 1 to {largest}, of the least one",
        notes,
        _standings(found, labels),
        pairs if len(pairs) <= MOST_PAIRS else (),
        answer(rows, ahead, len(labels)),
        () if ahead is None else ahead.pairs,
    )


def _is_the_floor(row: Row, tasks: Sequence[Task]) -> bool:
    return is_the_floor((value, task.floor) for task in tasks for value in row.cells[task.name].seeds.values())


def _left_out(floors: Sequence[str]) -> list[str]:
    return [f"In the ranking, but in no test, group or profile: {', '.join(floors)}, which is the floor itself."] if floors else []


def _critical(found: Overall, ranks: Mapping[str, float], words: str) -> Critical | None:
    if found.nemenyi is None:
        return None
    groups = [group for group in found.rank_groups if len(group) > 1]
    caption = f"Critical difference (Nemenyi, {ALPHA:g}; {words}): a bar joins methods whose mean ranks are not told apart"
    return Critical(ranks, groups, found.nemenyi, caption)


def _standings(found: Overall, labels: Sequence[str]) -> list[Standing]:
    pair_letters, rank_letters = statistics.letters(labels, found.pair_groups), statistics.letters(labels, found.rank_groups)
    made = []
    for label in labels:
        gains = found.gains.get(label)
        made.append(
            Standing(
                label,
                pair_letters[label],
                rank_letters[label],
                None if gains is None else 100 * gains.mean,
                None if gains is None else 100 * gains.interquartile,
                None if gains is None or gains.interval is None else (100 * gains.interval[0], 100 * gains.interval[1]),
                statistics.profile_area(found.ratios[label]) if found.ratios else None,
            )
        )
    return made


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the names of the points that no other one beats in both coordinates, lower being better, by rising first coordinate."""
    front: list[str] = []
    best = float("inf")
    for name in sorted(points, key=lambda name: (*points[name], name)):
        if points[name][1] < best:
            front.append(name)
            best = points[name][1]
    return front
