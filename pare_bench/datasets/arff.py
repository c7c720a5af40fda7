"""The grammar of ARFF, Weka's format for tables: declarations and rows as they stand in the file, nothing guessed.

After Weka's description of the format (University of Waikato, "ARFF (stable version)"); an unquoted ``?`` in a list of categories is none of them, as
in OpenML's table 42585 (openml-python 1036). Why not a library: docs/suites/openml.md has what the two that exist make of the same files.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pare_bench.datasets.table_text import LIMITS, Limits, is_number, repeated, shown

_SPACE = " \t\x0b\x0c"
#: A value: in one of two kinds of quotes, or a word. All repeats are possessive, so that no text takes longer than its length.
_VALUE = re.compile(r"""[ \t\x0b\x0c]*+(?:'([^'\\]*+(?:\\.[^'\\]*+)*+)'|"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([^\x00-\x20'",{}%]++))[ \t\x0b\x0c]*+""")
#: The name of a column may hold what a value may not: ``v(g)``, ``it's``.
_NAME = re.compile(r"""[ \t\x0b\x0c]*+(?:'([^'\\]*+(?:\\.[^'\\]*+)*+)'|"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([^\x00-\x20'",{}%][^\x00-\x20,{}%]*+))""")
_INDEX = re.compile(r"[ \t\x0b\x0c]*+([0-9]{1,9}+)(?=[ \t\x0b\x0c])")
_RANGE = re.compile(r"\[[^\[\]]*\]")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-7]{1,3}|.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "'": "'", '"': '"', "\\": "\\", "%": "%"}
#: A row without any of these is its words between commas.
_SPECIAL = re.compile(r"""[\x00-\x20'"{}%]""")
_NUMERIC = frozenset({"numeric", "real", "integer"})
_NEITHER = {"string": "text", "date": "dates", "relational": "tables"}


@dataclass
class Attribute:
    """A declared column: numbers (``categories`` None), or categories in declared order.

    ``cells`` are the values by row, NaN where missing; of categories their positions, -1 where missing.
    """

    name: str
    categories: tuple[str, ...] | None
    cells: array[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.cells = array("d") if self.categories is None else array("i")
        self._index = {category: place for place, category in enumerate(self.categories or ())}

    def add(self, word: str | None) -> None:
        """Append the value of a cell, None for a missing one.

        Raises:
            ValueError: it is no number, or no declared category.
        """
        if self.categories is None:
            self.cells.append(math.nan if word is None else self._number(word))
            return
        if word is not None and word not in self._index:
            raise ValueError(f"{shown(word)} in column {shown(self.name)} is none of the {len(self.categories)} declared categories")
        self.cells.append(-1 if word is None else self._index[word])

    def add_default(self) -> None:
        """Append what a row in braces leaves out: 0, or the first category.

        Raises:
            ValueError: there are no categories.
        """
        if self.categories is not None and not self.categories:
            raise ValueError(f"column {shown(self.name)} is left out and has no categories")
        self.cells.append(0)

    def _number(self, word: str) -> float:
        if not is_number(word):
            raise ValueError(f"{shown(word)} in column {shown(self.name)} is not a number (a missing one is ?)")
        value = float(word)
        if math.isinf(value):
            raise ValueError(f"{shown(word)} in column {shown(self.name)} is too large for a number")
        return value


def parse_arff(text: str, limits: Limits = LIMITS) -> list[Attribute]:
    """Return the columns of an ARFF text with all cells, in the order of their declarations; there may be no rows.

    Of the format everything is read that a table of numbers and categories can hold: both kinds of quotes, escapes, comments, rows in braces. An
    unquoted ``?`` alone is missing.

    Raises:
        ValueError: it is not ARFF, is larger than ``limits``, or has text, dates, tables in cells, weights, undeclared categories; with the line.
    """
    header = _Header()
    attributes: list[Attribute] | None = None
    row = 0
    for number, line in _lines(text, limits):
        try:
            if attributes is None:
                attributes = _declared(line, header, limits)
                continue
            row += 1
            limits.check_row(row, len(attributes))
            _read_row(line, attributes)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    if attributes is None:
        raise ValueError("it ends before its rows begin (no @data)")
    return attributes


def quoted(word: str) -> str:
    """Return a word as ARFF holds it: in quotes unless it is plain, with escapes."""
    if word and all(letter.isalnum() or letter in "_.-+<>=" for letter in word):
        return word
    return "'" + re.sub(r"[\\'\"%\x00-\x1f]", lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}", word) + "'"


_ESCAPES = {value: "\\" + key for key, value in _ESCAPED.items()}


def _lines(text: str, limits: Limits) -> Iterator[tuple[int, str]]:
    """Give the lines that say something, with their numbers."""
    for number, line in enumerate(limits.lines(text, newline=None), start=1):
        stripped = line.strip(_SPACE + "\n")
        if stripped and not stripped.startswith("%"):
            yield number, stripped


@dataclass
class _Header:
    """What was declared so far: the columns by name, and how many categories they have together."""

    columns: dict[str, Attribute] = field(default_factory=dict)
    categories: int = 0


def _declared(line: str, header: _Header, limits: Limits) -> list[Attribute] | None:
    """Take one line of the header; return all columns where rows follow."""
    columns = header.columns
    keyword = re.match(r"@[A-Za-z]*+", line)
    if keyword is None:
        raise ValueError(f"{shown(line)} stands before @data and is no declaration")
    word, rest = keyword[0].lower(), line[keyword.end() :]
    if word == "@data":
        _check_end(rest, 0, "@data")
        if not columns:
            raise ValueError("no columns are declared (@attribute) before @data")
        return list(columns.values())
    if word not in ("@relation", "@attribute") or (rest and rest[0] not in _SPACE):
        raise ValueError(f"{shown(line)} is no declaration; known are @relation, @attribute and @data")
    if word == "@attribute":
        attribute = _attribute(rest)
        if attribute.name in columns:
            raise ValueError(f"column {shown(attribute.name)} is declared twice")
        columns[attribute.name] = attribute
        limits.check_columns(len(columns))
        header.categories += len(attribute.categories or ())
        limits.check_categories(header.categories)
    return None


def _attribute(rest: str) -> Attribute:
    found = _NAME.match(rest)
    if found is None or rest[found.end() : found.end() + 1] not in (*_SPACE, "{"):
        raise ValueError(f"{shown(rest.strip(_SPACE))} does not begin with the name of a column and its type; quote a name with spaces, quotes or %")
    name = _word(found) or found[3] or ""
    start = _skip(rest, found.end())
    if rest[start : start + 1] == "{":
        categories, end = _categories(rest, start, name)
        _check_end(rest, end, f"the categories of column {shown(name)}")
        return Attribute(name, categories)
    kind = re.match(r"[A-Za-z]*+", rest[start:])
    word, end = (kind[0].lower(), start + kind.end()) if kind else ("", start)
    if word in _NEITHER:
        raise ValueError(f"column {shown(name)} holds {_NEITHER[word]}; a table here has numbers and categories")
    if word not in _NUMERIC:
        raise ValueError(f"column {shown(name)} has the unknown type {shown(rest[start:])}; known are numeric, real, integer and {{categories}}")
    # Old files give numbers a range, which means nothing for reading them.
    span = _RANGE.match(rest, _skip(rest, end))
    _check_end(rest, span.end() if span else end, f"the type of column {shown(name)}")
    return Attribute(name, None)


def _categories(rest: str, start: int, name: str) -> tuple[tuple[str, ...], int]:
    """Return the categories of the list that begins at ``start``, and where it ends; an unquoted ``?`` among them is no category."""
    if re.match(r"\{[ \t\x0b\x0c]*+\}", rest[start:]):
        return (), rest.index("}", start) + 1
    words, end = _values(rest, start + 1, f"in the categories of column {shown(name)}")
    if rest[end : end + 1] != "}":
        raise ValueError(f"the categories of column {shown(name)} do not end with }} in the same line; quote one with spaces, quotes, braces or %")
    categories = tuple(word for word in words if word is not None)
    twice = repeated(categories)
    if twice is not None:
        raise ValueError(f"column {shown(name)} declares category {shown(twice)} twice")
    return categories, end + 1


def _read_row(line: str, attributes: Sequence[Attribute]) -> None:
    if line.startswith("{"):
        _read_sparse(line, attributes)
        return
    words: list[str | None]
    if _SPECIAL.search(line) is None:
        words = [None if word == "?" else word for word in line.split(",")]
        if "" in words:
            raise ValueError(f"value {words.index('') + 1} is empty; a missing one is ?")
    else:
        words, end = _values(line, 0, "in a row")
        _check_end(line, end, "a row")
    if len(words) != len(attributes):
        raise ValueError(f"the row has {len(words)} values, {len(attributes)} columns are declared")
    for attribute, word in zip(attributes, words, strict=True):
        attribute.add(word)


def _read_sparse(line: str, attributes: Sequence[Attribute]) -> None:
    """Take a row in braces: pairs of a column's position and value; what is left out is 0 or the first category."""
    given: dict[int, str | None] = {}
    position = 1
    empty = re.match(r"\{[ \t\x0b\x0c]*+\}", line)
    while not empty:
        index = _INDEX.match(line, position)
        value = _VALUE.match(line, index.end()) if index else None
        if index is None or value is None:
            raise ValueError(f"{shown(line[position:].strip(_SPACE))} does not begin with the position of a column and its value")
        place = int(index[1])
        if place >= len(attributes) or place in given:
            reason = "is given twice" if place in given else f"does not exist, {len(attributes)} are declared (the first is 0)"
            raise ValueError(f"column {place} {reason}")
        given[place] = _word(value)
        position = value.end()
        if line[position : position + 1] != ",":
            break
        position += 1
    end = empty.end() if empty else position + 1
    if not empty and line[position : position + 1] != "}":
        raise ValueError("the row in braces does not end with }")
    _check_end(line, end, "a row")
    for place, attribute in enumerate(attributes):
        if place in given:
            attribute.add(given[place])
        else:
            attribute.add_default()


def _values(line: str, position: int, where: str) -> tuple[list[str | None], int]:
    """Return the values from ``position`` on that commas separate, and where they end."""
    words: list[str | None] = []
    while True:
        found = _VALUE.match(line, position)
        if found is None:
            rest = line[position:].strip(_SPACE)
            if rest.startswith("{"):
                raise ValueError(f"{shown(rest)} {where}: weights are not read, and a value with a brace is quoted")
            if not rest or rest[0] in ",%}":
                raise ValueError(f"value {len(words) + 1} {where} is empty; a missing one is ?")
            raise ValueError(f"{shown(rest)} {where}: a quote is not closed")
        words.append(_word(found))
        position = found.end()
        if line[position : position + 1] == "%" and line[position - 1] not in _SPACE:
            raise ValueError(f"{shown(line[found.start() :].strip(_SPACE))} {where}: quote a value with %, or put a space before a comment")
        if line[position : position + 1] != ",":
            return words, position
        position += 1


def _word(found: re.Match[str]) -> str | None:
    """Return what a value says, None for an unquoted ``?``."""
    if found[3] is not None:
        return None if found[3] == "?" else found[3]
    return _ESCAPE.sub(_unescaped, found[1] if found[1] is not None else found[2])


def _unescaped(found: re.Match[str]) -> str:
    escape = found[1]
    if escape[0] == "u" and len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape[0] in "01234567" and int(escape, 8) < 256:
        return chr(int(escape, 8))
    if escape not in _ESCAPED:
        raise ValueError(f"the escape {shown(found[0])} is unknown")
    return _ESCAPED[escape]


def _skip(line: str, position: int) -> int:
    """Return where the spaces from ``position`` on end."""
    return len(line) - len(line[position:].lstrip(_SPACE))


def _check_end(line: str, position: int, what: str) -> None:
    """Check that nothing but a comment follows."""
    rest = line[position:].strip(_SPACE)
    if not rest or rest.startswith("%"):
        return
    if rest.lstrip("," + _SPACE).startswith("{"):
        raise ValueError(f"{shown(rest)} after {what}: weights are not read")
    raise ValueError(f"{shown(rest)} after {what} is not understood; quote a value with spaces, quotes, braces or %")
