"""``python -m pare_bench.builtin.suites.openml.client ID ...``: fetch tables with OpenML's client (extra ``openml``) into the data folder.

Nothing else in this package calls the client, and nothing installs it: runs read the file that is written here.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pare_bench.builtin.suites.openml.catalogue import BY_ID, Entry
from pare_bench.builtin.suites.openml.published import ARFF
from pare_bench.contracts.table import Column, Table
from pare_bench.datasets.official import data_root
from pare_bench.datasets.table import nominal_column, write_arff
from pare_bench.datasets.table_text import shown
from pare_bench.errors import EnvironmentFault, IntegrityError, PareBenchError, UsageError


def save_table(entry: Entry, client: Any, root: Path) -> Path:
    """Fetch ``entry`` through ``client`` (the module ``openml``) and write it, default target last, to ``<root>/<task>/dataset.arff``.

    Columns that OpenML marks as row ids or as to be ignored are left out by the client.

    Raises:
        IntegrityError: a column holds neither numbers nor categories.
    """
    dataset = client.datasets.get_dataset(entry.id, download_data=True, download_qualities=False, download_features_meta_data=True)
    features, target, nominal, names = dataset.get_data(target=dataset.default_target_attribute)
    folder = root / entry.name
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".arff")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(write_arff(_table(features, target, nominal, names, dataset.default_target_attribute), entry.title))
        return Path(temporary).replace(folder / ARFF)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _table(features: Any, target: Any, nominal: Sequence[bool], names: Sequence[str], title: str) -> Table:
    """Return the data frames of the client as a table; rows without a class are left out.

    Missing is what the frame says is missing: the client makes NaN of ``?`` and leaves a category "None" or "nan" the word that it is. What ARFF
    declares as {true, false} comes as booleans, which are categories here again.
    """
    kept = np.flatnonzero(~np.asarray(target.isna()))
    columns = []
    for name, categorical in zip(names, nominal, strict=True):
        values = features[name].iloc[kept]
        missing = np.asarray(values.isna())
        cells = [None if gone else value for value, gone in zip(values, missing, strict=True)]
        if categorical or any(isinstance(cell, bool | np.bool_) for cell in cells):
            columns.append(nominal_column(name, [None if cell is None else str(cell) for cell in cells]))
            continue
        try:
            columns.append(Column(name, np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)))
        except (ValueError, TypeError) as error:
            raise IntegrityError(
                f"column {shown(name)} holds neither numbers nor categories: {error}", hint="the table changed, report it"
            ) from error
    words = [str(value) for value in target.iloc[kept]]
    classes = sorted(set(words))
    return Table(tuple(columns), np.array([classes.index(word) for word in words], dtype=np.int64), tuple(classes), title)


def main(arguments: Sequence[str]) -> int:
    """Fetch the tables with these ids; the exit code is that of ``pare-bench``."""
    try:
        unknown = [text for text in arguments if not text.isdecimal() or int(text) not in BY_ID]
        if unknown or not arguments:
            raise UsageError(f"'{' '.join(unknown)}' is not an id of suite openml", hint=f"known: {', '.join(map(str, BY_ID))}")
        try:
            import openml
        except ImportError as error:
            raise EnvironmentFault("the client 'openml' is not installed", hint="pip install 'pare-bench[openml]'") from error
        for text in arguments:
            sys.stdout.write(f"{save_table(BY_ID[int(text)], openml, data_root())}\n")
    except PareBenchError as error:
        sys.stderr.write(f"error: {error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
