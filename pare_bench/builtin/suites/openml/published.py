"""Reading a table as OpenML publishes it: the file of the client or of the web page, ARFF or CSV, below the data folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pare_bench.builtin.suites.openml.catalogue import Entry
from pare_bench.contracts.table import Table
from pare_bench.datasets.table import read_arff, read_csv
from pare_bench.errors import DataMissingError, IntegrityError

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

ARFF, CSV = "dataset.arff", "dataset.csv"


def fetch_hint(entry: Entry) -> str:
    """Return the command that gets the table through OpenML's client."""
    return f"pip install 'pare-bench[openml]' && python -m pare_bench.builtin.suites.openml.client {entry.id}"


def published_table(entry: Entry, files: Files) -> Table:
    """Return the table of ``<task>/dataset.arff`` or ``<task>/dataset.csv``; the class is OpenML's default target, the last column.

    Rows may be fewer than published; features and classes must be as many, since they make the network's shape.

    Raises:
        DataMissingError: neither file is there.
        IntegrityError: it is no such table, or not this one.
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
        text = path.read_text("utf-8", errors="replace")
        table = read_arff(text) if name == ARFF else read_csv(text, nominal=entry.nominal)
    except ValueError as error:
        raise IntegrityError(f"'{path}' cannot be read: {error}", hint=again) from error
    if len(table.columns) != entry.features or len(table.classes) != entry.classes:
        found = f"{len(table.columns)} features and {len(table.classes)} classes"
        raise IntegrityError(f"'{path}' has {found}, {entry.title} has {entry.features} and {entry.classes}", hint=again)
    strange = next((column.name for column in table.columns if column.categories is not None and not entry.slots), None)
    if strange is not None:
        raise IntegrityError(f"'{path}' has categories in column '{strange}', {entry.title} is a table of numbers", hint=again)
    return table
