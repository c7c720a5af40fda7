"""Printed numbers beside our scores, and reproduction cards, as tables."""

from __future__ import annotations

from collections.abc import Iterator

from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.printed import definitions_of, source_marks
from pare_bench.comparison.table_parts import Sentence, Table, cell_text, ends, number


def printed_parts(comparison: Comparison) -> Iterator[Table | Sentence]:
    """Yield the printed numbers of the tasks compared, where they were read, and the reproduction cards of official data."""
    shown = comparison.printed or ()
    suite, tier, track, _ = comparison.division
    if not shown:
        yield Sentence(f"There are no printed numbers of these tasks of suite {suite}.")
        return
    places = source_marks(shown)
    cells = {row.task: row.cells for row in comparison.tasks}
    rows = []
    for each in shown:
        own = cells[each.task or ""].get(each.method or "")
        ours = "-" if own is None else "not comparable" if each.not_comparable else cell_text(own)
        texts = (f"{each.value:g}", each.metric or each.unit, ours, each.status, each.definition)
        rows.append((each.task or "", each.label, *texts, places[each.source, each.table]))
    yield Table(
        "Printed numbers, not ranked with the scores above",
        ("task", "printed as", "printed", "metric", "ours", "status", "definition", "source"),
        tuple(rows),
        ("task", "printed as", "metric", "status", "definition", "source"),
        f"printed: on the official data, in the unit of our metric; ours: tier {tier}, track {track}"
        + ("" if tier == "official" else ", which are other data: the two must not be compared")
        + f"; unverified numbers enter no verdict; missing: {comparison.missing}",
    )
    yield from (Sentence(f"{mark} {source}: {table}", "note") for (source, table), mark in places.items())
    yield from (Sentence(f"definition '{name}': {text}", "note") for name, text in definitions_of(shown))
    if comparison.cards:
        yield _cards(comparison)


def _cards(comparison: Comparison) -> Table:
    rows = []
    for card in comparison.cards:
        numbers = (f"{card.printed.value:g}", number(card.mean), ends(card.interval), str(card.seeds))
        rows.append((card.task, card.method, *numbers, card.verdict, f"{card.printed.source}; {card.printed.status}"))
    return Table(
        "Reproduction",
        ("task", "method", "printed", "our mean", "our 95% interval", "seeds", "verdict", "source"),
        tuple(rows),
        ("task", "method", "verdict", "source"),
        "inside: the printed number, give or take its rounding, lies in our 95% interval of the mean over seeds (Student); "
        f"missing: {comparison.missing}",
    )
