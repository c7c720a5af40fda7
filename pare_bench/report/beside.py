"""Printed numbers of the field on the page: beside the scores of a task, never among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pare_bench.comparison.printed import Card, Printed, definitions_of, of_division, reproduction_cards, source_marks
from pare_bench.report.content import Section


@dataclass(frozen=True)
class Beside:
    """What was printed about a task: ``rows`` are numbers with the mark of their source, ``sources`` and ``definitions`` are pairs (mark, text)."""

    says: str
    rows: Sequence[tuple[Printed, str]]
    sources: Sequence[tuple[str, str]]
    definitions: Sequence[tuple[str, str]]
    cards: Sequence[Card]


def beside(section: Section, numbers: Sequence[Printed]) -> dict[str, Beside]:
    """Return, for each task of a division that has some, its printed numbers; reproduction cards only where the data are the official ones."""
    labels = list(dict.fromkeys(label for by_label in section.counted.values() for label in by_label))
    tasks = [task.name for task in section.tasks]
    known = {number.task for number in of_division(numbers, section.division, tasks)}
    cards = reproduction_cards(numbers, section.division, section.task_rows(labels)) if known else ()
    return {task: _beside(section, task, numbers, [card for card in cards if card.task == task]) for task in tasks if task in known}


def _beside(section: Section, task: str, numbers: Sequence[Printed], cards: Sequence[Card]) -> Beside:
    own = of_division(numbers, section.division, [task])
    places = source_marks(own)
    tier = section.division.tier
    says = "Printed numbers, on the official data and in the unit of our metric. They are not ranked, and unverified ones enter no verdict."
    if tier != "official":
        says += f" The scores above are on {tier} data: the two must not be compared."
    if any(each.not_comparable for each in own):
        says += " Those marked as not comparable belong to other data, whatever the tier: the reason stands in their row."
    return Beside(
        says,
        [(each, places[each.source, each.table]) for each in own],
        [(mark, f"{source}: {table}") for (source, table), mark in places.items()],
        definitions_of(own),
        cards,
    )
