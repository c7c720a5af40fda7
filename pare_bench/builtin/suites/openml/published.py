"""Reading a table as OpenML publishes it: the file of the client or of the web page, ARFF or CSV, below the data folder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pare_bench.builtin.suites.openml.catalogue import Entry
from pare_bench.contracts.table import Table
from pare_bench.datasets.table import read_arff, read_csv
from pare_bench.datasets.table_text import LIMITS, read_text, shown
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

ARFF, CSV = "dataset.arff", "dataset.csv"
#: So many times the published rows are read at most: what is encoded from them stays in bounds, too.
_ROWS = 10
#: Names of columns that a message lists: all of a table but the widest.
_LISTED = 50


def fetch_hint(entry: Entry) -> str:
    """Return the command that gets the table through OpenML's client."""
    return f"pip install 'pare-bench[openml]' && python -m pare_bench.builtin.suites.openml.client {entry.id}"


def published_table(entry: Entry, files: Files) -> Table:
    """Return the table of ``<task>/dataset.arff`` or ``<task>/dataset.csv``; the class is OpenML's default target, the last column.

    Rows may be fewer than published, or up to ten times as many; features and classes must be as many, since they make the network's shape. What does
    not fit names the columns that were seen: a file of the web page may have its class elsewhere, and columns that OpenML says are to be ignored.

    Raises:
        DataMissingError: neither file is there.
        IntegrityError: it is no such table, or not this one.
        EnvironmentFault: it cannot be read.
    """
    # Not in the flat folder of the released code: the names are the same for every table.
    name = next((name for name in (ARFF, CSV) if (files.root / entry.name / name).exists()), None)
    if name is None:
        raise DataMissingError(
            f"task '{entry.name}' needs '{ARFF}' (or '{CSV}') of OpenML data set {entry.id}, not found below '{files.root / entry.name}'",
            hint=fetch_hint(entry),
        )
    path = files.path(name)
    again = f"rm '{path}' && {fetch_hint(entry)}"
    try:
        text = read_text(path)
        limits = replace(LIMITS, cells=_ROWS * entry.rows * (entry.features + 1))
        table = read_arff(text, limits=limits) if name == ARFF else read_csv(text, nominal=entry.nominal, limits=limits)
    except OSError as error:
        raise EnvironmentFault(f"'{path}' cannot be read: {error.strerror or error}", hint=f"ls -l '{path}'") from error
    except ValueError as error:
        raise IntegrityError(f"'{path}' cannot be read: {error}", hint=again) from error
    complaint = _complaint(entry, table, name)
    if complaint:
        raise IntegrityError(f"'{path}' {complaint}", hint=again)
    return table


def _complaint(entry: Entry, table: Table, name: str) -> str | None:
    """Return what of ``table`` is not as the catalogue says, or None."""
    seen = f"; its features: {_listing(table)}; its class, the last column: {shown(table.target)}"
    if len(table.columns) != entry.features or len(table.classes) != entry.classes:
        found = f"{len(table.columns)} features and {len(table.classes)} classes"
        return f"has {found}, {entry.title} has {entry.features} and {entry.classes}{seen}"
    elsewhere = next((column.name for column in table.columns if column.name.casefold() == "class"), None)
    if elsewhere is not None and table.target.casefold() != "class":
        return f"has a column {shown(elsewhere)} that is not the last one{seen}"
    strange = next((column.name for column in table.columns if column.categories is not None and not entry.slots), None)
    if strange is not None:
        return f"has categories in column {shown(strange)}, {entry.title} is a table of numbers"
    if name == CSV and entry.slots and all(column.categories is None for column in table.columns):
        return f"holds numbers alone, {entry.title} has categories: a CSV does not say which numbers are some, {ARFF} does{seen}"
    return None


def _listing(table: Table) -> str:
    names = [shown(column.name) for column in table.columns]
    return ", ".join(names[:_LISTED]) + (f", ... ({len(names)} in all)" if len(names) > _LISTED else "")
