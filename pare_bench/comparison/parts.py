"""The tables and sentences of a comparison, in the order in which they are read: the answer, what it rests on, then everything else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pare_bench import statistics
from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.contrasts import ALPHA, DRAWS, Pair
from pare_bench.comparison.overall import FACTORS, Overall, omnibus_sentence
from pare_bench.comparison.printed_parts import printed_parts
from pare_bench.comparison.score_parts import scores, short_scores, title
from pare_bench.comparison.table_parts import (
    Sentence,
    Table,
    design_text,
    ends,
    many,
    number,
    p_text,
    points_between,
    short,
    signed_points,
)


def parts(comparison: Comparison, *, compact: bool = False) -> Iterator[Table | Sentence]:
    """Yield what is shown of a comparison; ``compact``: for a screen, with short numbers and legends."""
    if compact:
        yield Sentence(title(comparison))
    if compact:
        yield from (Sentence(text, "answer" if place == 0 else "main") for place, text in enumerate(comparison.answer))
    else:
        yield Sentence(" ".join(comparison.answer), "answer")
    yield from _tested(comparison, compact=compact)
    yield short_scores(comparison) if compact else scores(comparison)
    if not compact or comparison.missing != "error":
        yield Sentence(comparison.policy + ".")
    if comparison.overall is not None or comparison.lead is None:
        yield Sentence(comparison.sentence[:1].upper() + comparison.sentence[1:] + ".")
    if (len(comparison.methods) == 2 and not compact) or comparison.overall is not None:
        yield _differences(comparison)
    if comparison.overall is not None:
        yield from _overall(comparison, comparison.overall)
    if comparison.optimism:
        yield Sentence(_mean_gaps(comparison)) if compact and comparison.overall is None else _gaps(comparison)
    if comparison.printed is not None:
        yield from printed_parts(comparison)
    if comparison.sampled:
        yield _sampling(comparison, compact=compact)
    yield from (Sentence(note, "note") for note in comparison.notes)


def _tested(comparison: Comparison, *, compact: bool) -> Iterator[Table]:
    """Yield the tables of pairs: all of them where all statistics were asked for or they are few, else those of the method that is ahead."""
    pairs = comparison.pairs
    family = f"all {many(pairs[0].family, 'pair')} of these methods" if pairs[0].family > 1 else "one pair"
    shown: Sequence[Pair] = pairs
    rest = ""
    if comparison.lead is not None and comparison.overall is None and len(pairs) > 3:
        shown = comparison.lead.pairs
        rest = f"the other {len(pairs) - len(shown)} pairs: --stats all"
    if compact and len(pairs) == 1 and comparison.lead is not None and comparison.overall is None:
        return  # the answer has all of it
    if not (comparison.against and comparison.overall is None and len(comparison.methods) > 2):
        yield _pairs(comparison, shown, family, rest, compact=compact)
    if comparison.against and len(comparison.methods) > 2:
        yield _pairs(comparison, comparison.against, f"the {len(comparison.against)} pairs with {comparison.reference}", "", compact=compact)


def _signed(value: float | None) -> str:
    return "-" if value is None else ("" if value <= 0 else "+") + number(value)


def _percent(value: float | None) -> str:
    """Return a share in percent with its sign; none where nothing of it is left."""
    if value is None:
        return "-"
    text = f"{100 * value:+.2f}"
    return text if float(text) else "0.00"


def _design(comparison: Comparison) -> str:
    return f"{design_text(comparison.tasks)}; missing: {comparison.missing}"


def _differences(comparison: Comparison) -> Table:
    rows = []
    # All pairs of many methods are more than anyone reads; with a reference its own are what was asked for (JSON has all).
    for pair in comparison.against or comparison.pairs:
        for task, detail in pair.details.items():
            rows.append((f"{pair.first} - {pair.second}", task, _signed(detail.value), ends(detail.interval), _percent(detail.gain)))
    return Table(
        None,
        ("difference", "task", "mean", "95% interval", "gain (%)"),
        tuple(rows),
        ("difference", "task"),
        "95% interval: Student's over seeds, paired where the seeds are the same or three or more are common, else Welch's; not corrected for the "
        "number of tasks or pairs; gain: the difference as a share of the way from floor to perfect score, positive where the first is better"
        + ("; against a missing score it is the whole way" if comparison.missing == "worst-rank" else "")
        + f"; {_design(comparison)}",
    )


def _pairs(comparison: Comparison, pairs: Sequence[Pair], family: str, rest: str, *, compact: bool) -> Table:
    effect, ranked = pairs[0].effect is not None, comparison.overall is not None and pairs[0].effect is not None
    posterior = any(pair.posterior is not None for pair in pairs)
    # On a screen the name that is in all pairs stands in the heading alone.
    one = compact and len({pair.first for pair in pairs}) == 1
    rows = []
    for pair in pairs:
        found = pair.effect
        seen = None if found is None else statistics.smallest_seen(found)
        size = [] if found is None else [signed_points(found.mean), points_between(found.interval), "-" if seen is None else signed_points(seen)]
        believed = [" / ".join(f"{share:.2f}" for share in pair.posterior)] if pair.posterior is not None else []
        last = [*([p_text(pair.ranked_p)] if ranked else []), *believed]
        counts = ["/".join(map(str, pair.result))] if compact else [*map(str, pair.result)]
        verdict = pair.verdict.removeprefix(f"{pair.first} ") if one else pair.verdict
        name = pair.second if one else f"{pair.first} vs {pair.second}"
        rows.append((name, *size, *counts, p_text(pair.p), p_text(pair.p_holm), verdict, *last))
    columns = (
        f"{pairs[0].first} vs" if one else "pair",
        *(("effect", "95% interval", "sees") if effect else ()),
        *(("w/t/l",) if compact else ("wins", "ties", "losses")),
        *("p", "p (Holm)", "verdict"),
        *(("p (ranks)",) if ranked else ()),
        *(("worse / equal / better",) if posterior else ()),
    )
    legend = _short_pairs_legend(pairs[0], family) if compact else _pairs_legend(comparison, pairs[0], family, posterior=posterior)
    narrow = ("p", "w/t/l")
    return Table(None, columns, tuple(rows), (columns[0], "verdict"), "; ".join(filter(None, (legend, rest))), less=narrow if compact else ())


def _short_pairs_legend(pair: Pair, family: str) -> str:
    if pair.effect is None:
        return f"p: {pair.test}; verdict at {ALPHA:g} after Holm for {family}"
    alone = "; (alone): without that correction" if pair.family > 1 else ""
    return (
        f"effect: mean gain of the first in points, tasks as a random effect; interval not corrected; w/t/l: tasks won, tied, lost; "
        f"sees: with {statistics.POWER:.0%} power; "
        f"verdict: Holm at {ALPHA:g} for {family}{alone}"
    )


def _pairs_legend(comparison: Comparison, pair: Pair, family: str, *, posterior: bool) -> str:
    legend = ""
    if pair.effect is not None:
        legend = "effect: mean gain of the first over the second, in points (hundredths of the way from floor to perfect score), with "
        legend += f"its 95% interval, not corrected; sees: the difference that this design shows with {statistics.POWER:.0%} power; "
    legend += f"wins, ties, losses: tasks on which the first is better, practically equal (within {comparison.rope:g} of the way), worse; "
    legend += f"p: {pair.test}, two-sided; verdict at {ALPHA:g} after Holm for {family}"
    if pair.effect is not None:
        legend += f", (alone): without that correction, practically equal: the interval lies within {comparison.rope:g} of the way"
    if comparison.overall is not None and pair.ranked_p is not None:
        legend += "; p (ranks): exact signed-rank on shares of the way from floor to perfect score, not corrected"
    if posterior:
        legend += f"; Bayesian signed-rank ({DRAWS} draws, not corrected): probability that the first is practically worse / equal / better"
    return f"{legend}; {_design(comparison)}"


def _overall(comparison: Comparison, found: Overall) -> Iterator[Table | Sentence]:
    order = sorted(comparison.methods, key=lambda method: (comparison.mean_ranks[method], method))
    yield Sentence(omnibus_sentence(found, len(order), _design(comparison)))
    pair_letters = statistics.letters(order, found.pair_groups)
    rank_letters = statistics.letters(order, found.rank_groups)
    rows = []
    for name in order:
        ranks = (f"{comparison.mean_ranks[name]:.2f}", _interval(found.rank_intervals.get(name)))
        rows.append((name, *ranks, pair_letters[name], rank_letters[name] or "-", *_gain_cells(found, name)))
    yield Table(
        None,
        ("method", "mean rank", "95% interval", "group (Holm)", "group (Nemenyi)", "mean gain (%)", "interquartile (%)", "95% interval"),
        tuple(rows),
        ("method", "group (Holm)", "group (Nemenyi)"),
        "methods that share a letter have not been told apart; gain: share of the way from the floor (0) to the perfect score (100), which no "
        "method moves; interquartile mean over tasks and seeds; intervals: bootstrap over tasks and seeds"
        + (f" ({found.resamples} resamples)" if found.resamples else "")
        + f", seeded by the scores; {_design(comparison)}",
    )
    if found.ratios:
        yield _profiles(comparison, found, order)


def _gain_cells(found: Overall, name: str) -> tuple[str, str, str]:
    gains = found.gains.get(name)
    if gains is None:
        return "-", "-", "-"
    interval = None if gains.interval is None else (100 * gains.interval[0], 100 * gains.interval[1])
    return f"{100 * gains.mean:.2f}", f"{100 * gains.interquartile:.2f}", _interval(interval)


def _interval(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"


def _profiles(comparison: Comparison, found: Overall, order: Sequence[str]) -> Table:
    rows = []
    for name in order:
        shares = (f"{statistics.share_within(found.ratios[name], factor):.2f}" for factor in FACTORS)
        rows.append((name, *shares, f"{statistics.profile_area(found.ratios[name]):.3f}"))
    return Table(
        None,
        ("performance profile", *(f"within {factor:g}x" for factor in FACTORS), "area"),
        tuple(rows),
        ("performance profile",),
        "share of the tasks on which the distance to the perfect score is within a factor of the least one among these methods (Dolan and More); "
        f"area: under that share over the logarithm of the factor from 1 to {statistics.LARGEST_FACTOR:g}; {_design(comparison)}",
    )


def _sampling(comparison: Comparison, *, compact: bool) -> Table:
    """Return how much of the noise is by the choice of test examples, for each pair that is shown and each task."""
    text = short if compact else number
    pairs = comparison.lead.pairs if comparison.lead is not None and comparison.overall is None else comparison.pairs
    rows = []
    for pair in pairs:
        for task, detail in pair.details.items():
            if detail.sampling is not None and detail.error is not None:
                seeds = detail.error * math.sqrt(max(0.0, 1.0 - (detail.sampling / (detail.error or 1.0)) ** 2))
                rows.append((f"{pair.first} - {pair.second}", task, text(detail.value), text(seeds), text(detail.sampling), text(detail.error)))
    return Table(
        None,
        ("difference", "task", "mean", "error by seeds", "by test examples", "of both"),
        tuple(rows),
        ("difference", "task"),
        "standard errors in the unit of the metric; of test examples: bootstrap over examples or groups of the test split, the same resamples for "
        f"both methods; 95% intervals and verdicts of these tasks have both, those of other tasks seeds alone; {_design(comparison)}",
    )


def _mean_gaps(comparison: Comparison) -> str:
    """Return the optimism gaps in a sentence: their means over tasks."""
    spans = {row.task: row.span for row in comparison.tasks}
    texts = []
    for method in comparison.methods:
        gaps = [gap.gap / span for gap in comparison.optimism if gap.method == method and (span := spans[gap.task]) is not None]
        if gaps:
            found = statistics.effect_over_tasks([max(-1.0, min(1.0, gap)) for gap in gaps], [None] * len(gaps))
            interval = "" if found.interval is None else f" ({points_between(found.interval)})"
            texts.append(f"{method} {signed_points(found.mean)}{interval} on {many(found.tasks, 'task')}")
    said = "; ".join(texts) or "no common scale"
    return f"Optimism gap, track paper over clean, mean gain in points with 95% interval: {said}. Each task: --stats all."


def _gaps(comparison: Comparison) -> Table:
    rows = []
    for gap in comparison.optimism:
        interval = "" if gap.half_width is None else f" ± {number(gap.half_width)}"
        rows.append((gap.task, gap.method, number(gap.clean), number(gap.paper), f"{_signed(gap.gap)}{interval}"))
    return Table(
        None,
        ("task", "method", "clean", "paper", "optimism gap"),
        tuple(rows),
        ("task", "method"),
        "optimism gap: how much better the score of track paper is than that of track clean; ± half width of its 95% interval over seeds, not "
        "corrected for the number of gaps; "
        f"missing: {comparison.missing}",
    )
