"""Whole tables as OpenML and Weka publish them, cell by cell against independent readings; skipped where the files are not there."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pare_bench import load
from pare_bench.builtin.suites.openml.catalogue import BY_ID
from pare_bench.builtin.suites.openml.client import save_table
from pare_bench.builtin.suites.openml.published import published_table
from pare_bench.datasets.official import OfficialFiles, official_data
from pare_bench.datasets.table import read_arff, write_arff
from pare_bench.errors import IntegrityError

ROOT = Path(os.environ.get("PARE_BENCH_REAL_FILES") or Path(__file__).parents[3] / "shared" / "real") / "openml"
IDS = sorted(int(path.name.removeprefix("openml_")) for path in ROOT.glob("openml_*") if (path / "dataset.arff").is_file())
#: What is not laid out as the client writes it: the class is first, columns to be ignored are there, the class was not made yet.
OTHERWISE = {187: "'class'", 6332: "'timestamp'", 882: "'MORT'"}
AS_THE_TASK_HAS_THEM = [number for number in IDS if number not in OTHERWISE]

pytestmark = pytest.mark.skipif(not IDS, reason=f"no tables in '{ROOT}' (PARE_BENCH_REAL_FILES)")


def text_of(number: int) -> str:
    return (ROOT / f"openml_{number}" / "dataset.arff").read_text("utf-8")


def rows_of(table) -> list[list[str | float | None]]:
    """Every cell of a table, the class last."""
    columns = [
        [None if np.isnan(value) else value if column.categories is None else column.categories[int(value)] for value in column.values.tolist()]
        for column in table.columns
    ]
    return [list(row) for row in zip(*columns, [table.classes[label] for label in table.labels], strict=True)]


def by_hand(text: str) -> tuple[list[str], list[list[str]]]:
    """Names and words of a file whose values are plain or in single quotes without escapes, as all of these are."""
    header, _, body = text.replace("@DATA", "@data").partition("@data")
    names = [line.split(None, 1)[1] for line in header.splitlines() if line.lower().startswith("@attribute")]
    names = [name.split("'")[1] if name.startswith("'") else name.split()[0].partition("{")[0] for name in names]
    lines = (line for line in body.splitlines() if line.strip() and not line.startswith("%"))
    return names, [[word.strip() for word in row] for row in csv.reader(lines, quotechar="'", skipinitialspace=True)]


@pytest.mark.parametrize("number", IDS)
def test_every_cell_is_the_word_of_the_file(number):
    names, expected = by_hand(text_of(number))
    table = read_arff(text_of(number))
    assert [*(column.name for column in table.columns), table.target] == names
    found = rows_of(table)
    assert len(found) == len(expected)
    for row, words in zip(found, expected, strict=True):
        for cell, word in zip(row[:-1], words[:-1], strict=True):
            assert cell is None if word == "?" else cell == (float(word) if isinstance(cell, float) else word)
        # A class that is a number is named by its value.
        assert row[-1] == words[-1] or float(row[-1]) == float(words[-1])


@pytest.mark.parametrize("number", IDS)
def test_every_cell_is_as_openmls_library_reads_it(number):
    arff = pytest.importorskip("arff", reason="liac-arff is not installed (extra test)")
    # liac-arff refuses the ranges of table 15, which say nothing about the values.
    theirs = arff.loads(text_of(number).replace(" [1,10]", ""))
    table = read_arff(text_of(number))
    assert [*(column.name for column in table.columns), table.target] == [name for name, _ in theirs["attributes"]]
    numbers = [not isinstance(kind, list) for _, kind in theirs["attributes"]]
    assert [column.categories is None for column in table.columns] == numbers[:-1]
    if numbers[-1]:
        for row in theirs["data"]:
            row[-1] = f"{row[-1]:.15g}"
    assert rows_of(table) == theirs["data"]


@pytest.mark.parametrize("number", IDS)
def test_every_cell_is_as_scipy_reads_it(number):
    """All of these files begin with what scipy guesses right; a quoted value after a plain first one is not among them."""
    from scipy.io import arff

    records, header = arff.loadarff(io.StringIO(text_of(number)))
    table = read_arff(text_of(number))
    for column, name, kind in zip(table.columns, header.names(), header.types(), strict=False):
        if kind == "numeric":
            np.testing.assert_array_equal(column.values, records[name])
        else:
            words = [value.decode().strip("'") for value in records[name]]
            assert [None if word == "?" else word for word in words] == [
                None if np.isnan(code) else column.categories[int(code)] for code in column.values
            ]


@pytest.mark.parametrize("number", AS_THE_TASK_HAS_THEM)
def test_the_task_reads_it(number):
    entry = BY_ID[number]
    table = published_table(entry, OfficialFiles(ROOT, entry.name))
    assert (len(table), len(table.columns), len(table.classes)) == (entry.rows, entry.features, entry.classes)
    splits = official_data(load("task", entry.name), ROOT).splits
    assert sum(len(getattr(splits, part).targets) for part in ("train", "val", "test")) == entry.rows


@pytest.mark.skipif(31 not in IDS, reason="table 31 is not there")
def test_credit_g_misses_nothing():
    """2,317 of its cells say "none": no other instalments, debtors, property, phone."""
    table = published_table(BY_ID[31], OfficialFiles(ROOT, "openml_31"))
    assert sum(int(np.isnan(column.values).sum()) for column in table.columns) == 0
    assert sum(row.count("none") for row in rows_of(table)) == 2317
    assert load("task", "openml_31").version == 2


@pytest.mark.parametrize(("number", "word", "count"), [(188, "none", 180), (469, "None", 136)])
def test_a_class_called_none_is_a_class(number, word, count):
    if number not in IDS:
        pytest.skip(f"table {number} is not there")
    table = published_table(BY_ID[number], OfficialFiles(ROOT, f"openml_{number}"))
    assert int((table.labels == table.classes.index(word)).sum()) == count


@pytest.mark.parametrize("number", sorted(set(OTHERWISE) & set(IDS)))
def test_a_table_that_is_laid_out_otherwise_says_what_was_seen(number):
    with pytest.raises(IntegrityError, match="its class, the last column") as caught:
        published_table(BY_ID[number], OfficialFiles(ROOT, f"openml_{number}"))
    assert OTHERWISE[number] in str(caught.value)
    assert "openml.client" in caught.value.hint


@pytest.mark.parametrize("number", IDS)
def test_what_the_client_writes_is_read_back(number):
    table = read_arff(text_of(number))
    again = read_arff(write_arff(table, "t"))
    assert rows_of(again) == rows_of(table)
    assert [column.categories for column in again.columns] == [column.categories for column in table.columns]


@pytest.mark.parametrize("number", AS_THE_TASK_HAS_THEM)
def test_a_csv_of_the_frame_that_openmls_client_gives_is_the_same_table(tmp_path, number):
    """The client makes a category of {a, b}, booleans of {true, false}, small whole numbers of numbers, and NaN of ``?``; pandas leaves NaN empty."""
    pandas = pytest.importorskip("pandas")
    entry = BY_ID[number]
    table = read_arff(text_of(number))
    frame = pandas.DataFrame()
    for column in table.columns:
        if column.categories is not None:
            frame[column.name] = pandas.Categorical.from_codes(np.nan_to_num(column.values, nan=-1).astype(int), column.categories, ordered=True)
        else:
            whole = np.nan_to_num(column.values, nan=-1).astype(np.uint8)
            frame[column.name] = whole if (whole == column.values).all() else column.values
    truths = {word.lower() for word in table.classes} == {"true", "false"}
    frame[table.target] = [table.classes[label].lower() == "true" if truths else table.classes[label] for label in table.labels]
    path = tmp_path / entry.name / "dataset.csv"
    path.parent.mkdir()
    frame.to_csv(path, index=False)
    found = published_table(entry, OfficialFiles(tmp_path, entry.name))
    np.testing.assert_array_equal(found.labels, table.labels)
    assert [word.lower() if truths else word for word in found.classes] == list(table.classes)
    for one, two in zip(found.columns, table.columns, strict=True):
        assert (one.name, one.categories) == (two.name, two.categories)
        np.testing.assert_array_equal(one.values, two.values)


@pytest.mark.skipif(48 not in IDS, reason="table 48 is not there")
def test_a_csv_with_pandas_own_column_of_row_numbers_says_so(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = read_arff(text_of(48))
    folder = tmp_path / "openml_48"
    folder.mkdir()
    pandas.DataFrame(rows_of(table), columns=[*(column.name for column in table.columns), table.target]).to_csv(folder / "dataset.csv")
    with pytest.raises(IntegrityError, match="6 features and 3 classes, tae has 5 and 3; its features: '', 'Whether"):
        published_table(BY_ID[48], OfficialFiles(tmp_path, "openml_48"))
    shutil.rmtree(folder)


@pytest.mark.parametrize("number", [number for number in IDS if number != 882])
def test_openmls_own_client_gives_the_same_table(tmp_path, monkeypatch, number):
    """Its parser, on the file as published: what :func:`save_table` makes of its frame, and a CSV of that frame."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OPENML_CACHE_DIR", str(tmp_path / "cache"))
    openml = pytest.importorskip("openml", reason="the client 'openml' is not installed (extra openml)")
    entry = BY_ID[number]
    text = text_of(number).replace(" [1,10]", "")  # its parser is liac-arff
    source = tmp_path / "published.arff"
    source.write_text(text, "utf-8")
    target = "class" if number == 187 else read_arff(text).target
    ignored = ["timestamp", "job_number"] if number == 6332 else []
    dataset = openml.datasets.OpenMLDataset(
        "t", "d", "arff", "pickle", dataset_id=number, data_file=str(source), default_target_attribute=target, ignore_attribute=ignored or None
    )
    client = SimpleNamespace(datasets=SimpleNamespace(get_dataset=lambda _, **__: dataset))
    expected = read_arff(text, target=target)
    columns = [column for column in expected.columns if column.name not in ignored]
    written = save_table(entry, client, tmp_path)
    frame, labels, _, _ = dataset.get_data(target=target)
    for form in ("arff", "csv"):
        if form == "csv":
            written.unlink()
            frame.assign(**{target: labels}).to_csv(written.with_suffix(".csv"), index=False)
        found = published_table(entry, OfficialFiles(tmp_path, entry.name))
        assert [found.classes[label].lower() for label in found.labels] == [expected.classes[label].lower() for label in expected.labels]
        for one, two in zip(found.columns, columns, strict=True):
            assert (one.name, one.categories) == (two.name, two.categories)
            np.testing.assert_array_equal(one.values, two.values)
