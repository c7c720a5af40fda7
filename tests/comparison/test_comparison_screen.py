"""Tables on a terminal: they fit, nothing is cut, and the answer stands first."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from factories import make_grid, make_record
from rich.console import Console

from pare_bench.cli.run_results import print_results
from pare_bench.comparison.compare import compare
from pare_bench.comparison.screen import Fitted, as_table, blocks
from pare_bench.comparison.table_parts import Table, points, short, signed_points
from pare_bench.records.store import Store
from pare_bench.runs.single import Result

RECORDS = Path(__file__).parents[2] / "leaderboard"
SEVEN = ["orca", "full_finetune", "from_scratch", "frozen_random", "linear_probe", "hand_designed", "pare"]


@pytest.fixture(scope="module")
def records():
    return list(Store(RECORDS).records())


def screen(renderable, width, **options):
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=True, highlight=False, **options).print(renderable)
    return stream.getvalue()


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


@pytest.mark.parametrize("suite", ["nas360", "pdebench"])
@pytest.mark.parametrize(("methods", "most"), [(SEVEN, 60), (["pare", "orca"], 30)])
def test_a_comparison_fits_a_screen(records, suite, methods, most):
    lines = plain(screen(as_table(compare(records, methods, suite, preset="cpu")), 80))
    assert len(lines) <= most
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("methods", [SEVEN, ["pare", "orca"], ["pare", "orca", "full_finetune"]])
def test_nothing_is_cut_at_any_width(records, width, methods):
    comparison = compare(records, methods, "nas360", preset="cpu")
    lines = plain(screen(as_table(comparison), width))
    assert all(len(line) <= width for line in lines)
    words = set(" ".join(lines).split())
    for row in comparison.tasks:
        assert row.task in " ".join(lines)
        for method, cell in row.cells.items():
            text = f"{short(cell.mean)}±{short(cell.spread)}"
            assert {text, f"{text}*"} & words, (row.task, method)
    assert set(methods) <= words
    # The best means are bold, also without colours; no other escape is there then.
    coloured = screen(as_table(comparison), width, no_color=True)
    best = comparison.tasks[0].cells[comparison.tasks[0].leaders[0]]
    assert re.search(rf"\x1b\[1m *{re.escape(short(best.mean))}±", coloured)
    assert "\x1b[3" not in coloured


def test_the_answer_stands_first(records):
    comparison = compare(records, SEVEN, "nas360", preset="cpu")
    text = " ".join(plain(screen(as_table(comparison), 100)))
    places = [
        text.index(part) for part in ("The largest mean gain is hand_designed's", "with 80% power", " effect 95% interval", "cifar100", "note:")
    ]
    assert places == sorted(places)


def test_columns_that_do_not_fit_go_below_or_away():
    table = Table(
        None, ("name", "first", "second", "third", "extra"), (("a" * 10, "1" * 8, "2" * 8, "3" * 8, "4" * 8),), ("name",), "", less=("extra",)
    )
    assert blocks(table, 200) == [[0, 1, 2, 3, 4]]
    assert blocks(table, 40) == [[0, 1, 2, 3]]
    assert blocks(table, 30) == [[0, 1, 2], [0, 3]]
    assert blocks(table, 5) == [[0, 1], [0, 2], [0, 3]]
    lines = plain(screen(Fitted(table), 30))
    assert "3" * 8 in "".join(lines)
    assert "4" * 8 not in "".join(lines)


def test_the_closing_table_of_ten_runs_has_fourteen_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    tasks = ["cifar100", "spherical", "ninapro", "fsd50k", "darcy_flow", "psicov", "cosmic", "ecg", "satellite", "deepsea"]
    made = [make_record("pare", task, 0.5 + place / 100) for place, task in enumerate(tasks)]
    results = [Result(record, tmp_path / "records" / "nas360" / record.task.name / "pare" / f"{record.run_id}.json", served=False) for record in made]
    print_results(results, tmp_path, drawn=True)
    lines = plain(capsys.readouterr().out)
    assert len(lines) <= 14
    assert all(len(line) <= 80 or str(tmp_path) in line for line in lines)
    for record in made:
        assert sum(record.task.name in line and f"{record.primary.value:.4f}" in line for line in lines) == 1
    assert not any(record.run_id in line for record in made for line in lines)


def test_the_closing_table_says_what_went_wrong_below(tmp_path, capsys):
    made = [make_record("pare", "ecg", 0.5), make_record("pare", "satellite", status="failed", reason="out of memory")]
    results = [Result(record, tmp_path / f"{record.run_id}.json", served=record.status == "ok") for record in made]
    print_results(results, tmp_path, drawn=False)
    text = capsys.readouterr().out
    assert "| ecg | 0 | served | 0.5000 | error_rate ↓ | 0.9000 |" in text
    assert "failed: satellite seed 0: out of memory" in text
    assert f"2 records below {tmp_path / 'records'}" in text
    print_results(results[:1], tmp_path, drawn=False)
    assert f"record: {results[0].path}" in capsys.readouterr().out


def test_short_numbers():
    assert [short(value) for value in (0.8234, 0.0, -0.0123, 8.263, 71.138, 0.9999, 1e-5, 12345.0, None)] == [
        ".823", ".000", "-.012", "8.26", "71.1", "1.000", "1.0e-5", "1.2e4", "-",
    ]  # fmt: skip
    assert [points(value) for value in (0.0, 0.123, -0.0004, -1e-9, 0.00049)] == ["0.0", "12.3", "-0.04", "-1e-07", "0.05"]
    assert [signed_points(value) for value in (0.0, 0.01, -0.01, None)] == ["0.0", "+1.0", "-1.0", "-"]


def test_three_methods_have_tasks_as_rows_and_a_column_each():
    result = compare(make_grid({name: {task: [0.1, 0.2, 0.3] for task in ("ecg", "satellite")} for name in "abc"}), list("abc"), "nas360")
    lines = plain(screen(as_table(result), 80))
    assert any(line.split() == ["task", "a", "b", "c", "floor"] for line in lines)
