"""The twelve tables that need no OpenML: three in scikit-learn, seven in this package, two that a rule lists completely."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import zlib
from importlib.resources import files

import numpy as np

from pare_bench.builtin.suites.openml.catalogue import Entry
from pare_bench.contracts.table import Column, Table
from pare_bench.datasets.table import nominal_column, read_csv
from pare_bench.errors import IntegrityError

_REINSTALL = "pip install --force-reinstall --no-deps pare-bench"
#: Places of a line on the board.
_LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))


def shipped_table(entry: Entry) -> Table:
    """Return the bundled table of ``entry``.

    Raises:
        IntegrityError: a file is missing or has another digest than when it was packed, or the table is not of the promised size.
    """
    kind, _, name = entry.source.partition(":")
    table = {"sklearn": _of_scikit_learn, "file": _of_file, "rule": _of_rule}[kind](entry, name)
    found, promised = (len(table), len(table.columns), len(table.classes)), (entry.rows, entry.features, entry.classes)
    if found != promised:
        raise IntegrityError(f"bundled table '{entry.title}' has (rows, features, classes) {found}, promised are {promised}", hint=_REINSTALL)
    return table


def _of_scikit_learn(entry: Entry, name: str) -> Table:  # noqa: ARG001 - as the other sources
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    columns = tuple(Column(str(title), bunch.data[:, place].astype(np.float64)) for place, title in enumerate(bunch.feature_names))
    return Table(columns, bunch.target.astype(np.int64), tuple(str(title) for title in bunch.target_names))


def _of_file(entry: Entry, name: str) -> Table:
    folder = files("pare_bench") / "data" / "tables"
    try:
        packed = (folder / name).read_bytes()
        digests = {item["file"]: item["sha256"] for item in json.loads((folder / "provenance.json").read_text("utf-8"))}
    except OSError as error:
        raise IntegrityError(f"bundled table '{folder / name}' cannot be read: {error.strerror or error}", hint=_REINSTALL) from error
    found = hashlib.sha256(packed).hexdigest()
    if found != digests.get(name):
        raise IntegrityError(f"bundled table '{folder / name}' has sha256 {found}, packed was {digests.get(name)}", hint=_REINSTALL)
    try:
        return read_csv(gzip.decompress(packed).decode("utf-8"), nominal=entry.nominal)
    except (ValueError, EOFError, zlib.error) as error:
        raise IntegrityError(f"bundled table '{folder / name}' cannot be read: {error}", hint=_REINSTALL) from error


def _of_rule(entry: Entry, name: str) -> Table:  # noqa: ARG001 - as the other sources
    return {"balance_scale": balance_scale, "tic_tac_toe": tic_tac_toe}[name]()


def balance_scale() -> Table:
    """Return every balance with weights and distances 1 to 5: the class says which side has the larger weight times distance (Siegler 1976)."""
    values = np.array(list(itertools.product(range(1, 6), repeat=4)), dtype=np.float64)
    left, right = values[:, 0] * values[:, 1], values[:, 2] * values[:, 3]
    names = ("left-weight", "left-distance", "right-weight", "right-distance")
    labels = np.where(left == right, 0, np.where(left > right, 1, 2)).astype(np.int64)
    return Table(tuple(Column(title, values[:, place].copy()) for place, title in enumerate(names)), labels, ("B", "L", "R"))


def tic_tac_toe() -> Table:
    """Return every board on which a game that x began can end: 626 in which x has a line, and 332 others (Aha 1991)."""
    boards = [board for board in itertools.product("box", repeat=9) if _ended(board)]
    columns = tuple(nominal_column(f"square-{place + 1}", [board[place] for board in boards]) for place in range(9))
    labels = np.array([int(_has_line(board, "x")) for board in boards], dtype=np.int64)
    return Table(columns, labels, ("negative", "positive"))


def _has_line(board: tuple[str, ...], player: str) -> bool:
    return any(all(board[place] == player for place in line) for line in _LINES)


def _ended(board: tuple[str, ...]) -> bool:
    crosses, circles = board.count("x"), board.count("o")
    x_wins, o_wins = _has_line(board, "x"), _has_line(board, "o")
    if x_wins:
        # The winner moved last, and whoever has lost has no line of their own.
        return crosses == circles + 1 and not o_wins
    if o_wins:
        return crosses == circles
    return crosses == 5 and circles == 4
