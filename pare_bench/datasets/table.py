"""Tables read from CSV and ARFF."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.table import Column, Table
from pare_bench.datasets.arff import Attribute, parse_arff, quoted
from pare_bench.datasets.table_text import LIMITS, Limits, is_number, repeated, shown

#: A missing cell of a CSV: empty as OpenML's client and pandas write it, or as ARFF has it. Words such as "none" or "NA" are values.
_MISSING_CSV = frozenset({"", "?"})
#: What some programs write for a missing number; among numbers it is neither a category nor certainly missing.
_UNCLEAR = frozenset({"na", "n/a", "<na>", "nan", "null", "none", "nat"})
_INFINITE = frozenset({"inf", "infinity"})
#: Of so many words a column keeps one object each; a column with more is one of numbers.
_SHARED = 1000


def read_csv(text: str, *, nominal: Collection[int | str] = (), target: str | None = None, limits: Limits = LIMITS) -> Table:
    """Return the table of a CSV text with a line of names.

    A cell is missing where it is empty or ``?``; spaces and single quotes around a value do not count. A column is of categories where its position
    among the features or its name is in ``nominal``, or a value is no number. The classes are the column ``target``, by default the last one; rows
    without a class are left out.

    Raises:
        ValueError: no rows, a line with too few or too many values, no such column, numbers beside words such as "NA", or more than ``limits``.
    """
    names, values = _csv_columns(text, limits)
    position = _position(names, target)
    kept = [row for row, word in enumerate(values[position]) if word is not None]
    features = [place for place in range(len(names)) if place != position]
    columns = []
    for number, place in enumerate(features):
        words = [values[place][row] for row in kept]
        if number in nominal or names[place] in nominal or not _all_numbers(names[place], words):
            columns.append(nominal_column(names[place], words))
        else:
            columns.append(Column(names[place], np.array([np.nan if word is None else float(word) for word in words], dtype=np.float64)))
    return Table(tuple(columns), *_classes([word for word in values[position] if word is not None]), names[position])


def read_arff(text: str, *, target: str | None = None, limits: Limits = LIMITS) -> Table:
    """Return the table of an ARFF text, whose header says which columns are categories; the classes as in :func:`read_csv`.

    Only an unquoted ``?`` is missing. Categories are those that occur, in alphabetical order, whatever order is declared.

    Raises:
        ValueError: it is not ARFF, or has columns of text or dates, no rows, no such column, or more than ``limits``.
    """
    attributes = parse_arff(text, limits)
    if not attributes[0].cells or len(attributes) < 2:
        raise ValueError("it has no rows" if len(attributes) > 1 else "it has a single column")
    last = attributes[_position([attribute.name for attribute in attributes], target)]
    kept = np.flatnonzero(_seen(last))
    columns = tuple(_column(attribute, kept) for attribute in attributes if attribute is not last)
    return Table(columns, *_classes(_words(last, kept)), last.name)


def write_arff(table: Table, name: str) -> str:
    """Return ``table`` as ARFF, classes last: what :func:`read_arff` reads back."""
    lines = [f"@relation {quoted(name)}", ""]
    for column in table.columns:
        kind = "numeric" if column.categories is None else "{" + ",".join(map(quoted, column.categories)) + "}"
        lines.append(f"@attribute {quoted(column.name)} {kind}")
    lines += [f"@attribute {quoted(table.target)} {{{','.join(map(quoted, table.classes))}}}", "", "@data"]
    for row, label in enumerate(table.labels):
        cells = [_cell(column, column.values[row]) for column in table.columns]
        lines.append(",".join([*cells, quoted(table.classes[label])]))
    return "\n".join(lines) + "\n"


def nominal_column(name: str, words: Sequence[str | None]) -> Column:
    """Return a column of categories, in alphabetical order; None is a missing value, and every word is a category."""
    categories = sorted({word for word in words if word is not None})
    index: dict[str | None, float] = {category: float(number) for number, category in enumerate(categories)}
    return Column(name, np.array([index.get(word, np.nan) for word in words], dtype=np.float64), tuple(categories))


def _csv_columns(text: str, limits: Limits) -> tuple[list[str], list[list[str | None]]]:
    """Return names and cells of a CSV by column, None where missing; equal words of a column are one object."""
    rows = csv.reader(limits.lines(text, newline=""), skipinitialspace=True, strict=True)
    names: list[str] = []
    values: list[list[str | None]] = []
    known: list[dict[str, str]] = []
    number = 0
    try:
        for row in rows:
            if not row:
                continue
            if not names:
                names = [name.strip() for name in row]
                limits.check_columns(len(names))
                twice = repeated(names)
                if twice is not None:
                    raise ValueError(f"the first line names column {shown(twice)} twice")
                values, known = [[] for _ in names], [{} for _ in names]
                continue
            number += 1
            limits.check_row(number, len(names))
            if len(row) != len(names):
                raise ValueError(f"row {number + 1} has {len(row)} values, the first line names {len(names)} columns")
            for column, words, cell in zip(values, known, row, strict=True):
                word = _csv_word(cell)
                column.append(words.setdefault(word, word) if word is not None and len(words) < _SHARED else word)
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}") from None
    if not number:
        raise ValueError("it has no rows")
    return names, values


def _csv_word(cell: str) -> str | None:
    """Return a cell without the spaces around it and without single quotes on both sides (as in rows taken from ARFF), None where missing."""
    word = cell.strip()
    if word in _MISSING_CSV:
        return None
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] == "'" else word


def _position(names: Sequence[str], target: str | None) -> int:
    if target is not None and target not in names:
        raise ValueError(f"it has no column {shown(target)}; its columns: {', '.join(map(shown, names[:20]))}{', ...' if len(names) > 20 else ''}")
    return len(names) - 1 if target is None else names.index(target)


def _all_numbers(name: str, words: Sequence[str | None]) -> bool:
    """Return whether a column of a CSV holds numbers alone.

    Raises:
        ValueError: it holds an infinite number, or a word that other programs write where a number is missing: CSV does not say which it is.
    """
    others = {word for word in words if word is not None and not is_number(word)}
    if not others:
        return True
    among_numbers = any(word is not None and is_number(word) for word in words)
    infinite = next((word for word in others if word.lower().lstrip("+-") in _INFINITE), None)
    if among_numbers and infinite is not None:
        raise ValueError(f"column {shown(name)} holds an infinite number, {shown(infinite)}")
    if among_numbers and all(word.lower() in _UNCLEAR for word in others):
        raise ValueError(f"column {shown(name)} holds numbers and {shown(min(others))}; leave a missing cell empty, or take the ARFF file")
    return False


def _seen(attribute: Attribute) -> NDArray[np.bool_]:
    cells = _array(attribute)
    return ~np.isnan(cells) if attribute.categories is None else cells >= 0


def _column(attribute: Attribute, kept: NDArray[np.integer]) -> Column:
    cells = _array(attribute)[kept]
    if attribute.categories is None:
        return Column(attribute.name, cells.astype(np.float64))
    occurring = sorted((attribute.categories[place], place) for place in np.unique(cells[cells >= 0]))
    # The last position is that of a missing cell, -1.
    order = np.full(len(attribute.categories) + 1, np.nan)
    order[[place for _, place in occurring]] = np.arange(len(occurring))
    return Column(attribute.name, order[cells], tuple(category for category, _ in occurring))


def _words(attribute: Attribute, kept: NDArray[np.integer]) -> list[str]:
    cells = _array(attribute)[kept]
    if attribute.categories is None:
        return [str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value) for value in cells.tolist()]
    return [attribute.categories[place] for place in cells]


def _array(attribute: Attribute) -> NDArray[Any]:
    return np.frombuffer(attribute.cells, dtype=np.float64 if attribute.categories is None else np.intc)


def _classes(words: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    numeric = all(map(is_number, set(words)))
    order: Callable[[str], tuple[float, str]] = lambda word: (float(word) if numeric else 0.0, word)  # noqa: E731 - one line, used once
    classes = sorted(set(words), key=order)
    index = {word: number for number, word in enumerate(classes)}
    return np.array([index[word] for word in words], dtype=np.int64), tuple(classes)


def _cell(column: Column, value: float) -> str:
    if np.isnan(value):
        return "?"
    return repr(float(value)) if column.categories is None else quoted(column.categories[int(value)])
