"""The simulation of docs/comparing.md in its short form: verdicts err no more often than they may, intervals cover what they should.

The long form: ``python tests/statistics/simulation.py``.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import simulation
from simulation import CASES, COLUMNS, Case, run

PAGE = (Path(__file__).parents[2] / "docs/comparing.md").read_text("utf-8")
COUNT = 120
SHORT = (
    Case("null", methods=4),
    Case("two equal leaders", methods=4, lead=0.3, leaders=2),
    Case("coarse", methods=3, lead=0.3, leaders=2, examples=50, interaction=0.0),
)


def allowed(rate, count):
    """A rate that is right is exceeded once in some thousand times."""
    return rate + 3.3 * math.sqrt(rate * (1 - rate) / count)


@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.name)
def test_no_verdict_errs_more_often_than_it_may(case):
    tally = run(case, COUNT)
    wrong = {name: tally.rate(name) for name in tally.counts if name.endswith("wrong")}
    assert len(wrong) >= 4
    for name, rate in wrong.items():
        assert rate <= allowed(0.05, COUNT), name
    covered = tally.rate("effect: covered")
    assert 0.95 - 3.3 * math.sqrt(0.05 * 0.95 / COUNT) <= covered


def test_a_leader_is_seen_more_often_than_by_signed_ranks():
    """At 7 methods, 10 tasks and 3 seeds, where the signed-rank test of the leader against each rival sees it in 64 of 100 repetitions or fewer."""
    import numpy as np
    from scipy.stats import wilcoxon

    case = Case("power", methods=7, lead=0.05, interaction=0.02)
    tally = run(case, COUNT)
    ranks = 0
    for scores, _ in simulation.repetitions(case, COUNT, 0):
        means = scores.mean(axis=2)
        ranks += all(wilcoxon(means[0] - other).pvalue <= 0.05 and np.mean(means[0] - other) < 0 for other in means[1:])
    seen = tally.rate("leads all others: seen")
    assert seen >= ranks / COUNT
    assert seen > 0.5


def test_a_verdict_that_is_wrong_is_counted():
    """The counting can fail: methods that differ are no false alarms, and a leader that is not the best one is."""
    tally = run(Case("clear", methods=3, lead=0.4, interaction=0.001, noise=0.001), 10)
    assert tally.rate("leads all others: seen") == 1.0
    assert tally.rate("leads all others: wrong") == 0.0
    tally = run(Case("other sign", methods=2, lead=-0.4, interaction=0.001, noise=0.001), 10)
    assert tally.rate("leads all others: wrong") == 0.0
    assert tally.rate("leads all others: seen") == 1.0
    assert tally.rate("practically equal: wrong") == 0.0


def test_the_page_has_the_table_of_the_cases_and_no_rate_that_is_too_high():
    block = PAGE[PAGE.index("| case |") :]
    lines = [line for line in block[: block.index("\n\n")].splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["case", *(heading for heading, _ in COLUMNS)]
    named = [re.match(r"\| ([^|]+) \|", line)[1] for line in lines[2:]]
    assert len(named) >= 12
    assert named == [case.name for case in CASES if case.name in named]
    # What is not in the table is said to be missing.
    text = " ".join(PAGE.split())
    assert all(f"{case.name}," in text or f"{case.name}." in text for case in CASES if case.name not in named)
    wrong = [place for place, (heading, _) in enumerate(COLUMNS, 1) if heading.endswith("wrong")]
    for line in lines[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for place in wrong:
            assert cells[place] == "-" or float(cells[place]) <= allowed(0.05, 300), line
