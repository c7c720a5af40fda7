"""Older records made readable: each step turns the document of one schema number into that of the next."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

#: Number of the newest schema.
NEWEST = 3
#: Number of the schema since which the text of a record carries a seal.
SEALED_SINCE = 2


class UnknownSchemaError(ValueError):
    """A document whose schema is not one of ours, or newer than this version of pare-bench."""


class NewerSchemaError(UnknownSchemaError):
    """A record that a newer version of pare-bench has written."""


def migrated(document: Any) -> dict[str, Any]:
    """Return a record's document in the newest schema; its facts stay as they are, what an older schema did not know stays unknown.

    Raises:
        UnknownSchemaError: the document is no record, or of a schema that this version does not know.
    """
    current: dict[str, Any] = document
    for step in range(schema_number(document), NEWEST):
        current = _STEPS[step](current)
    return current


def schema_number(document: Any) -> int:
    """Return the number of a record's schema.

    Raises:
        UnknownSchemaError: the document is no record, or of a schema that this version does not know.
    """
    schema = document.get("schema") if isinstance(document, Mapping) else None
    found = re.fullmatch(r"pare-bench/record/([1-9]\d{0,3})", schema) if isinstance(schema, str) else None
    if found is None:
        raise UnknownSchemaError(f"not a pare-bench record: its schema is {schema!r}")
    if int(found[1]) > NEWEST:
        raise NewerSchemaError(f"'{schema}' is newer than this version of pare-bench, which knows records up to {NEWEST}")
    return int(found[1])


def _from_1(document: Mapping[str, Any]) -> dict[str, Any]:
    """Version 2 added identity, scoring, predictions and rescored; version 1 kept none of them, and all of them may be absent."""
    return {**document, "schema": "pare-bench/record/2"}


def _from_2(document: Mapping[str, Any]) -> dict[str, Any]:
    """Version 3 made the run id independent of where modules stand; an older one keeps its own, which went over their names."""
    return {**document, "schema": "pare-bench/record/3"}


_STEPS: Mapping[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}
