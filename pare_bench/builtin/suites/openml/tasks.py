"""The tasks of suite ``openml``: one class for all tables; each id has a subclass, ``Openml31``, made from its line of the catalogue.

They differ in nothing but that line, so there is a loop at the end of this module and not a file for each: 42 files of ten lines would hide that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pare_bench import metrics
from pare_bench.builtin.suites.openml.catalogue import CATALOGUE, Entry
from pare_bench.builtin.suites.openml.published import ARFF, CSV, fetch_hint, published_table
from pare_bench.builtin.suites.openml.shipped import shipped_table
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.params import Params
from pare_bench.contracts.table import Table
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, Splits, Task, TaskSize, Track
from pare_bench.datasets.table_encoding import FIRST_CATEGORY, encode_as_released, encode_features
from pare_bench.datasets.table_splits import released_rows, stratified_rows
from pare_bench.errors import DataMissingError, IntegrityError

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files


def one_against_rest_error(outputs: NDArray[np.floating], split: Split) -> float:
    """Return 1 - AUROC of each class's softmax probability against all other classes, averaged over the classes that occur."""
    return metrics.auroc_error(metrics.class_log_odds(outputs), np.eye(outputs.shape[1])[np.asarray(split.targets)])


#: The first is ORCA's; the whole test part is one of its chunks, so both tracks compute the same.
TABLE_METRICS = (
    Metric("auroc_ovo_error", lambda outputs, split: metrics.auroc_ovo_error(outputs, split.targets)),
    Metric("auroc_ovr_error", one_against_rest_error),
    Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),
)


class TableTask(Task):
    """A table of OpenML: the features of a row -> its class; 1 - AUROC (one class against one other, averaged over pairs), weighted cross-entropy.

    **Input.** ``encoding: features`` has one place per feature and channels for its scaled number, "missing" and its category (one-hot): length F,
    channels 2 + ``slots``. ``encoding: released`` is ORCA's layout: a table of numbers is a single place with F channels (so the transformer attends
    over one token), a mixed one has F places of zero-padded one-hot channels, categories first. See :mod:`pare_bench.datasets.table_encoding`.

    **Tracks.** ``clean``: three fifths of each class to train, a fifth each for validation and test, drawn from ``data_seed`` (0 to 4 are the five
    splits of docs/suites/openml.md); scale, missing values and categories are fitted on the training rows. ``paper``: a stratified tenth of the rows
    (scikit-learn's shuffle split, ``random_state`` = ``data_seed``, 0 as published) is test *and* validation, everything is fitted on all rows, test
    included, and the encoding is ORCA's. ``extras["groups"]`` are row numbers of the table, in both.

    **Data.** ``bundled`` where the table is in scikit-learn, in this package or follows from a rule (``pare_bench.builtin.suites.openml.shipped``);
    ``official`` is OpenML's file, see ``pare_bench.builtin.suites.openml.published``.

    Deviations of the paper track: the released split is made once and kept, whatever the seed of later runs; columns that the loader drops are
    zeros here.
    """

    class Params(Params):
        """Parameters of the tables."""

        encoding: Literal["features", "released"] = Field("features", description="one place per feature; released: ORCA's layout (paper track)")

    params: TableTask.Params
    entry: ClassVar[Entry]
    version = 1
    metrics = TABLE_METRICS
    sizes: ClassVar = {}
    released_params: ClassVar = {"encoding": "released"}

    def __init__(self, params: Params | None = None) -> None:
        super().__init__(params)
        self.inputs = input_shape(self.entry, self.params.encoding)

    def bundled(self, seed: int, track: Track) -> Splits:
        """Return the shipped table, split by ``seed``.

        Raises:
            DataMissingError: OpenML alone has this table.
            IntegrityError: a shipped file is not what its digest promises.
        """
        if not self.entry.source:
            raise DataMissingError(f"table '{self.entry.title}' does not ship with the package", hint=fetch_hint(self.entry))
        return self._split(shipped_table(self.entry), seed, track)

    def official(self, files: Files, track: Track) -> Splits:
        """Read OpenML's file and split it by seed 0; see :meth:`official_at`."""
        return self.official_at(files, track, 0)

    def official_at(self, files: Files, track: Track, seed: int) -> Splits:
        """Read OpenML's file, split by ``seed``.

        Raises:
            DataMissingError: it is not there.
            IntegrityError: it is not a table, or not this one.
        """
        try:
            return self._split(published_table(self.entry, files), seed, track)
        except ValueError as error:
            raise IntegrityError(f"table '{self.entry.title}' cannot be split: {error}", hint=fetch_hint(self.entry)) from error

    def generated(self, seed: int, size: TaskSize) -> Splits:  # noqa: ARG002 - the contract's signature
        """Refuse: nothing is simulated here.

        Raises:
            DataMissingError: always.
        """
        raise DataMissingError(f"task '{self.name}' has no generated data", hint="--tier auto")

    def _split(self, table: Table, seed: int, track: Track) -> Splits:
        if track == "paper":
            train, test = released_rows(table.labels, seed)
            split = self._parts(table, np.arange(len(table)), train)
            return Splits(split(train), split(test), split(test))
        train, val, test = stratified_rows(table.labels, self.name, seed)
        split = self._parts(table, train, train)
        return Splits(split(train), split(val), split(test))

    def _parts(self, table: Table, fitted: NDArray[np.integer], train: NDArray[np.integer]) -> _Rows:
        if self.params.encoding == "features":
            return _Rows(encode_features(table, fitted, self.entry.slots), table.labels)
        inputs = encode_as_released(table, fitted, self.entry.slots)
        if self.entry.rescaled:
            mean, std = inputs[train].mean(axis=0, dtype=np.float64), inputs[train].std(axis=0, dtype=np.float64)
            inputs = ((inputs - mean) / (std + 1e-5)).astype(np.float32)
        if self.entry.kept:
            dropped = [place for place in range(inputs.shape[1]) if place not in self.entry.kept]
            inputs[:, dropped] = 0
        return _Rows(inputs, table.labels)


class _Rows:
    """Encoded rows, taken by number."""

    def __init__(self, inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        self.inputs, self.labels = inputs, labels

    def __call__(self, rows: NDArray[np.integer]) -> Split:
        """Return a split of ``rows``."""
        return Split(self.inputs[rows], self.labels[rows], {"groups": rows.astype(np.int64)})


def input_shape(entry: Entry, encoding: str) -> InputShape:
    """Return the shape of an encoded row."""
    if encoding == "features":
        return InputShape(FIRST_CATEGORY + entry.slots, (entry.features,), table=True)
    return InputShape(entry.slots + 1, (entry.features,), table=True) if entry.slots else InputShape(entry.features, (1,), table=True)


def task_of(entry: Entry) -> type[TableTask]:
    """Return the task class of one table."""
    values = {
        "__module__": __name__,
        "__doc__": f"{entry.title}, OpenML {entry.id}; see :class:`TableTask`.",
        "entry": entry,
        "name": entry.name,
        "version": entry.version,
        "inputs": input_shape(entry, "features"),
        "target": Classes(entry.classes, balanced=True),
        "real": f"all of it: {entry.title} ({entry.source})" if entry.source else None,
        "preset_settings": {"cpu": {"budget.epochs": entry.epochs}},
        "released_configurations": {"orca": f"OPENML{entry.id}"},
        "official_files": (OfficialFile(ARFF, optional=True), OfficialFile(CSV, optional=True)),
    }
    return type(f"Openml{entry.id}", (TableTask,), values)


globals().update({f"Openml{entry.id}": task_of(entry) for entry in CATALOGUE})
