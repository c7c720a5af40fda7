"""The second floor stands wherever the first one does, and nowhere where no task has one."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml
from factories import make_grid, make_record

from pare_bench.cli import main
from pare_bench.comparison.compare import compare
from pare_bench.comparison.document import as_json
from pare_bench.comparison.tables import as_csv, as_markdown
from pare_bench.exports import every_eval_ever, hub
from pare_bench.exports.table import as_csv as runs_csv
from pare_bench.leaderboard.build import build
from pare_bench.records.store import Store
from pare_bench.report.content import sections

SCORES = {"pare": {"burgers": [0.3, 0.4], "darcy_2d": [0.2, 0.2]}, "orca": {"burgers": [0.5, 0.6], "darcy_2d": [0.1, 0.1]}}


def records(persistence=1.5):
    """Burgers has a second floor, Darcy none."""
    made = make_grid(SCORES, suite="pdebench", metric="nrmse", floor=0.9)
    return [record.model_copy(update={"persistence": persistence}) if record.task.name == "burgers" else record for record in made]


def lines(text, first):
    found = [line for line in text.splitlines() if line.startswith(f"| {first}")]
    return [[cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")] for line in found]


def test_compare_has_a_column_where_a_task_has_one():
    text = as_markdown(compare(records(), ["pare", "orca"], suite="pdebench"))
    (head,) = lines(text, "task")[:1]
    column = head.index("persistence")
    assert head[column - 1] == "floor"
    assert lines(text, "burgers")[0][column - 1 : column + 1] == ["0.9000", "1.5000"]
    assert lines(text, "darcy_2d")[0][column] == "-"
    assert len({len(row) for row in (head, *lines(text, "burgers")[:1], *lines(text, "mean rank")[:1])}) == 1


def test_compare_has_none_where_no_task_has_one():
    assert "persistence" not in as_markdown(compare(records(None), ["pare", "orca"], suite="pdebench"))


def test_compare_in_json_and_csv():
    comparison = compare(records(), ["pare", "orca"], suite="pdebench")
    assert {row["task"]: row["persistence"] for row in as_json(comparison)["tasks"]} == {"burgers": 1.5, "darcy_2d": None}
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    assert {(row["task"], row["persistence"]) for row in rows} == {("burgers", "1.5"), ("darcy_2d", "")}


def test_leaderboard_content_and_export():
    document = build(records())["divisions"][0]["tasks"]
    assert (document["burgers"]["persistence"], document["darcy_2d"]["persistence"]) == (1.5, None)
    (section,) = sections(records(), {}, max_runs=10)
    assert {task.name: task.persistence for task in section.tasks} == {"burgers": 1.5, "darcy_2d": None}
    assert {row["persistence"] for row in csv.DictReader(io.StringIO(runs_csv(records()))) if row["task"] == "burgers"} == {"1.5"}


def test_exports_of_means():
    (document,) = (json.loads(text) for name, text in every_eval_ever.files(records(), "someone").items() if name.endswith("pare.json"))
    details = {each["evaluation_name"]: each["score_details"]["details"] for each in document["evaluation_results"]}
    assert (details["pdebench/burgers"]["persistence"], details["pdebench/burgers"]["floor"]) == ("1.5", "0.9")
    assert "persistence" not in details["pdebench/darcy_2d"]
    entries = yaml.safe_load(hub.files(records(), "someone/{suite}")["pare/.eval_results/pdebench-generated-clean-cpu.yaml"])
    assert [", floor 0.9, persistence 1.5;" in entry["notes"] for entry in entries] == [True, False]


def test_leaderboard_show_has_rows_of_the_floors(tmp_path, capsys):
    store = Store(tmp_path)
    for record in records():
        store.save(record)
    assert main(["leaderboard", "show", "--out", str(tmp_path), "--format", "md"]) == 0
    text = capsys.readouterr().out
    assert lines(text, "(floor)")[0][2:4] == ["0.9000", "0.9000"]
    assert lines(text, "(persistence)")[0][2:4] == ["1.5000", "-"]
    assert main(["leaderboard", "show", "--out", str(tmp_path), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["task"], row["persistence"]) for row in rows} == {("burgers", "1.5"), ("darcy_2d", "")}


def test_leaderboard_show_names_no_floor_that_no_task_has(tmp_path, capsys):
    Store(tmp_path).save(make_record("pare", "ecg", 0.3))
    assert main(["leaderboard", "show", "--out", str(tmp_path), "--format", "md"]) == 0
    text = capsys.readouterr().out
    assert "(floor)" in text
    assert "persistence" not in text


def test_the_page_says_both_floors():
    pytest.importorskip("vl_convert", reason="vl-convert-python is not installed (extra report)")
    from pare_bench.report.page import page

    text = page(records(), summaries={}, pictures={})
    assert text.count("second floor (persistence: nothing changes)") == 1
    assert "second floor" not in page(records(None), summaries={}, pictures={})


def test_the_table_of_a_run_says_both_floors(tmp_path, capsys):
    common = ["run", "--method", "constant", "--preset", "smoke", "--out", str(tmp_path), "--format", "md"]
    assert main([*common, "--suite", "pdebench", "-t", "advection"]) == 0
    text = capsys.readouterr().out
    (head,), (row,) = lines(text, "task"), lines(text, "advection")
    (record,) = Store(tmp_path).records()
    assert row[head.index("persistence")] == f"{record.persistence:.4f}"
    assert row[head.index("floor")] == f"{record.floor:.4f}"
    assert main([*common, "--suite", "nas360", "-t", "satellite"]) == 0
    assert "persistence" not in capsys.readouterr().out
