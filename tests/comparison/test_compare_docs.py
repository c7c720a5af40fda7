"""docs/comparing.md against the command and the statistics: every option, every figure of the table of designs, every condition."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

from pare_bench import statistics
from pare_bench.cli.app import build_app
from pare_bench.comparison.gate import parse_condition

DOCS = Path(__file__).resolve().parents[2] / "docs"
COMPARING, CLI = (DOCS / "comparing.md").read_text("utf-8"), (DOCS / "cli.md").read_text("utf-8")


def options(*words):
    command = typer.main.get_command(build_app(()))
    for word in words:
        command = command.commands[word]
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--") and name != "--help"}


def test_every_option_is_explained():
    found = options("compare")
    assert len(found) >= 13
    table = COMPARING[: COMPARING.index("## What is compared")]
    line = CLI[CLI.index("pare-bench compare") : CLI.index("pare-bench status")]
    for name in found:
        assert f"`{name}" in table, name
        assert name in line, name
    for name in options("leaderboard", "site"):
        said = {"--pictures": "--no-pictures", "--published": "--no-published"}.get(name, name)
        assert said == "--out" or said in CLI, name


def test_the_table_of_designs_is_computed():
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) \| (.*) \|$", COMPARING, re.MULTILINE)
    assert [int(row[0]) for row in rows] == [5, 6, 8, 10]
    for num, smallest, cells in rows:
        p = statistics.smallest_possible_p(int(num))
        assert abs(float(smallest) - p) < 0.00006
        for methods, cell in zip((2, 3, 5, 8), cells.split(" | "), strict=True):
            corrected = p * statistics.holm_factor(methods)
            assert (cell == "never") == (corrected > 0.05)
            assert cell == "never" or abs(float(cell) - corrected) < 0.03 * corrected


def test_every_condition_in_the_page_is_one():
    conditions = re.findall(r"worse\([^)]*\)", COMPARING)
    assert len(conditions) >= 4
    for text in conditions:
        assert parse_condition(text).name == "worse"
