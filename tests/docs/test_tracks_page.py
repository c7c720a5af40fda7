"""Every point of the paper track names a test, and that test exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [line.split(" | ") for line in (ROOT / "docs/tracks.md").read_text().splitlines() if re.match(r"\| [A-Z]\d", line)]
POINTS = [row for row in ROWS if len(row) == 4]


def test_the_table_is_there():
    assert len(POINTS) >= 30


@pytest.mark.parametrize("row", POINTS, ids=lambda row: row[0].strip("| ") + " " + row[1][:40])
def test_the_named_test_exists(row):
    path, _, name = row[3].strip(" |`").partition("::")
    functions = {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}
    assert name in functions, f"{path} has no {name}"
