"""The bundled tables: their counts, their digests, their rules; splits and encodings against independent computations."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
from importlib.resources import files

import numpy as np
import pytest
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.preprocessing import StandardScaler

from pare_bench import load
from pare_bench.builtin.suites.openml import shipped
from pare_bench.builtin.suites.openml.catalogue import BY_ID, CATALOGUE
from pare_bench.builtin.suites.openml.shipped import shipped_table, tic_tac_toe
from pare_bench.builtin.suites.openml.tasks import TABLE_METRICS
from pare_bench.contracts.table import Column, Table
from pare_bench.contracts.task import Classes, Split, weighted
from pare_bench.datasets.table import read_arff, read_csv, write_arff
from pare_bench.datasets.table_encoding import encode_as_released, encode_features
from pare_bench.datasets.table_splits import released_rows, stratified_rows
from pare_bench.errors import DataMissingError, IntegrityError

#: id: rows, features, columns of categories, rows of each class from the largest to the smallest.
COUNTS = {
    11: (625, 4, 0, (288, 288, 49)),
    23: (1473, 9, 7, (629, 511, 333)),
    28: (5620, 64, 0, (572, 571, 568, 566, 562, 558, 558, 557, 554, 554)),
    31: (1000, 20, 13, (700, 300)),
    37: (768, 8, 0, (500, 268)),
    48: (151, 5, 2, (52, 50, 49)),
    50: (958, 9, 9, (626, 332)),
    54: (846, 18, 0, (218, 217, 212, 199)),
    61: (150, 4, 0, (50, 50, 50)),
    187: (178, 13, 0, (71, 59, 48)),
    1510: (569, 30, 0, (357, 212)),
    40496: (500, 7, 0, (57, 57, 53, 52, 52, 51, 49, 47, 45, 37)),
}
BUNDLED = [entry for entry in CATALOGUE if entry.source]


def test_these_twelve_are_bundled():
    assert {entry.id for entry in BUNDLED} == set(COUNTS)
    assert len(CATALOGUE) == len(BY_ID) == 42
    assert sum(not entry.extra for entry in CATALOGUE) == 30


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.name)
def test_rows_columns_and_classes_are_the_published_ones(entry):
    rows, features, nominal, classes = COUNTS[entry.id]
    table = shipped_table(entry)
    assert (len(table), len(table.columns), len(table.classes)) == (rows, features, len(classes))
    assert sum(column.categories is not None for column in table.columns) == nominal
    assert tuple(sorted(np.bincount(table.labels).tolist(), reverse=True)) == classes
    widest = max((len(column.categories) for column in table.columns if column.categories), default=0)
    assert entry.slots == widest
    assert not any(np.isnan(column.values).any() for column in table.columns)


def test_every_packed_file_has_its_digest_and_counts():
    folder = files("pare_bench") / "data" / "tables"
    provenance = json.loads((folder / "provenance.json").read_text())
    assert {f"file:{item['file']}" for item in provenance} == {entry.source for entry in BUNDLED if entry.source.startswith("file:")}
    for item in provenance:
        packed = (folder / item["file"]).read_bytes()
        assert hashlib.sha256(packed).hexdigest() == item["sha256"]
        lines = gzip.decompress(packed).decode().split()
        assert (len(lines) - 1, len(lines[0].split(","))) == (item["rows"], item["columns"])
        assert item["file"].removesuffix(".csv.gz") in (folder.parent / "NOTICE.md").read_text()


@pytest.mark.parametrize("damage", [b"x", b""])
def test_a_changed_file_is_refused(tmp_path, monkeypatch, damage):
    source = files("pare_bench") / "data" / "tables"
    folder = tmp_path / "data" / "tables"
    folder.mkdir(parents=True)
    (folder / "provenance.json").write_bytes((source / "provenance.json").read_bytes())
    (folder / "tae.csv.gz").write_bytes(((source / "tae.csv.gz").read_bytes() + damage) if damage else b"")
    monkeypatch.setattr(shipped, "files", lambda _: tmp_path)
    with pytest.raises(IntegrityError, match=r"tae\.csv\.gz' has sha256") as caught:
        shipped_table(BY_ID[48])
    assert caught.value.exit_code == 4
    (folder / "tae.csv.gz").unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        shipped_table(BY_ID[48])


def test_the_finished_boards_are_those_that_a_game_reaches():
    """Play every game from the empty board instead of listing boards."""
    lines = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]
    ended: dict[str, bool] = {}
    seen: set[str] = set()

    def play(board: str) -> None:
        if board in seen:
            return
        seen.add(board)
        winner = next((board[a] for a, b, c in lines if board[a] != "b" and board[a] == board[b] == board[c]), None)
        if winner or "b" not in board:
            ended[board] = winner == "x"
            return
        player = "x" if board.count("x") == board.count("o") else "o"
        for place in range(9):
            if board[place] == "b":
                play(board[:place] + player + board[place + 1 :])

    play("b" * 9)
    table = tic_tac_toe()
    boards = ["".join(column.categories[int(column.values[row])] for column in table.columns) for row in range(len(table))]
    assert {board: table.classes[label] == "positive" for board, label in zip(boards, table.labels, strict=True)} == ended


def test_the_balance_falls_to_the_larger_torque():
    table = shipped.balance_scale()
    rows = {tuple(column.values[row] for column in table.columns): table.classes[table.labels[row]] for row in range(625)}
    assert set(rows) == set(itertools.product((1, 2, 3, 4, 5), repeat=4))
    assert rows[5, 5, 1, 1] == "L"
    assert rows[1, 2, 2, 2] == "R"
    assert rows[2, 3, 3, 2] == rows[1, 4, 2, 2] == "B"


@pytest.mark.parametrize("number", [23, 40496, 61])
def test_each_class_is_divided_to_within_one_row(number):
    labels = shipped_table(BY_ID[number]).labels
    parts = stratified_rows(labels, "x", 0)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    for label, count in enumerate(np.bincount(labels)):
        for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
            assert abs((labels[part] == label).sum() - share * count) <= 1
    other = stratified_rows(labels, "x", 1)
    assert not np.array_equal(parts[2], other[2])
    assert len(set(map(tuple, (stratified_rows(labels, "x", seed)[2] for seed in range(5))))) == 5


def test_the_paper_track_splits_as_released():
    splits = load("task", "openml_31").bundled(0, "paper")
    labels = shipped_table(BY_ID[31]).labels
    train, test = next(StratifiedShuffleSplit(n_splits=1, test_size=0.1, random_state=0).split(labels, labels))
    np.testing.assert_array_equal(splits.train.extras["groups"], train)
    np.testing.assert_array_equal(splits.test.extras["groups"], test)
    np.testing.assert_array_equal(splits.val.extras["groups"], test)
    np.testing.assert_array_equal(splits.test.targets, labels[test])
    np.testing.assert_array_equal(released_rows(labels, 0)[1], test)


def small_table() -> Table:
    numbers = np.array([1.0, 2.0, np.nan, 4.0, 100.0])
    words = np.array([0.0, 1.0, 1.0, np.nan, 2.0])
    return Table((Column("n", numbers), Column("w", words, ("p", "q", "r"))), np.array([0, 1, 0, 1, 1]), ("no", "yes"))


def test_features_are_encoded_by_the_training_rows_alone():
    encoded = encode_features(small_table(), np.arange(4), 2)
    mean, std = 7 / 3, np.std([1, 2, 4])
    np.testing.assert_allclose(encoded[:, 0, 0], [(1 - mean) / std, (2 - mean) / std, 0, (4 - mean) / std, (100 - mean) / std], rtol=1e-6)
    np.testing.assert_array_equal(encoded[:, 1, 0], [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(encoded[:, 2:, 0], 0)
    np.testing.assert_array_equal(encoded[:, 0, 1], 0)
    np.testing.assert_array_equal(encoded[:, 1, 1], [0, 0, 0, 1, 0])
    # q is the most frequent; r never occurs in the training rows: no channel, and not missing.
    np.testing.assert_array_equal(encoded[:, 2:, 1], [[0, 1], [1, 0], [1, 0], [0, 0], [0, 0]])


def test_rows_of_the_test_part_do_not_move_the_scale():
    table = shipped_table(BY_ID[37])
    train, _, test = stratified_rows(table.labels, "openml_37", 0)
    changed = np.isin(np.arange(768), test)
    shifted = Table(tuple(Column(column.name, np.where(changed, 1e6, column.values)) for column in table.columns), table.labels, ("a", "b"))
    before, after = encode_features(table, train, 0), encode_features(shifted, train, 0)
    np.testing.assert_array_equal(before[train], after[train])
    assert not np.array_equal(before[test], after[test])
    splits = load("task", "openml_37").bundled(0, "clean")
    expected = StandardScaler().fit(np.stack([column.values for column in table.columns], 1)[train])
    np.testing.assert_allclose(
        splits.test.inputs[:, 0], expected.transform(np.stack([column.values for column in table.columns], 1)[test]), rtol=1e-5, atol=1e-6
    )


def test_the_released_layout():
    columns = Column("a", np.array([1.0, 3.0])), Column("b", np.array([np.nan, 1.0]))
    numbers = encode_as_released(Table(columns, np.array([0, 1]), ("x", "y")), np.arange(2), 0)
    np.testing.assert_array_equal(numbers, np.array([[[-1], [0]], [[1], [0]]], dtype=np.float32))
    mixed = encode_as_released(small_table(), np.arange(5), 3)
    assert mixed.shape == (5, 4, 2)
    # Categories come first: q, then p and r, then "missing"; the missing number is 0 before it is scaled.
    np.testing.assert_array_equal(mixed[:, :, 0], [[0, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    values = np.array([1.0, 2.0, 0.0, 4.0, 100.0])
    np.testing.assert_allclose(mixed[:, 0, 1], (values - values.mean()) / values.std(), rtol=1e-6)
    np.testing.assert_array_equal(mixed[:, 1:, 1], 0)


@pytest.mark.parametrize(("number", "shape"), [(37, (8, 1)), (31, (11, 20)), (50, (4, 9))])
def test_the_released_encoding_has_the_published_shape(number, shape):
    task = load("task", f"openml_{number}", {"encoding": "released"})
    assert (task.inputs.channels, *task.inputs.grid) == shape
    assert task.bundled(0, "paper").train.inputs.shape[1:] == shape
    assert load("task", f"openml_{number}").inputs != task.inputs


def test_vehicle_is_scaled_twice_as_released():
    splits = load("task", "openml_54", {"encoding": "released"}).bundled(0, "paper")
    inputs = np.asarray(splits.train.inputs, dtype=np.float64)
    np.testing.assert_allclose(inputs.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(inputs.std(0), 1, atol=1e-3)


def test_classes_weigh_the_inverse_of_their_share():
    splits = load("task", "openml_31").bundled(0, "clean")
    target = weighted(load("task", "openml_31").target, splits.train)
    assert isinstance(target, Classes)
    counts = np.bincount(splits.train.targets)
    np.testing.assert_allclose(target.weights, counts.sum() / counts)
    assert weighted(Classes(3), splits.train) == Classes(3)
    assert weighted(Classes(3, balanced=True), splits.train).weights[2] == 0


def test_a_table_that_does_not_ship_says_how_to_have_it():
    with pytest.raises(DataMissingError, match="mfeat-fourier") as caught:
        load("task", "openml_14").bundled(0, "clean")
    assert "openml.client 14" in caught.value.hint
    with pytest.raises(DataMissingError, match="no bundled data"):
        load("task", "ecg").bundled(0, "clean")


def test_a_table_survives_being_written_as_arff():
    table = read_arff(write_arff(small_table(), "small table"))
    assert [column.categories for column in table.columns] == [None, ("p", "q", "r")]
    assert table.classes == ("no", "yes")
    np.testing.assert_array_equal(table.labels, small_table().labels)
    for column, original in zip(table.columns, small_table().columns, strict=True):
        np.testing.assert_array_equal(column.values, original.values)


@pytest.mark.parametrize(
    ("text", "says"), [("a,class\n", "no rows"), ("a,b,class\n1,2\n", "row 2 has 2 values"), ("a,class\ninf,x\n1,y\n", "infinite")]
)
def test_a_csv_that_is_no_table_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        read_csv(text)


def test_csv_knows_numbers_from_words_and_leaves_rows_without_a_class_out():
    table = read_csv("n,w,code,class\n1.5,a,1,10\n?,b,2,9\n2,?,1,10\n7,a,2,?\n", nominal=(2,))
    assert [column.categories for column in table.columns] == [None, ("a", "b"), ("1", "2")]
    assert table.classes == ("9", "10")
    np.testing.assert_array_equal(table.labels, [1, 0, 1])
    np.testing.assert_array_equal(table.columns[0].values, [1.5, np.nan, 2])
    np.testing.assert_array_equal(table.columns[1].values, [0, 1, np.nan])


def test_one_against_the_rest_ranks_logits_whose_probabilities_are_0_or_1():
    """Margins of 50 to 80: every probability of class 0 is 1 or 0 in double precision, but not the order of the log-odds."""
    logits = np.zeros((6, 3))
    logits[:4, 0] = 80, 70, 60, 50
    logits[4:, 0] = -80, -90
    targets = np.array([0, 1, 0, 2, 1, 1])
    score = TABLE_METRICS[1].compute(logits, Split(np.zeros((6, 1, 1)), targets))
    # Class 0 (80, 70, 60, 50, -80, -90): rows 0 and 2 above 4 and 3 of four others. Class 1 (-80, -70, -60, -50, 0, 0): rows 1, 4, 5 above 1, 3, 3 of
    # three. Class 2 (the same): row 3 above 3 of five.
    assert score == pytest.approx(1 - np.mean([7 / 8, 7 / 9, 3 / 5]))
