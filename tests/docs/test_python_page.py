"""docs/python.md: its blocks are one program, read from top to bottom, and say everything that ``pare_bench`` has for Python."""

from __future__ import annotations

import inspect
import linecache
import re
from pathlib import Path

import pytest

import pare_bench
from pare_bench.registry import session

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/python.md").read_text("utf-8")
BLOCKS = [(TEXT[: found.start()].count("\n") + 2, found[1]) for found in re.finditer(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)]


def test_the_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    try:
        for line, code in BLOCKS:
            # As IPython keeps a cell; empty lines in front give errors the line number of the page.
            source, name = "\n" * (line - 1) + code, f"<docs/python.md {line}>"
            linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
            exec(compile(source, name, "exec"), namespace)  # noqa: S102
    finally:
        left = list(session._specs)
        for kind, name in left:
            session.forget(kind, name)
    assert not left
    assert (tmp_path / "my-runs" / "leaderboard.json").is_file()


@pytest.mark.parametrize("name", ["run", "compare"])
def test_every_argument_is_named(name):
    section = TEXT.partition(f"## {name.capitalize()}\n")[2].partition("\n## ")[0]
    arguments = [each for each in inspect.signature(getattr(pare_bench, name)).parameters if each not in ("method", "methods")]
    shared = {"suite", "task", "preset", "tier", "track", "out"} if name == "compare" else set()
    missing = [each for each in arguments if each not in shared and not re.search(rf"\b{each}\b", section)]
    assert not missing


def test_every_verb_is_there():
    verbs = [each for each in pare_bench.__all__ if each[0].islower() and each not in ("hookimpl",)]
    assert [each for each in verbs if not re.search(rf"\b{each}\b", TEXT)] == []


def test_links_lead_somewhere_and_the_page_is_linked():
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT):
        assert (ROOT / "docs" / link).exists(), link
    assert "(docs/python.md)" in (ROOT / "README.md").read_text("utf-8")
