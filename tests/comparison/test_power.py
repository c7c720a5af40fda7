"""``pare-bench power`` and ``run --dry-run``: what a design would see, against statsmodels and against a simulation."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from factories import make_grid
from statsmodels.stats.power import TTestPower

from pare_bench import statistics
from pare_bench.comparison.compare import compare
from pare_bench.comparison.power import designs, expected_sentence
from pare_bench.records.store import Store
from pare_bench.records.variants import Division

ROOT = Path(__file__).parents[2]
TASKS = [f"task{place}" for place in range(8)]


def grid(seed=0, between=0.05, within=0.03, seeds=4, methods=("a", "b"), tasks=TASKS):
    rng = np.random.default_rng(seed)
    levels = {task: rng.uniform(0.3, 0.5) for task in tasks}
    return {name: {task: list(levels[task] + between * rng.normal() + within * rng.normal(size=seeds)) for task in tasks} for name in methods}


def pair_of(scores):
    (pair,) = compare(make_grid(scores, floor=1.0), list(scores), "nas360").pairs
    return pair


def test_designs_are_those_of_statsmodels():
    pair = pair_of(grid())
    gains = np.array([[b - a for a, b in zip(*(grid()[name][task] for name in "ab"), strict=True)] for task in TASKS])
    within = np.mean(gains.var(axis=1, ddof=1))
    between = gains.mean(axis=1).var(ddof=1) - within / 4
    for design in designs(pair, [2, 4, 16]):
        deviation = np.sqrt(between + within / design.seeds)
        assert design.over_tasks == pytest.approx(deviation * TTestPower().solve_power(None, 8, 0.05, 0.8), rel=1e-3)
        for task, row in zip(TASKS, gains, strict=True):
            expected = row.std(ddof=1) / np.sqrt(design.seeds)
            assert design.tasks[task] == pytest.approx(expected * statistics.detectable(design.seeds - 1))
    own = next(iter(designs(pair, [4])))
    assert own.over_tasks == pytest.approx(statistics.smallest_seen(pair.effect))


def test_one_seed_shows_no_variance_between_seeds():
    (design,) = designs(pair_of(grid(seeds=1)), [3])
    assert (design.over_tasks, dict(design.tasks)) == (None, {})


def test_what_is_seen_with_80_percent_power_is_seen_in_80_of_100_simulations():
    rng = np.random.default_rng(5)
    effect = statistics.effect_over_tasks(list(rng.normal(0, 0.1, 10)), [0.05] * 10, 3)
    size = statistics.smallest_seen(effect)
    drawn = size + effect.error * np.sqrt(10) * rng.normal(size=(4000, 10))
    found = scipy.stats.ttest_1samp(drawn, 0, axis=1)
    assert np.mean(found.pvalue < 0.05) == pytest.approx(0.8, abs=3 * np.sqrt(0.8 * 0.2 / 4000))


def test_the_command_says_what_more_seeds_would_see(pare_bench, tmp_path):
    tasks = ["ecg", "satellite", "deepsea", "cosmic"]
    store = Store(tmp_path)
    for record in make_grid(grid(methods=("pare", "orca"), tasks=tasks)):
        store.save(record)
    code, out, err = pare_bench("power", "pare", "orca", "--out", str(tmp_path), "--format", "json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["schema"], [each["seeds"] for each in document["designs"]]) == ("pare-bench/power/1", [3, 5, 8, 16])
    seen = [each["over_tasks"] for each in document["designs"]]
    assert seen == sorted(seen, reverse=True)
    code, out, err = pare_bench("power", "pare", "orca", "--out", str(tmp_path), "--seeds", "4,2")
    assert (code, [line.split(" | ")[0] for line in out.splitlines() if re.match(r"\| \d", line)]) == (0, ["| 2", "| 4"])
    assert "By the records: the difference varies from task to task by" in out
    assert pare_bench("power", "pare", "orca", "--out", str(tmp_path), "--format", "table")[0] == 0
    for words, message in ((["pare"], "power takes two methods"), (["pare", "orca", "--seeds", "1,3"], "--seeds '1,3' is not a list of numbers")):
        code, out, err = pare_bench("power", *words, "--out", str(tmp_path))
        assert (code, out) == (2, "")
        assert message in err
    assert pare_bench("power", "pare", "full_finetune", "--out", str(tmp_path))[0] == 3


def test_a_dry_run_tells_what_its_runs_would_see(pare_bench, tmp_path):
    tasks = ["ecg", "satellite", "deepsea", "cosmic"]
    store = Store(tmp_path)
    for record in make_grid(grid(methods=("pare", "orca", "full_finetune"), tasks=tasks)):
        store.save(record)
    words = [word for task in tasks for word in ("--task", task)]
    code, _, err = pare_bench("run", "--method", "from_scratch", *words, "--preset", "cpu", "--seeds", "0-2", "--out", str(tmp_path), "--dry-run")
    assert code == 0, err
    (line,) = [line for line in err.splitlines() if "with 80% power" in line]
    assert re.search(r"4 tasks and 3 seeds see a mean difference of [\d.]+ to [\d.]+ points of gain, [\d.]+ in the median with 80% power", line)
    # Nothing to take variances from: nothing is said.
    code, _, err = pare_bench(
        "run", "--method", "from_scratch", *words, "--preset", "cpu", "--seeds", "0-2", "--out", str(tmp_path / "new"), "--dry-run"
    )
    assert (code, "power" in err) == (0, False)
    division = Division("nas360", "generated", "clean", "cpu")
    assert expected_sentence(store.records(), division, ["ecg", "psicov"], 3) is None
    assert expected_sentence(store.records(), division, tasks, 1) is None


def test_the_page_is_what_the_records_give():
    page = (ROOT / "docs/power.md").read_text("utf-8")
    assert runpy.run_path(str(ROOT / "docs/make_power.py"))["with_tables"](page) == page, "run: python docs/make_power.py"
    for seeds, deviations in ((3, 3.3), (5, 1.7), (8, 1.2), (16, 0.75)):
        assert statistics.detectable(seeds - 1) / seeds**0.5 == pytest.approx(deviations, rel=0.04)
