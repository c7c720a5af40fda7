"""OpenML's own files, against the cells they were written from; and its client, by a stand-in."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from official_files import openml_29 as written

from pare_bench import load
from pare_bench.builtin.suites.openml.catalogue import BY_ID
from pare_bench.builtin.suites.openml.client import main, save_table
from pare_bench.builtin.suites.openml.published import published_table
from pare_bench.datasets.official import OfficialFiles, official_data, state_of
from pare_bench.datasets.table import read_arff
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError


def read(root, form="arff"):
    written.write(root, form=form)
    return published_table(BY_ID[29], OfficialFiles(root, "openml_29"))


@pytest.mark.parametrize("form", ["arff", "csv"])
def test_every_cell_is_read(tmp_path, form):
    table = read(tmp_path, form)
    rows, classes = written.cells()
    assert [table.classes[label] for label in table.labels] == classes
    for place, column in enumerate(table.columns):
        words = [row[place] for row in rows]
        assert (column.categories is None) == (place in written.NUMBERS)
        for word, value in zip(words, column.values, strict=True):
            if word == "?":
                assert np.isnan(value)
            else:
                assert (float(word) if column.categories is None else word) == (value if column.categories is None else column.categories[int(value)])


@pytest.mark.parametrize("track", ["clean", "paper"])
def test_both_forms_give_the_same_examples(tmp_path, track):
    written.write(tmp_path / "a")
    written.write(tmp_path / "b", form="csv")
    task = load("task", "openml_29", {"encoding": "released"} if track == "paper" else {})
    first, second = (official_data(task, tmp_path / name, track).splits for name in "ab")
    for name in ("train", "val", "test"):
        one, two = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(one.inputs, two.inputs)
        np.testing.assert_array_equal(one.targets, two.targets)
        assert one.inputs.shape[1:] == (task.inputs.channels, *task.inputs.grid)


def test_the_seed_of_the_split_counts_in_the_digest(tmp_path):
    written.write(tmp_path)
    task = load("task", "openml_29")
    first, again, other = (official_data(task, tmp_path, "clean", seed) for seed in (0, 0, 1))
    assert first.sha256 == again.sha256 != other.sha256
    assert not np.array_equal(first.splits.test.extras["groups"], other.splits.test.extras["groups"])


def test_a_missing_file_says_how_to_fetch_it(tmp_path):
    task = load("task", "openml_29")
    with pytest.raises(DataMissingError, match=r"dataset\.arff") as caught:
        official_data(task, tmp_path)
    assert "openml.client 29" in caught.value.hint
    assert state_of(tmp_path, "openml_29", task.official_files) == "missing"
    written.write(tmp_path)
    assert state_of(tmp_path, "openml_29", task.official_files) == "present"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[: text.index("@DATA")], "ends before its rows"),
        (lambda text: "<!doctype html><p>log in", "web page"),
        (lambda text: text.replace("@ATTRIBUTE A3 {a,b,'very good'}\n", ""), "cannot be read"),
        (lambda text: text.replace("@ATTRIBUTE A1 REAL", "@ATTRIBUTE A1 STRING"), "cannot be read"),
        (lambda text: text.replace("@ATTRIBUTE class {+,-}", "@ATTRIBUTE class {+,-,0}").replace(",-\n", ",0\n", 1), "3 classes"),
        (lambda text: text[:-200] + "\n1,2", "cannot be read"),
        (lambda text: text.replace("credit-approval", "crédit").encode("latin1"), r"line 2: it is not UTF-8 \(byte 0xe9\)"),
        (lambda text: text + text[text.index("@DATA") + 6 :] * 110, "more than 110,400 cells"),
        (lambda text: text.replace("class {+", "'the\x1b[31mclass' {+").replace("A0 ", "Class "), r"column 'Class' that is not the last one"),
        (
            lambda text: (
                text.replace("@ATTRIBUTE class {+,-}", "@ATTRIBUTE class {+,-}\n@ATTRIBUTE last {z}").replace("+\n", "+,z\n").replace("-\n", "-,z\n")
            ),
            r"16 features and 1 classes, credit-approval has 15 and 2; its features: 'A0', .*'class'; its class, the last column: 'last'",
        ),
    ],
)
def test_a_file_that_is_not_the_table_is_refused(tmp_path, change, says):
    path = written.write(tmp_path)
    changed = change(path.read_text())
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    with pytest.raises(IntegrityError, match=says) as caught:
        official_data(load("task", "openml_29"), tmp_path)
    assert "dataset.arff" in str(caught.value)
    assert caught.value.exit_code == 4
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("number", [29, 23])
def test_a_csv_without_any_word_is_refused_where_there_are_categories(tmp_path, number):
    entry = BY_ID[number]
    path = tmp_path / entry.name / "dataset.csv"
    path.parent.mkdir()
    rows = [",".join(map(str, [*range(entry.features), number % entry.classes])) for number in range(9)]
    path.write_text(",".join([*(f"A{place}" for place in range(entry.features)), "class"]) + "\n" + "\n".join(rows) + "\n")
    if entry.nominal:
        assert sum(column.categories is not None for column in published_table(entry, OfficialFiles(tmp_path, entry.name)).columns) == 7
        return
    with pytest.raises(IntegrityError, match=r"holds numbers alone, credit-approval has categories: a CSV does not say which.*dataset\.arff does"):
        published_table(entry, OfficialFiles(tmp_path, entry.name))


@pytest.mark.parametrize("form", ["arff", "csv"])
def test_a_file_that_cannot_be_opened_is_a_fault_of_this_machine(tmp_path, form, monkeypatch):
    path = written.write(tmp_path, form=form)
    files = OfficialFiles(tmp_path, "openml_29")
    monkeypatch.setattr(files, "path", lambda name: path)
    path.unlink()
    path.mkdir()
    with pytest.raises(EnvironmentFault, match="cannot be read: Is a directory"):
        published_table(BY_ID[29], files)


class Series(list):
    """A column as the client's data frame gives it, as far as it is asked."""

    @property
    def iloc(self):
        return _Taken(self)

    def isna(self):
        return [value is None or value != value for value in self]

    def __array__(self, dtype=None, copy=None):
        return np.array([np.nan if value is None else value for value in list(self)], dtype=dtype)


