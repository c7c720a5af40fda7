"""Write the tables of docs/power.md from the records in leaderboard/: ``python docs/make_power.py``."""

from __future__ import annotations

from pathlib import Path

from pare_bench.comparison.compare import compare
from pare_bench.comparison.power import SEEDS, designs, power_parts
from pare_bench.comparison.tables import markdown
from pare_bench.records.store import Store
from pare_bench.registry.names import Registry

PAGE = Path(__file__).parent / "power.md"
RECORDS = Path(__file__).parents[1] / "leaderboard"
BEGIN, END = "<!-- made by docs/make_power.py -->", "<!-- end -->"
PAIRS = (("pare", "orca"), ("pare", "full_finetune"), ("full_finetune", "from_scratch"), ("hand_designed", "pare"))
SUITES = ("nas360", "pdebench", "openml")


def tables() -> str:
    """Return what each design would see of each pair that a suite has."""
    records, registry = list(Store(RECORDS).records()), Registry.from_environment()
    parts = []
    for suite in SUITES:
        there = {record.method.name for record in records if record.suite == suite}
        for pair in PAIRS:
            if set(pair) <= there:
                found = compare(records, pair, suite, preset="cpu", suite_tasks=registry.spec("suite", suite).tasks)
                parts += power_parts(found, designs(found.pairs[0], SEEDS))
    return markdown(parts)


def with_tables(page: str) -> str:
    """Return the text of the page with the present tables."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
