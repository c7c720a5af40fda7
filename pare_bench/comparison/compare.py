"""``pare-bench compare``: records of two or more methods to one table, and to what that table can and cannot show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from pare_bench.comparison import design
from pare_bench.comparison.contrasts import ROPE, Pair, contrasts
from pare_bench.comparison.lead import Lead, answer, lead
from pare_bench.comparison.missing import Policy, choose_data, choose_division
from pare_bench.comparison.optimism import Gap, optimism_gaps
from pare_bench.comparison.overall import Overall, mean_ranks, overall
from pare_bench.comparison.printed import Card, Printed, of_division, reproduction_cards
from pare_bench.comparison.run_commands import Wanted, run_command
from pare_bench.comparison.task_rows import Sampling, TaskRow, recorded_sampling, task_row
from pare_bench.errors import DataMissingError, UsageError, check_tasks
from pare_bench.leaderboard.build import unique
from pare_bench.records.record import RunRecord
from pare_bench.records.variants import Data, Division, age, asked_data, counted, data_changes, data_of, division_of, label_records, method_name


@dataclass(frozen=True)
class Comparison:
    """Everything that a table of the comparison shows.

    ``pairs`` are all pairs of the methods, corrected together; ``lead`` says who is ahead over all tasks, ``answer`` is that in sentences, with what
    the design would have seen; ``sentence`` says what rank tests over so many tasks can show. ``optimism`` has the methods and tasks with scores in
    both tracks; ``sampled``: test sampling was asked for; ``against`` are the pairs with ``reference``, corrected for those alone; ``overall`` is
    there where all statistics were asked for, ``printed`` and ``cards`` where published numbers were.
    """

    division: Division
    methods: tuple[str, ...]
    tasks: tuple[TaskRow, ...]
    pairs: tuple[Pair, ...]
    mean_ranks: Mapping[str, float]
    lead: Lead | None
    answer: tuple[str, ...]
    sentence: str
    notes: tuple[str, ...]
    optimism: tuple[Gap, ...] = ()
    missing: Policy = "error"
    dropped: tuple[str, ...] = ()
    sampled: bool = False
    rope: float = ROPE
    reference: str | None = None
    against: tuple[Pair, ...] = ()
    overall: Overall | None = None
    printed: tuple[Printed, ...] | None = None
    cards: tuple[Card, ...] = ()

    @property
    def policy(self) -> str:
        """The policy for missing and failed runs in words, for every table."""
        dropped = f" ({', '.join(self.dropped)})" if self.dropped else ""
        if self.missing == "drop-task":
            text = f"tasks on which a method has no score are left out{dropped or ' (none)'}; failed seeds are left out of means"
        elif self.missing == "worst-rank":
            text = "a method without a score, or with a failed run, takes the last rank on that task"
            text += f"; tasks without any score are left out{dropped}" if dropped else ""
        else:
            text = "every method has a score on every task; failed seeds are left out of means, and no method is best there"
        return f"--missing {self.missing}: {text}"


def compare(
    records: Iterable[RunRecord],
    methods: Sequence[str],
    suite: str,
    *,
    tier: str | None = None,
    track: str = "clean",
    preset: str | None = None,
    tasks: Sequence[str] = (),
    suite_tasks: Sequence[str] = (),
    known_methods: Collection[str] = (),
    out: str = "leaderboard",
    missing: Policy = "error",
    rope: float = ROPE,
    reference: str | None = None,
    stats: Literal["basic", "all"] = "basic",
    published: Sequence[Printed] | None = None,
    sampling: Sampling | None = recorded_sampling,
) -> Comparison:
    """Compare ``methods`` (names, or full labels of variants) on the tasks that any of them has run.

    ``tasks`` restricts that; ``suite_tasks`` are all tasks of the suite, for order and for saying what is not covered; ``known_methods`` are the
    registered methods and ``out`` the folder of the records, both for messages. ``missing`` is the policy for methods without a score on a task,
    ``rope`` the share of the way from floor to perfect score up to which two scores are practically equal, ``reference`` one of ``methods``;
    ``published`` are printed numbers to show beside the scores, ``sampling`` gives the scores of a run on resamples of the test split, or None; by
    default those that its record keeps.

    Raises:
        UsageError: fewer than two methods, an unknown one, records in several divisions, or scores on different data.
        DataMissingError: a needed run is not there or failed; the hint is the command that makes it.
    """
    _check_call(methods, suite, tasks, suite_tasks, rope, reference)
    wanted = Wanted(tuple(methods), suite, tier, track, preset, tuple(tasks), tuple(suite_tasks), tuple(known_methods), out)
    names = set(map(method_name, methods))
    of_suite = unique(record for record in records if record.suite == suite and record.method.name in names)
    pool = [record for record in of_suite if record.track == track]
    division = choose_division(wanted, pool)
    labelled = label_records(record for record in pool if division_of(record) == division)
    _check_labels(wanted, labelled, division)
    found = {method: _by_task(labelled.get(method, ())) for method in methods}
    covered = sorted(set(tasks) or {task for cells in found.values() for task in cells})
    covered.sort(key=lambda task: suite_tasks.index(task) if task in suite_tasks else len(suite_tasks))
    data = choose_data(wanted, division, covered, found, missing)
    rows = tuple(
        task_row(
            task, {method: found[method].get(task, {}).get(chosen, {}) for method in methods}, failed_last=missing == "worst-rank", sampling=sampling
        )
        for task, chosen in data.items()
    )
    used = [run for method in methods for task, chosen in data.items() for run in found[method].get(task, {}).get(chosen, {}).values()]
    ranks = mean_ranks(rows, methods)
    pairs = contrasts(rows, list(combinations(methods, 2)), rope=rope, posterior=stats == "all")
    ahead = lead(methods, pairs)
    dropped = tuple(task for task in covered if task not in data)
    others = [method for method in methods if method != reference]
    return Comparison(
        division=division,
        methods=tuple(methods),
        tasks=rows,
        pairs=pairs,
        mean_ranks=ranks,
        lead=ahead,
        answer=answer(rows, ahead, len(methods)),
        sentence=design.ranks_sentence(rows, len(methods), reference),
        notes=(
            *design.notes(division, rows, suite_tasks, dropped, rope),
            *(text for pair in pairs if (text := pair.disagreement) is not None),
            *design.left_out(data, found),
            *design.mixed_versions(used),
        ),
        optimism=_gaps(of_suite, division, methods, data),
        missing=missing,
        dropped=dropped,
        sampled=sampling is not None and sampling is not recorded_sampling,
        rope=rope,
        reference=reference,
        against=contrasts(rows, [(method, reference) for method in others], rope=rope, posterior=stats == "all") if reference else (),
        overall=overall(rows, methods, ranks, pairs) if stats == "all" else None,
        printed=None if published is None else of_division(published, division, [row.task for row in rows]),
        cards=() if published is None else reproduction_cards(published, division, rows),
    )


def _gaps(records: Sequence[RunRecord], division: Division, methods: Sequence[str], data: Mapping[str, Data]) -> tuple[Gap, ...]:
    """Return the gaps on the data that the rows are on."""
    if len({record.track for record in records}) < 2:
        return ()
    pool = [each for each in records if division_of(each)._replace(track=division.track) == division]
    asked = {(each.task.name, asked_data(each)) for each in pool if each.track == division.track and data.get(each.task.name) == data_of(each)}
    return optimism_gaps((each for each in pool if (each.task.name, asked_data(each)) in asked), methods, list(data))


def _check_call(methods: Sequence[str], suite: str, tasks: Sequence[str], suite_tasks: Sequence[str], rope: float, reference: str | None) -> None:
    if len(methods) < 2 or len(set(methods)) < len(methods):
        raise UsageError(f"compare takes two or more different methods, got '{' '.join(methods)}'", hint="pare-bench compare pare orca")
    if suite_tasks:
        check_tasks(tasks, suite, suite_tasks)
    if not 0 <= rope < 1:
        raise UsageError(f"the region of practical equivalence is a share from 0 to below 1, got '{rope}'", hint="--rope 0.01")
    if reference is not None and reference not in methods:
        raise UsageError(f"the reference '{reference}' is none of the methods compared: {', '.join(methods)}", hint=f"--reference '{methods[-1]}'")


def _check_labels(wanted: Wanted, labelled: Mapping[str, Sequence[RunRecord]], division: Division) -> None:
    for label in wanted.methods:
        name = method_name(label)
        if label != name and label not in labelled:
            variants = ", ".join(f"'{each}'" for each in labelled if method_name(each) == name) or "none"
            raise UsageError(f"no records of '{label}' in preset {division.preset}; there are: {variants}", hint="give one of these in quotes")
        others = [each for each in labelled if method_name(each) == name]
        if label == name and label not in labelled and others:
            newest = max((record for each in others for record in labelled[each]), key=age)
            # On the data that the variants were run on, or the two could not be compared.
            plain = run_command(wanted, label, wanted.tasks, (newest.seed,), data_changes(newest), division=division)
            quoted = ", ".join(f"'{each}'" for each in others)
            raise DataMissingError(
                f"'{label}' has no plain run in preset {division.preset}; there are: {quoted}",
                hint=f"compare one of these, in quotes, or run: {plain}",
            )


def _by_task(records: Iterable[RunRecord]) -> dict[str, dict[Data, dict[int, RunRecord]]]:
    found: dict[str, dict[Data, dict[int, RunRecord]]] = defaultdict(lambda: defaultdict(dict))
    for (task, data, seed), record in sorted(counted(records)[0].items()):
        found[task][data][seed] = record
    return {task: dict(groups) for task, groups in found.items()}