class _Taken:
    def __init__(self, series):
        self.series = series

    def __getitem__(self, rows):
        return Series(self.series[row] for row in rows)


def test_what_the_client_gives_is_written_and_read_back(tmp_path):
    rows, classes = written.cells()
    names = [f"A{place}" for place in range(15)]
    nominal = [place not in written.NUMBERS for place in range(15)]
    frame = {}
    for place, name in enumerate(names):
        words = [row[place] for row in rows]
        frame[name] = Series(None if word == "?" else word if nominal[place] else float(word) for word in words)
    asked = []

    def get_dataset(number, **options):
        asked.append((number, options["download_data"]))
        return SimpleNamespace(default_target_attribute="class", get_data=lambda target: (frame, Series(classes), nominal, names))

    client = SimpleNamespace(datasets=SimpleNamespace(get_dataset=get_dataset))
    path = save_table(BY_ID[29], client, tmp_path)
    assert path == tmp_path / "openml_29" / "dataset.arff"
    assert asked == [(29, True)]
    assert [file.name for file in path.parent.iterdir()] == ["dataset.arff"]
    fetched = published_table(BY_ID[29], OfficialFiles(tmp_path, "openml_29"))
    original = read(tmp_path / "web")
    np.testing.assert_array_equal(fetched.labels, original.labels)
    for one, two in zip(fetched.columns, original.columns, strict=True):
        assert one.categories == two.categories
        np.testing.assert_array_equal(one.values, two.values)


def client_of(frame, labels, nominal):
    """A client that has one table of these columns."""
    dataset = SimpleNamespace(
        default_target_attribute="Utility",
        get_data=lambda target: ({name: Series(cells) for name, cells in frame.items()}, labels, nominal, list(frame)),
    )
    return SimpleNamespace(datasets=SimpleNamespace(get_dataset=lambda number, **options: dataset))


def test_what_the_client_calls_missing_is_missing_and_every_word_is_a_word(tmp_path):
    """Its frames hold the words "None" and "nan" where a table has such categories, and NaN where it has ``?``; {true, false} comes as booleans."""
    words, truths = ["None", "nan", "?", None, float("nan"), "it's"], [True, None, False, True, False, True]
    frame = {"w": words, "t": truths, "n": [1, None, 2.5, 3, 4, 5]}
    labels = Series(["None", "none", "None", None, "none", "NA"])
    path = save_table(BY_ID[188], client_of(frame, labels, [True, False, False]), tmp_path)
    table = read_arff(path.read_text("utf-8"))
    assert [column.categories for column in table.columns] == [("?", "None", "it's", "nan"), ("False", "True"), None]
    np.testing.assert_array_equal(table.columns[0].values, [1, 3, 0, np.nan, 2])
    np.testing.assert_array_equal(table.columns[1].values, [1, np.nan, 0, 0, 1])
    np.testing.assert_array_equal(table.columns[2].values, [1, np.nan, 2.5, 4, 5])
    assert ([table.classes[label] for label in table.labels], table.target) == (["None", "none", "None", "none", "NA"], "Utility")


def test_a_column_of_text_is_no_table(tmp_path):
    with pytest.raises(IntegrityError, match="column 'w' holds neither numbers nor categories"):
        save_table(BY_ID[188], client_of({"w": ["some", "text"]}, Series(["a", "b"]), [False]), tmp_path)
    assert not list(tmp_path.rglob("*.arff"))


def test_an_id_that_is_not_in_the_suite_is_a_usage_error(capsys):
    assert main(["31415"]) == 2
    assert "'31415' is not an id" in capsys.readouterr().err
