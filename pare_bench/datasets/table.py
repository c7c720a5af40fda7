"""Tables read from CSV and ARFF."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.table import Column, Table

#: Words that stand for "not measured".
MISSING = frozenset({"", "?", "na", "nan", "null", "none"})


def read_csv(text: str, *, nominal: Collection[int] = (), target: str | None = None) -> Table:
    """Return the table of a CSV text with a line of names.

    A column is of categories where its position among the features is in ``nominal`` or a value is no number. The classes are the column ``target``,
    by default the last one; rows without a class are left out.

    Raises:
        ValueError: no rows, a line with too few or too many values, or no such column.
    """
    rows = [row for row in csv.reader(io.StringIO(text), skipinitialspace=True) if row]
    if len(rows) < 2:
        raise ValueError("it has no rows")
    names, body = [name.strip() for name in rows[0]], rows[1:]
    wrong = next((number for number, row in enumerate(body, start=2) if len(row) != len(names)), None)
    if wrong is not None:
        raise ValueError(f"row {wrong} has {len(body[wrong - 2])} values, the first line names {len(names)} columns")
    values = [[row[place].strip().strip("'") for row in body] for place in range(len(names))]
    position = names.index(target) if target in names else len(names) - 1
    kept = [row for row, word in enumerate(values[position]) if not is_missing(word)]
    features = [place for place in range(len(names)) if place != position]
    columns = []
    for number, place in enumerate(features):
        words = [values[place][row] for row in kept]
        columns.append(nominal_column(names[place], words) if number in nominal or not all(map(_numeric, words)) else _numbers(names[place], words))
    return Table(tuple(columns), *_classes([values[position][row] for row in kept]))


def read_arff(text: str, *, target: str | None = None) -> Table:
    """Return the table of an ARFF text, whose header says which columns are categories; the classes as in :func:`read_csv`.

    Raises:
        ValueError: it is not ARFF, or has columns of text or dates, or no rows.
    """
    from scipy.io import arff

    try:
        records, header = arff.loadarff(io.StringIO(text))
    except (arff.ArffError, NotImplementedError, StopIteration, IndexError, TypeError) as error:
        raise ValueError(f"it is not an ARFF table: {str(error) or 'it ends before its rows begin'}") from error
    names, kinds = header.names(), header.types()
    if not len(records) or len(names) < 2:
        raise ValueError("it has no rows")
    words = {
        name: [_word(value) for value in records[name].tolist()] if kind == "nominal" else records[name]
        for name, kind in zip(names, kinds, strict=True)
    }
    last = target if target in names else names[-1]
    labels = [word if isinstance(word, str) else "?" if np.isnan(word) else f"{word:g}" for word in words[last]]
    kept = np.array([row for row, label in enumerate(labels) if not is_missing(label)], dtype=np.int64)
    columns = []
    for name, kind in zip(names, kinds, strict=True):
        if name == last:
            continue
        if kind == "nominal":
            columns.append(nominal_column(name, [words[name][row] for row in kept]))
        else:
            columns.append(Column(name, np.asarray(words[name], dtype=np.float64)[kept]))
    return Table(tuple(columns), *_classes([labels[row] for row in kept]))


def write_arff(table: Table, name: str) -> str:
    """Return ``table`` as ARFF, classes last: what :func:`read_arff` reads back."""
    lines = [f"@relation {_quoted(name)}", ""]
    for column in table.columns:
        kind = "numeric" if column.categories is None else "{" + ",".join(map(_quoted, column.categories)) + "}"
        lines.append(f"@attribute {_quoted(column.name)} {kind}")
    lines += [f"@attribute class {{{','.join(map(_quoted, table.classes))}}}", "", "@data"]
    for row, label in enumerate(table.labels):
        cells = [_cell(column, column.values[row]) for column in table.columns]
        lines.append(",".join([*cells, _quoted(table.classes[label])]))
    return "\n".join(lines) + "\n"


def is_missing(word: str) -> bool:
    """Return whether a cell says "not measured"."""
    return word.lower() in MISSING


def nominal_column(name: str, words: Sequence[str]) -> Column:
    """Return a column of categories, in alphabetical order."""
    categories = sorted({word for word in words if not is_missing(word)})
    index = {category: float(number) for number, category in enumerate(categories)}
    return Column(name, np.array([index.get(word, np.nan) for word in words]), tuple(categories))


def _numbers(name: str, words: Sequence[str]) -> Column:
    return Column(name, np.array([np.nan if is_missing(word) else float(word) for word in words]))


def _classes(words: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    numeric = all(map(_numeric, words))
    order: Callable[[str], tuple[float, str]] = lambda word: (float(word) if numeric else 0.0, word)  # noqa: E731 - one line, used once
    classes = sorted(set(words), key=order)
    index = {word: number for number, word in enumerate(classes)}
    return np.array([index[word] for word in words], dtype=np.int64), tuple(classes)


def _numeric(word: str) -> bool:
    if is_missing(word):
        return True
    try:
        float(word)
    except ValueError:
        return False
    return True


def _word(value: bytes) -> str:
    return value.decode("utf-8", "replace").strip().strip("'\"")


def _cell(column: Column, value: float) -> str:
    if np.isnan(value):
        return "?"
    return repr(float(value)) if column.categories is None else _quoted(column.categories[int(value)])


def _quoted(word: str) -> str:
    return word if word and all(letter.isalnum() or letter in "_.-+<>=" for letter in word) else "'" + word.replace("'", "`") + "'"
