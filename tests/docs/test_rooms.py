"""The rooms: docs/tour.md against the folders and against the contract that import-linter holds."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pare_bench"


def entries():
    """What of pare_bench/ is in the repository (or, outside of one, in the folder)."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "pare_bench"], capture_output=True, text=True, check=False).stdout.split()
    names = {Path(path).parts[1] for path in listed} or {path.name for path in PACKAGE.iterdir() if not path.name.startswith((".", "__pycache__"))}
    return {name for name in names if (PACKAGE / name).exists()}


def rooms():
    return {name for name in entries() if (PACKAGE / name / "__init__.py").is_file()}


def modules():
    return {Path(name).stem for name in entries() if name.endswith(".py")}


def picture():
    """The lines of the picture, from the top: each the names that stand side by side."""
    (block,) = re.findall(r"```text\n( room .*?)```", (ROOT / "docs" / "tour.md").read_text(), re.DOTALL)
    return [line[1:28].split() for line in block.splitlines()[2:]]


def layers():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [each for each in contracts if each["type"] == "layers"]
    assert contract["exhaustive"] is True
    return [re.split(r" \| ", layer) for layer in contract["layers"]]


def test_the_house_is_small_enough_to_walk_through():
    assert len(entries()) <= 30
    assert len([name for name in entries() if name.endswith(".py")]) <= 7


def test_the_picture_shows_every_room_and_nothing_else():
    shown = [name for line in picture() for name in line]
    assert len(shown) == len(set(shown))
    assert set(shown) == rooms() | (modules() - {"__init__", "__main__"})


def test_the_picture_has_the_order_that_imports_must_keep():
    assert [sorted(line) for line in picture()] == [sorted(layer) for layer in layers()]


def test_every_room_says_what_lives_there():
    for room in rooms():
        text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
        assert text, room
        # What is named as worth reading is there.
        for name in re.findall(r":mod:`~?pare_bench\.([\w.]+)`", text):
            assert (PACKAGE / Path(*name.split("."))).with_suffix(".py").is_file() or (PACKAGE / Path(*name.split("."))).is_dir(), (room, name)


def test_what_the_tour_says_to_read_is_there():
    text = (ROOT / "docs" / "tour.md").read_text()
    for room, name in re.findall(r"`([a-z]+)/([\w/]+\.py)`", text):
        assert (PACKAGE / room / name).is_file() or (ROOT / room / name).is_file(), f"{room}/{name}"


def test_tests_have_a_folder_for_each_room_that_has_some():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and list(path.glob("test_*.py"))}
    assert folders - {"integration", "property", "proofs", "benchmark", "docs", "ground", "baselines", "plugins", "packaging"} <= rooms()


def test_public_names_keep_their_places():
    import pare_bench.metrics
    import pare_bench.otdd

    assert callable(pare_bench.metrics.error_rate)
    assert callable(pare_bench.otdd.OTDD)
    assert pare_bench.load("task", "ecg").name == "ecg"
