"""What the repository says of its own runs (leaderboard.json, the page, docs/results.md) is what its records say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from pare_bench.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/results.md").read_text("utf-8")
RECORDS = ROOT / "leaderboard/records"
SUITES = ("nas360", "pdebench", "openml")


def test_all_records_are_valid_and_the_leaderboard_is_built_from_them(capsys):
    assert main(["leaderboard", "validate", str(RECORDS)]) == 0, capsys.readouterr()
    assert main(["leaderboard", "build", "--check", "--out", str(ROOT / "leaderboard")]) == 0, capsys.readouterr()


def test_the_page_shows_every_record():
    shown = (ROOT / "leaderboard/site/index.html").read_text("utf-8")
    missing = [path for path in RECORDS.rglob("*.json") if path.stem not in shown]
    assert not missing, "run: pare-bench leaderboard site"


def test_the_sections_are_what_the_records_give():
    (command,) = re.findall(r"^\$ python docs/make_results\.py (.+)$", PAGE, re.MULTILINE)
    folders = {name: ROOT / folder for name, _, folder in (argument.partition("=") for argument in command.split())}
    made = runpy.run_path(str(ROOT / "docs/make_results.py"))["with_sections"](PAGE, folders)
    assert {"suite", "pdebench", "openml"} <= set(folders)
    assert made == PAGE, f"run: python docs/make_results.py {command}"


@pytest.mark.parametrize("suite", SUITES)
def test_the_commands_name_the_methods_that_have_records(suite):
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (block,) = (each for each in blocks if f"--suite {suite} --seeds 0-2; done" in each)
    (named,) = re.findall(r"(?:for method in|methods=\") ?([a-z][a-z_0-9 ]+)", block)
    assert set(named.split()) == {path.name for path in (RECORDS / suite).glob("*/*")}
