"""Comparisons of methods whose truth is known: how often each verdict is wrong, what each interval covers, and what is seen.

    python tests/statistics/simulation.py [REPETITIONS]     (2000: about half an hour of one core; the table of docs/comparing.md)

Scores are errors on tasks with a floor of 1, so that a gain is 1 - score. A method's score on a task and seed is

    level of the task + offset of the method + interaction of method and task + noise of the seed,

where the offsets are what is to be found, and interactions are drawn anew in each repetition, as tasks are: the mean over tasks of other tasks is the
truth. A task's own truth, for its verdict and intervals, has the interaction in it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from pare_bench.comparison.contrasts import contrasts
from pare_bench.comparison.lead import lead
from pare_bench.comparison.task_rows import Cell, TaskRow, leaders_of
from pare_bench.statistics import mean, sample_sd, t_interval


@dataclass(frozen=True)
class Case:
    """A kind of comparison: ``lead`` is the true advantage of the first ``leaders`` methods, ``examples`` those of a coarse metric's test split."""

    name: str
    methods: int = 7
    tasks: int = 10
    seeds: int = 3
    lead: float = 0.0
    leaders: int = 1
    interaction: float = 0.03
    noise: float = 0.03
    tails: float | None = None
    uneven: float = 1.0
    examples: int | None = None


#: The long form; the short one takes every fourth.
CASES = (
    Case("null, 2 methods", methods=2),
    Case("null, 7 methods"),
    Case("null, 20 methods", methods=20),
    Case("null, 2 seeds", seeds=2),
    Case("null, 8 seeds", seeds=8),
    Case("null, 1 task", tasks=1),
    Case("null, 3 tasks", tasks=3),
    Case("null, 40 tasks", tasks=40),
    Case("null, tasks alike", interaction=0.0),
    Case("one leader, 0.05", lead=0.05),
    Case("one leader, 0.05, tasks alike", lead=0.05, interaction=0.0),
    Case("one leader, 0.05, 2 methods", methods=2, lead=0.05),
    Case("one leader, 0.05, 40 tasks", tasks=40, lead=0.05),
    Case("two equal leaders, 0.05", lead=0.05, leaders=2),
    Case("two equal leaders, 0.3", lead=0.3, leaders=2),
    Case("null, heavy tails (t with 3)", tails=3.0),
    Case("two equal leaders, heavy tails", lead=0.3, leaders=2, tails=3.0),
    Case("null, uneven tasks (1 to 20)", uneven=20.0),
    Case("two equal leaders, uneven tasks", lead=0.3, leaders=2, uneven=20.0),
    Case("null, 50 examples", examples=50),
    Case("null, 400 examples", examples=400),
    Case("two equal leaders, 50 examples", lead=0.3, leaders=2, examples=50),
    Case("two equal leaders, 50 examples, tasks alike", lead=0.3, leaders=2, examples=50, interaction=0.0),
    Case("two equal leaders, 50 examples, 8 seeds, tasks alike", seeds=8, lead=0.3, leaders=2, examples=50, interaction=0.0),
)


@dataclass
class Tally:
    """Counts over repetitions: of what was said wrongly, covered, and seen."""

    repetitions: int = 0
    counts: dict[str, list[int]] = field(default_factory=dict)

    def add(self, name: str, *, hit: bool) -> None:
        """Count one more case of ``name``."""
        found = self.counts.setdefault(name, [0, 0])
        found[0] += hit
        found[1] += 1

    def rate(self, name: str) -> float | None:
        """Return the share of hits, None where there was no case."""
        hits, total = self.counts.get(name, (0, 0))
        return hits / total if total else None

    def error(self, name: str, rate: float) -> float:
        """Return the Monte Carlo standard error of a rate, by repetitions: cases of one repetition are not independent."""
        return math.sqrt(max(rate * (1 - rate), 1e-4) / self.repetitions) if name in self.counts else math.nan


