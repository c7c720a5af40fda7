"""Printed numbers beside our scores, and reproduction cards, as tables."""

from __future__ import annotations

from collections.abc import Iterator

from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.printed import Printed, definitions_of, own_cells, source_marks
from pare_bench.comparison.table_parts import Sentence, Table, cell_text, ends, number
from pare_bench.comparison.task_rows import Cell


def printed_parts(comparison: Comparison) -> Iterator[Table | Sentence]:
    """Yield the printed numbers of the tasks compared, where they were read, and the reproduction cards of official data."""
    shown = comparison.printed or ()
    suite, tier, track, _ = comparison.division
    if not shown:
        yield Sentence(f"There are no printed numbers of these tasks of suite {suite}.")
        return
    places = source_marks(shown)
    own_rows = {row.task: row for row in comparison.tasks}
    rows = []
    for each in shown:
        own = own_cells(each, own_rows[each.task or ""])
        ours = "-" if not own else "not comparable" if each.not_comparable else "; ".join(_named(label, cell, each) for label, cell in own)
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


def _named(label: str, cell: Cell, printed: Printed) -> str:
    return cell_text(cell) if label == printed.method else f"{label}: {cell_text(cell)}"


def _cards(comparison: Comparison) -> Table:
    rows = []
    for card in comparison.cards:
        numbers = (f"{card.printed.value:g}", number(card.mean), ends(card.interval), str(card.seeds), card.budget or "-")
        rows.append((card.task, card.method, *numbers, card.verdict, f"{card.printed.source}; {card.printed.status}"))
    return Table(
        "Reproduction",
        ("task", "method", "printed", "our mean", "our 95% interval", "seeds", "our budget", "verdict", "source"),
        tuple(rows),
        ("task", "method", "our budget", "verdict", "source"),
        "inside: the printed number, give or take its rounding, lies in our 95% interval of the mean over seeds (Student); "
        f"missing: {comparison.missing}",
    )
