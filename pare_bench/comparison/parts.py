"""The tables and sentences of a comparison, in the order in which they are read: first scores, then what a design can show, then verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pare_bench import statistics
from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.contrasts import ALPHA, DRAWS, Pair
from pare_bench.comparison.overall import FACTORS, Overall, omnibus_sentence
from pare_bench.comparison.printed_parts import printed_parts
from pare_bench.comparison.table_parts import Sentence, Table, cell_text, design_text, ends, many, number


def parts(comparison: Comparison) -> Iterator[Table | Sentence]:
    """Yield what is shown of a comparison."""
    yield _scores(comparison)
    yield Sentence(comparison.policy + ".")
    yield Sentence(comparison.sentence[:1].upper() + comparison.sentence[1:] + ".")
    if len(comparison.methods) == 2 or comparison.overall is not None:
        yield _differences(comparison)
    yield _pairs(comparison, comparison.pairs, f"Holm for {many(len(comparison.pairs), 'pair')}")
    if comparison.against and len(comparison.methods) > 2:
        yield _pairs(comparison, comparison.against, f"Holm for the {len(comparison.against)} pairs with {comparison.reference}")
    if comparison.overall is not None:
        yield from _overall(comparison, comparison.overall)
    if comparison.optimism:
        yield _gaps(comparison)
    if comparison.printed is not None:
        yield from printed_parts(comparison)
    yield from (Sentence(note, "note") for note in comparison.notes)


def _signed(value: float | None) -> str:
    return "-" if value is None else ("" if value < 0 else "+") + number(value)


def _design(comparison: Comparison) -> str:
    return f"{design_text(comparison.tasks)}; missing: {comparison.missing}"


def _scores(comparison: Comparison) -> Table:
    suite, tier, track, preset = comparison.division
    # The second floor has a column where any task has one.
    second = any(row.persistence is not None for row in comparison.tasks)
    rows = []
    for row in comparison.tasks:
        scores = (cell_text(row.cells[method]) for method in comparison.methods)
        floors = [number(row.floor), *([number(row.persistence)] if second else [])]
        rows.append((row.task, row.metric, row.direction_text, *scores, *floors, row.verdict))
    ranks = (f"{comparison.mean_ranks[method]:.2f}" for method in comparison.methods)
    return Table(
        f"{' vs '.join(comparison.methods)} on {suite}, tier {tier}, track {track}, preset {preset}",
        ("task", "metric", "direction", *comparison.methods, "floor", *(["persistence"] if second else []), "verdict"),
        (*rows, ("mean rank", "", "lower is better", *ranks, "", *([""] if second else []), "")),
        ("task", "metric", "direction", "verdict"),
        f"cells: mean ± sample standard deviation over seeds (number of seeds); missing: {comparison.missing}"
        + ("; floor: the mean field, persistence: that nothing changes" if second else ""),
    )


def _differences(comparison: Comparison) -> Table:
    rows = []
    # All pairs of many methods are more than anyone reads; with a reference its own are what was asked for (JSON has all).
    for pair in comparison.against or comparison.pairs:
        for task, detail in pair.details.items():
            gain = "-" if detail.gain is None else f"{100 * detail.gain:+.2f}"
            rows.append((f"{pair.first} - {pair.second}", task, _signed(detail.value), ends(detail.interval), gain))
    return Table(
        None,
        ("difference", "task", "mean", "95% interval", "gain (%)"),
        tuple(rows),
        ("difference", "task"),
        "95% interval: Student's over seeds, paired where two or more are common, else Welch's; gain: the difference as a share of the way from "
        "floor to perfect score, positive where the first is better"
        + ("; against a missing score it is the whole way" if comparison.missing == "worst-rank" else "")
        + f"; {_design(comparison)}",
    )


def _pairs(comparison: Comparison, pairs: Sequence[Pair], correction: str) -> Table:
    posterior = any(pair.posterior is not None for pair in pairs)
    rows = []
    for pair in pairs:
        believed = [" / ".join(f"{share:.2f}" for share in pair.posterior)] if pair.posterior is not None else []
        tested = (f"{pair.p:.3g}", f"{pair.p_holm:.3g}", pair.verdict, *believed)
        rows.append((f"{pair.first} vs {pair.second}", *map(str, pair.result), *tested))
    legend = "wins, ties, losses: tasks on which the first mean is better, practically equal "
    legend += f"(within {comparison.rope:g} of the way from floor to perfect score), worse; "
    legend += f"p: {pairs[0].test}, two-sided; verdict at {ALPHA:g} after {correction}"
    if posterior:
        legend += f"; Bayesian signed-rank ({DRAWS} draws): probability that the first is practically worse / equal / better"
    last = ("worse / equal / better",) if posterior else ()
    return Table(
        None,
        ("pair", "wins", "ties", "losses", "p", "p (Holm)", "verdict", *last),
        tuple(rows),
        ("pair", "verdict"),
        f"{legend}; {_design(comparison)}",
    )


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


def _gaps(comparison: Comparison) -> Table:
    rows = []
    for gap in comparison.optimism:
        interval = "" if gap.half_width is None else f" ± {number(gap.half_width)}"
        rows.append((gap.task, gap.method, number(gap.clean), number(gap.paper), f"{gap.gap:+.4f}{interval}"))
    return Table(
        None,
        ("task", "method", "clean", "paper", "optimism gap"),
        tuple(rows),
        ("task", "method"),
        "optimism gap: how much better the score of track paper is than that of track clean; ± half width of its 95% interval over seeds; "
        f"missing: {comparison.missing}",
    )
