"""docs/proofs.md names every proof, every kind of file that is damaged is a row of its own or part of one, and its commands are the ones that run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/proofs.md").read_text("utf-8")


def test_every_proof_stands_in_the_table_with_a_figure():
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| [")]
    assert {re.search(r"`(test_\w+\.py)`", row[1])[1] for row in rows} == {path.name for path in (ROOT / "tests/proofs").glob("test_*.py")}
    for row in rows:
        (anchor,) = re.findall(r"\(#([\w-]+)\)", row[0])
        assert f"\n## {anchor.replace('-', ' ').capitalize()}\n" in PAGE
        assert row[3].strip(" |")
        assert row[3].strip(" |").upper() != row[3].strip(" |"), "a figure is missing"


def test_the_variable_of_the_page_is_the_one_that_is_read():
    assert "PARE_BENCH_PROOFS=long" in PAGE
    assert 'os.environ.get("PARE_BENCH_PROOFS") == "long"' in (ROOT / "tests/proof_tools.py").read_text()