def repetitions(case: Case, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield scores ``[method task seed]`` and true scores ``[method task]`` of each repetition."""
    rng = np.random.default_rng([seed, *case.name.encode()])
    offsets = np.zeros(case.methods)
    offsets[: case.leaders] -= case.lead
    scale = np.exp(np.linspace(0, math.log(case.uneven), case.tasks)) if case.tasks > 1 else np.ones(1)
    scale /= math.sqrt(np.mean(scale**2))
    for _ in range(count):
        shape = (case.methods, case.tasks)
        draw = (lambda size: rng.standard_t(case.tails, size) / math.sqrt(case.tails / (case.tails - 2))) if case.tails else rng.standard_normal
        true = 0.5 + rng.uniform(-0.1, 0.1, case.tasks) + offsets[:, None] + case.interaction * scale * draw(shape)
        scores = true[:, :, None] + case.noise * scale[:, None] * draw((*shape, case.seeds))
        if case.examples:
            # What each seed's network gets wrong of the same examples, to one example.
            scores = np.round(np.clip(scores, 0, 1) * case.examples) / case.examples
        yield scores, true


def rows_of(scores: np.ndarray) -> list[TaskRow]:
    """Return the rows of a comparison, as :func:`pare_bench.comparison.task_rows.task_row` makes them of records."""
    made = []
    for task in range(scores.shape[1]):
        cells = {}
        for method in range(scores.shape[0]):
            values = {seed: float(value) for seed, value in enumerate(scores[method, task])}
            listed = list(values.values())
            cells[f"m{method:02}"] = Cell(mean(listed), sample_sd(listed), t_interval(listed), values, {}, ())
        found = leaders_of(cells, "minimise")
        made.append(
            TaskRow(f"t{task:02}", 1, "", None, "error", "minimise", 1.0, None, cells, found.ranks, found.leaders, found.best, found.tied, 1.0)
        )
    return made


def run(case: Case, count: int, seed: int = 0) -> Tally:
    """Compare methods ``count`` times and count what was said."""
    tally = Tally(count)
    names = [f"m{method:02}" for method in range(case.methods)]
    # The advantage over other tasks; scores fall where gains rise.
    truth = {name: case.lead * (index < case.leaders) for index, name in enumerate(names)}
    best = [name for name in names if truth[name] == max(truth.values())]
    alone = best[0] if len(best) == 1 else None
    for scores, true in repetitions(case, count, seed):
        rows = rows_of(scores)
        pairs = contrasts(rows, list(combinations(names, 2)))
        ahead = lead(names, pairs)
        assert ahead is not None
        _count_tasks(tally, rows, true, names)
        tally.add("leads all others: wrong", hit=ahead.sure and ahead.leader != alone)
        if alone:
            tally.add("leads all others: seen", hit=ahead.sure and ahead.leader == alone)
        wrong = [pair for pair in pairs if pair.significant and (truth[pair.favours or ""] <= min(truth[pair.first], truth[pair.second]))]
        tally.add("better (some pair): wrong", hit=bool(wrong))
        for pair in pairs:
            effect, real = pair.effect, truth[pair.first] - truth[pair.second]
            if effect is not None and effect.interval is not None:
                tally.add("effect: covered", hit=effect.interval[0] <= real <= effect.interval[1])
            if real == 0:
                tally.add("better (alone or corrected), a pair: wrong", hit=pair.alone)
            elif alone in (pair.first, pair.second):
                tally.add("better, a pair: seen", hit=pair.significant and pair.favours == alone)
                tally.add("better (alone or corrected), a pair: seen", hit=pair.alone and pair.favours == alone)
            if abs(real) >= pair.rope:
                tally.add("practically equal: wrong", hit=pair.equal)
    return tally


def _count_tasks(tally: Tally, rows: list[TaskRow], true: np.ndarray, names: list[str]) -> None:
    for place, row in enumerate(rows):
        real = true[:, place]
        order = np.sort(real)
        # With a continuous truth the claim is nearly always wrong or right for one method; ties of the truth are those without interaction.
        best = names[int(np.argmin(real))] if len(order) < 2 or order[1] - order[0] > 1e-12 else None
        tally.add("best on a task: wrong", hit=row.best is not None and row.best != best)
        if best is not None:
            tally.add("best on a task: seen", hit=row.best == best)
        for name, value in zip(names, real, strict=True):
            interval = row.cells[name].interval
            if interval is not None:
                tally.add("mean of a task: covered", hit=interval[0] <= value <= interval[1])


#: Columns of the table: heading, and the name of what is counted.
COLUMNS = (
    ("leads all: wrong", "leads all others: wrong"),
    ("leads all: seen", "leads all others: seen"),
    ("better, any pair: wrong", "better (some pair): wrong"),
    ("better, a pair: seen", "better, a pair: seen"),
    ("(alone), a pair: wrong", "better (alone or corrected), a pair: wrong"),
    ("practically equal: wrong", "practically equal: wrong"),
    ("best on a task: wrong", "best on a task: wrong"),
    ("effect: covered", "effect: covered"),
    ("mean of a task: covered", "mean of a task: covered"),
)


def table(count: int) -> str:
    """Return the table of all cases as Markdown."""
    lines = ["| case | " + " | ".join(heading for heading, _ in COLUMNS) + " |", "| --- |" + " --- |" * len(COLUMNS)]
    for case in CASES:
        tally = run(case, count)
        cells = ["-" if (rate := tally.rate(name)) is None else f"{rate:.3f}" for _, name in COLUMNS]
        lines.append(f"| {case.name} | " + " | ".join(cells) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
