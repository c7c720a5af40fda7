"""Printed numbers of the field (leaderboard/published.json): shown beside scores, never ranked with them; and reproduction cards.

A number takes part in a verdict only where it was checked against its authors' own table, figure or text, and only for runs of the same definition:
official data, the track that scores as the released code does, and the published configuration.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pare_bench.comparison.task_rows import Cell, TaskRow
from pare_bench.errors import IntegrityError
from pare_bench.records.variants import Division, method_name

SCHEMA = "pare-bench/published/1"
#: Definitions that the scores of track paper follow.
_RELEASED = frozenset({"nas360 released", "pdebench released"})


@dataclass(frozen=True)
class Printed:
    """One printed number.

    ``value`` is in the unit of our ``metric``, ``printed`` as it stands in ``unit``; the true value may be ``rounding`` away. ``method`` is our name
    of ``label``, None where we have none. ``definition`` names what was measured, ``evidence`` where the number was read, ``checked`` how.
    ``not_comparable`` is the reason why it stands beside no score of ours, whatever the data and the track; empty where there is none.
    """

    suite: str
    task: str | None
    method: str | None
    label: str
    metric: str | None
    direction: str
    value: float
    rounding: float | None
    printed: float
    unit: str
    printed_task: str
    definition: str
    definition_text: str
    tier: str
    source: str
    table: str
    evidence: str
    verified: bool
    checked: str
    note: str
    not_comparable: str = ""

    @property
    def status(self) -> str:
        """Whether it was verified, where it was read, and why it is not comparable where it is not."""
        read = f"{'verified' if self.verified else 'UNVERIFIED'}: {self.evidence}"
        return f"{read}; NOT COMPARABLE: {self.not_comparable}" if self.not_comparable else read


@dataclass(frozen=True)
class Card:
    """A printed number beside our runs on the official data; ``verdict`` is inside or outside our 95% interval, or why there is none.

    ``method`` is the label of the runs, which names the settings that are not their preset's; ``budget`` is what training them took.
    """

    task: str
    method: str
    printed: Printed
    mean: float
    interval: tuple[float, float] | None
    seeds: int
    budget: str | None
    verdict: str


@lru_cache(1)
def printed_numbers() -> tuple[Printed, ...]:
    """Return all printed numbers, from the package or, in a checkout, from leaderboard/published.json.

    Raises:
        IntegrityError: the file is not there, or is not what it should be.
    """
    path = Path(str(files("pare_bench") / "data" / "published.json"))
    if not path.is_file():
        path = Path(str(files("pare_bench"))).parent / "leaderboard" / "published.json"
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema '{document['schema']}'")
        return tuple(_printed(number, document["definitions"]) for number in document["numbers"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"'{path}' does not have the printed numbers: {error}", hint="install pare-bench again") from error


def _printed(number: Mapping[str, Any], definitions: Mapping[str, str]) -> Printed:
    return Printed(**number, definition_text=definitions[number["definition"]])


def of_division(numbers: Sequence[Printed], division: Division, tasks: Sequence[str]) -> tuple[Printed, ...]:
    """Return the printed numbers of these tasks, by task, then in the order of the file."""
    return tuple(number for task in tasks for number in numbers if number.suite == division.suite and number.task == task)


def source_marks(numbers: Iterable[Printed]) -> dict[tuple[str, str], str]:
    """Return a mark for each place (source, table) in which numbers were read, in the order of the numbers: ``[1]``, ``[2]``."""
    places = dict.fromkeys((number.source, number.table) for number in numbers)
    return {place: f"[{index}]" for index, place in enumerate(places, 1)}


def definitions_of(numbers: Iterable[Printed]) -> list[tuple[str, str]]:
    """Return the definitions that numbers follow, as sorted pairs (name, text)."""
    return sorted({(number.definition, number.definition_text) for number in numbers})


def reproduction_cards(numbers: Sequence[Printed], division: Division, rows: Sequence[TaskRow]) -> tuple[Card, ...]:
    """Return the cards of all methods that have comparable printed numbers; none where the data are not the official ones."""
    if division.tier != "official":
        return ()
    cards = []
    for row in rows:
        for number in of_division(numbers, division, [row.task]):
            for label, cell in () if number.not_comparable or number.metric != row.metric else own_cells(number, row):
                if cell.mean is not None:
                    verdict = _verdict(number, division, label, cell)
                    cards.append(Card(row.task, label, number, cell.mean, cell.interval, cell.n, cell.budget, verdict))
    return tuple(cards)


def own_cells(number: Printed, row: TaskRow) -> list[tuple[str, Cell]]:
    """Return our runs of a printed number's method, plain and with other settings, by label."""
    return [(label, cell) for label, cell in row.cells.items() if method_name(label) == number.method]


def _verdict(number: Printed, division: Division, label: str, cell: Cell) -> str:
    reason = _no_verdict(number, division, label, cell)
    if reason is not None or cell.interval is None:
        return f"no verdict: {reason or 'one seed gives no interval'}"
    low, high = cell.interval
    rounding = number.rounding or 0.0
    return "inside" if low - rounding <= number.value <= high + rounding else "outside"


def _no_verdict(number: Printed, division: Division, label: str, cell: Cell) -> str | None:
    if not number.verified:
        return "the printed number is unverified"
    if not number.evidence.startswith("authors'"):
        return f"the printed number is {number.evidence}"
    if number.definition not in _RELEASED or division.track != "paper":
        return f"another definition: {number.definition_text}"
    if division.preset != "paper":
        return f"preset {division.preset} is not the published configuration"
    if label != method_name(label):
        return "other settings than the published configuration's"
    return "runs failed" if cell.failed else None
