"""docs/data.md says what the tasks declare and what the commands are."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from pare_bench.cli.data import data_app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/data.md").read_text("utf-8")


def test_the_table_is_what_the_tasks_declare():
    made = runpy.run_path(str(ROOT / "docs/make_data_table.py"))
    assert made["with_table"](PAGE) == PAGE, "run: python docs/make_data_table.py"
    assert PAGE.count("\n| ecg | ") >= 1


def test_every_command_is_shown():
    shown = set(re.findall(r"^\$ pare-bench data ([a-z-]+)", PAGE, re.MULTILINE))
    assert shown >= {"status", "fetch", "verify", "export", "import", "generate"}
    assert shown <= {command.name for command in data_app.registered_commands}


def test_the_code_runs():
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(compile(code, "docs/data.md", "exec"), names)  # noqa: S102
    assert callable(names["convert"])
