"""The statistics of a comparison: policies for missing runs, practical equivalence, reference, all tests at once, and the same bytes in any order."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re

import numpy as np
import pytest
import scipy.stats
from factories import make_grid, make_record
from statsmodels.stats.multitest import multipletests

from pare_bench import statistics
from pare_bench.comparison.compare import compare
from pare_bench.comparison.tables import as_csv, as_json, as_latex, as_markdown, as_table
from pare_bench.errors import DataMissingError, UsageError

NAMES = ["a", "b", "c"]
TASKS = [f"task{position}" for position in range(10)]


def grid(seed=0, methods=NAMES, tasks=TASKS, seeds=3, noise=0.01, step=0.02):
    rng = np.random.default_rng(seed)
    levels = rng.uniform(0.1, 0.5, len(tasks))
    return {
        name: {task: list(level + step * index + noise * rng.normal(size=seeds)) for task, level in zip(tasks, levels, strict=True)}
        for index, name in enumerate(methods)
    }


def of(scores, *, record_fields=None, **options):
    return compare(make_grid(scores, **(record_fields or {})), list(scores), "nas360", **options)


def test_paired_differences_have_students_interval():
    result = of({"a": {"ecg": [0.30, 0.31, 0.32]}, "b": {"ecg": [0.32, 0.30, 0.36]}})
    detail = result.pairs[0].details["ecg"]
    interval = scipy.stats.ttest_rel([0.30, 0.31, 0.32], [0.32, 0.30, 0.36]).confidence_interval(0.95)
    assert detail.value == pytest.approx(-0.05 / 3)
    assert detail.interval == pytest.approx((interval.low, interval.high))
    assert detail.gain == pytest.approx(0.05 / 3 / 0.9)
    assert of({"a": {"ecg": [0.3]}, "b": {"ecg": [0.2]}}).pairs[0].details["ecg"].interval is None


def test_wins_within_the_region_of_practical_equivalence_are_ties():
    scores = {"a": {"ecg": [0.300], "satellite": [0.30]}, "b": {"ecg": [0.308], "satellite": [0.31]}}
    # The floor is 0.9: one hundredth of the way is 0.009.
    assert of(scores).pairs[0].result == (1, 1, 0)
    assert of(scores, rope=0.0).pairs[0].result == (2, 0, 0)
    assert of(scores, rope=0.02).pairs[0].result == (0, 2, 0)
    # Ranks know no region: nothing but equality is a tie there.
    assert of(scores, rope=0.02).mean_ranks == {"a": 1.0, "b": 2.0}
    for wrong in (-0.1, 1.0, math.nan):
        with pytest.raises(UsageError, match="practical equivalence"):
            of(scores, rope=wrong)


def test_without_a_common_scale_only_equality_is_practical_equivalence():
    result = of({"a": {"ecg": [0.300]}, "b": {"ecg": [0.3000001]}}, record_fields={"floor": 0.0}, stats="all")
    assert result.pairs[0].result == (1, 0, 0)
    assert result.pairs[0].posterior is None
    assert (dict(result.overall.gains), dict(result.overall.ratios)) == ({}, {})
    assert any("no common scale" in note for note in result.notes)
    # A score beyond perfect (an accuracy in percent) has none either.
    percent = of({"a": {"ecg": [81.0]}, "b": {"ecg": [80.0]}}, record_fields={"direction": "maximise", "floor": 0.1})
    assert percent.tasks[0].span is None
    assert percent.pairs[0].test == "exact sign test"


def test_gains_have_references_that_no_method_moves():
    result = of({"a": {"ecg": [0.0]}, "b": {"ecg": [0.9]}, "c": {"ecg": [1.8]}}, stats="all")
    assert {name: gains.mean for name, gains in result.overall.gains.items()} == pytest.approx({"a": 1.0, "b": 0.0, "c": -1.0})
    two = of({"a": {"ecg": [0.0]}, "b": {"ecg": [0.9]}}, stats="all")
    assert two.overall.gains["b"] == result.overall.gains["b"]
    rising = of({"a": {"ecg": [1.0]}, "b": {"ecg": [0.55]}}, record_fields={"direction": "maximise", "floor": 0.1}, stats="all")
    assert rising.overall.gains["a"].mean == 1.0
    assert rising.overall.gains["b"].mean == pytest.approx(0.5)


def test_missing_runs_end_the_comparison_unless_a_policy_is_given():
    scores = grid(seeds=2)
    del scores["b"]["task3"]
    records = make_grid(scores)
    with pytest.raises(DataMissingError, match="'b' has no score on task3"):
        compare(records, NAMES, "nas360")
    dropped = compare(records, NAMES, "nas360", missing="drop-task")
    assert [row.task for row in dropped.tasks] == [task for task in sorted(TASKS) if task != "task3"]
    assert dropped.dropped == ("task3",)
    assert "task3" in dropped.policy
    last = compare(records, NAMES, "nas360", missing="worst-rank", stats="all")
    row = next(row for row in last.tasks if row.task == "task3")
    assert row.ranks == {"a": 1.0, "c": 2.0, "b": 3.0}
    assert (row.best, row.verdict) == (None, "a leads, runs missing")
    assert row.cells["b"].mean is None
    ab, _, bc = last.pairs
    assert ab.details["task3"].value is None
    assert (ab.result.wins + ab.result.ties + ab.result.losses, bc.details["task3"].gain) == (10, -1.0)
    assert any("task3: b has no run; it takes the last rank" in note for note in last.notes)
    for text in (as_markdown(last), as_latex(last), as_csv(last)):
        assert "worst-rank" in text
    assert json.loads(json.dumps(as_json(last), allow_nan=False))["tasks"][3]["methods"]["b"]["mean"] is None


def test_every_table_tells_the_policy():
    scores = grid()
    del scores["b"]["task3"]
    for policy in ("drop-task", "worst-rank"):
        text = as_markdown(compare(make_grid(scores), NAMES, "nas360", missing=policy, stats="all"))
        tables = re.findall(r"^\|.*\n\| ---.*\n(?:\|.*\n)+\n(.*)$", text, re.MULTILINE)
        assert len(tables) == 5
        assert all(f"missing: {policy}" in legend for legend in tables)


def test_a_failed_run_takes_the_last_rank_under_worst_rank():
    records = [
        *make_grid({"a": {"ecg": [0.1, 0.1]}, "b": {"ecg": [0.5, 0.5]}}),
        make_record("a", "ecg", seed=2, status="failed", reason="loss became nan"),
    ]
    result = compare(records, ["a", "b"], "nas360", missing="worst-rank")
    row = result.tasks[0]
    assert (row.ranks, row.leaders, row.best) == ({"a": 2.0, "b": 1.0}, ("b",), None)
    assert row.verdict == "b leads, runs failed"
    assert row.cells["a"].mean == 0.1
    assert result.pairs[0].result == (0, 0, 1)
    assert "takes the last rank" in as_markdown(result)
    # Under the default its mean is that of the other seeds, and nobody is best.
    assert compare(records, ["a", "b"], "nas360").tasks[0].verdict == "a leads, runs failed"


def test_a_method_without_any_score_is_refused_under_every_policy():
    for policy in ("error", "drop-task", "worst-rank"):
        with pytest.raises(DataMissingError, match="'b' has no score"):
            compare(make_grid({"a": {"ecg": [0.1]}}), ["a", "b"], "nas360", missing=policy)


def test_tasks_that_nobody_has_a_score_on_are_named():
    records = make_grid({"a": {"ecg": [0.1]}, "b": {"ecg": [0.2]}})
    records += [make_record(name, "satellite", status="failed", reason="out of memory") for name in ("a", "b")]
    result = compare(records, ["a", "b"], "nas360", missing="worst-rank")
    assert ([row.task for row in result.tasks], result.dropped) == (["ecg"], ("satellite",))
    assert "tasks without any score are left out (satellite)" in result.policy


def test_a_score_that_is_not_a_number_is_a_failed_run():
    record = make_record("a", "ecg", seed=1)
    broken = record.model_copy(update={"metrics": (record.metrics[0].model_copy(update={"value": math.nan}),)})
    records = [make_record("a", "ecg", 0.1), broken, *make_grid({"b": {"ecg": [0.5, 0.5]}})]
    row = compare(records, ["a", "b"], "nas360").tasks[0]
    assert (row.cells["a"].mean, row.best) == (0.1, None)
    assert row.cells["a"].failed == {1: "ok: its score is not a number"}
    with pytest.raises(DataMissingError, match="'a' has no score on ecg"):
        compare([broken, make_record("b", "ecg", 0.5)], ["a", "b"], "nas360")


def test_the_reference_is_corrected_for_its_own_pairs():
    scores = grid(methods=["a", "b", "c", "d"], noise=0.0)
    result = of(scores, reference="a")
    assert [(pair.first, pair.second) for pair in result.against] == [("b", "a"), ("c", "a"), ("d", "a")]
    assert ({pair.family for pair in result.against}, {pair.family for pair in result.pairs}) == ({3}, {6})
    noisy = of(grid(methods=["a", "b", "c", "d"], noise=0.05), reference="a")
    plain = [pair.p for pair in noisy.against]
    assert [pair.p_holm for pair in noisy.against] == pytest.approx(list(multipletests(plain, method="holm")[1]))
    assert [pair.p for pair in noisy.pairs[:3]] == pytest.approx(plain)
    assert all(pair.verdict == "a better" for pair in result.against)
    assert "0.0059 for the 3 pairs with a" in result.sentence
    with pytest.raises(UsageError, match="the reference 'z' is none of the methods"):
        of(scores, reference="z")


def test_power_is_told_before_any_verdict():
    one = of({name: {task: values for task, values in tasks.items() if task in TASKS[:1]} for name, tasks in grid().items()})
    assert {pair.verdict for pair in one.pairs} == {"cannot be significant"}
    close = of(grid(noise=0.05, step=0.0))
    assert "not significant" in {pair.verdict for pair in close.pairs}
    assert "with 80% power" in close.answer[1]
    for text in (as_markdown(close), as_latex(close).replace("\\%", "%")):
        assert 0 < text.index("with 80% power") < text.index("not significant")
    assert "a sign test takes 10 wins of 10" in close.sentence
    unscaled = of(
        {name: {task: values for task, values in tasks.items() if task in TASKS[:5]} for name, tasks in grid().items()}, record_fields={"floor": 0.0}
    )
    assert {pair.verdict for pair in unscaled.pairs} == {"cannot be significant"}
    for text in (as_markdown(unscaled), as_latex(unscaled)):
        assert text.index("smallest possible") > 0


def test_all_statistics_agree_with_their_functions():
    scores = grid(methods=["a", "b", "c", "d"], noise=0.02)
    result = of(scores, stats="all")
    means = np.array([[np.mean(scores[name][task]) for name in scores] for task in TASKS])
    found = result.overall
    assert found.friedman.statistic == pytest.approx(scipy.stats.friedmanchisquare(*means.T).statistic)
    assert found.nemenyi == pytest.approx(scipy.stats.studentized_range.ppf(0.95, 4, np.inf) / math.sqrt(2) * math.sqrt(4 * 5 / 60), rel=1e-4)
    for pair in result.pairs:
        first, second = (means[:, list(scores).index(name)] for name in (pair.first, pair.second))
        assert pair.ranked_p == pytest.approx(scipy.stats.wilcoxon(first - second, mode="exact").pvalue)
        tested = scipy.stats.ttest_rel(second / 0.9, first / 0.9)
        assert pair.p == pytest.approx(tested.pvalue)
        assert pair.effect.interval == pytest.approx(tuple(tested.confidence_interval(0.95)))
        assert sum(pair.posterior) == pytest.approx(1.0)
        assert pair.effect.mean == pytest.approx(np.mean((second - first) / 0.9))
        together = any({pair.first, pair.second} <= set(group) for group in found.pair_groups)
        assert together == (pair.p_holm > 0.05)
        apart = abs(result.mean_ranks[pair.first] - result.mean_ranks[pair.second]) >= found.nemenyi
        assert apart != any({pair.first, pair.second} <= set(group) for group in found.rank_groups)
    best = means.min(axis=1)
    for name in scores:
        column = means[:, list(scores).index(name)]
        assert found.ratios[name] == pytest.approx(column / best)
        runs = np.array([(0.9 - np.array(scores[name][task])) / 0.9 for task in TASKS])
        assert found.gains[name].mean == pytest.approx(runs.mean())
        assert found.gains[name].interquartile == pytest.approx(statistics.interquartile_mean(runs.tolist()))
        low, high = found.gains[name].interval
        assert low < found.gains[name].interquartile < high


@pytest.mark.parametrize(
    ("scores", "fields"),
    [
        ({name: {"ecg": [0.3]} for name in NAMES}, {}),  # one task, one seed, identical
        ({name: {task: [0.0, 0.0] for task in TASKS} for name in NAMES}, {}),  # zeros
        ({name: {task: [0.0] for task in TASKS} for name in NAMES}, {"floor": 0.0}),
        ({name: {task: [0.9] for task in TASKS} for name in NAMES}, {}),  # the floor itself
        ({name: {task: [1.0, 1.0] for task in TASKS} for name in NAMES}, {"direction": "maximise", "floor": 0.5}),
        ({name: {task: [1e300, -1e300] for task in TASKS} for name in NAMES}, {}),
    ],
)
def test_identical_methods_have_defined_answers_and_no_best(scores, fields):
    result = of(scores, record_fields=fields, stats="all", reference="a")
    assert all(row.best is None and len(row.leaders) == 3 and len(row.tied) == 3 for row in result.tasks)
    assert (result.overall.friedman.statistic, result.overall.friedman.p) == (0.0, 1.0)
    assert result.overall.pair_groups == result.overall.rank_groups == (("a", "b", "c"),)
    for pair in (*result.pairs, *result.against):
        # One task says nothing of others: no p.
        assert (pair.p, pair.favours, pair.significant) == (None if len(result.tasks) == 1 and pair.effect else 1.0, None, False)
        assert pair.posterior in (None, (0.0, 1.0, 0.0))
        assert pair.result.ties == len(result.tasks)
    for ratios in result.overall.ratios.values():
        assert set(ratios) == {1.0}
    json.dumps(as_json(result), allow_nan=False)
    for form in (as_markdown, as_csv, as_latex, as_table):
        assert form(result)


def test_a_perfect_score_is_told_from_a_small_one():
    result = of({"a": {"ecg": [0.0], "satellite": [0.2]}, "b": {"ecg": [0.1], "satellite": [0.1]}}, stats="all")
    assert result.overall.ratios == {"a": [1.0, pytest.approx(2.0)], "b": [math.inf, 1.0]}
    assert json.loads(json.dumps(as_json(result), allow_nan=False))["overall"]["profiles"]["b"]["ratios"] == [None, 1.0]


def test_leaders_share_their_tie_group():
    scores = {"a": {"ecg": [0.10, 0.11, 0.12]}, "b": {"ecg": [0.11, 0.10, 0.13]}, "c": {"ecg": [0.9, 0.9, 0.9]}}
    row = of(scores).tasks[0]
    assert (row.leaders, row.tied, row.best) == (("a",), ("a", "b"), None)


def test_order_of_records_and_of_methods_changes_no_byte():
    records = make_grid(grid(methods=["a", "b", "c", "d"], noise=0.02))
    forms = (as_csv, as_markdown, as_latex, lambda each: json.dumps(as_json(each), sort_keys=True))
    expected = [form(compare(records, ["a", "b", "c", "d"], "nas360", stats="all", reference="b")) for form in forms]
    for seed in range(3):
        random.Random(seed).shuffle(records)
        assert [form(compare(records, ["a", "b", "c", "d"], "nas360", stats="all", reference="b")) for form in forms] == expected
    there, back = (compare(records, methods, "nas360", stats="all") for methods in (["a", "b", "c", "d"], ["d", "c", "b", "a"]))
    assert there.overall.gains == {name: back.overall.gains[name] for name in "abcd"}
    assert there.overall.pair_groups == back.overall.pair_groups
    assert there.pairs[0].posterior == tuple(reversed(back.pairs[-1].posterior))
    # Another score draws other resamples.
    other = grid(methods=["a", "b", "c", "d"], noise=0.02)
    other["d"]["task0"][0] += 0.01
    assert of(other, stats="all").overall.gains["a"].interval != there.overall.gains["a"].interval


def test_csv_has_interval_gain_and_policy():
    rows = list(csv.DictReader(io.StringIO(as_csv(of({"a": {"ecg": [0.1, 0.2]}, "b": {"ecg": [0.9]}})))))
    assert [float(row["gain"]) for row in rows] == pytest.approx([0.75 / 0.9, 0.0])
    assert float(rows[0]["low"]) < 0.15 < float(rows[0]["high"])
    assert (rows[1]["low"], rows[1]["missing"]) == ("", "error")


def test_latex_is_complete_and_escaped():
    text = as_latex(of(grid(), stats="all"))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == text.count(r"\toprule") == 5
    assert r"error\_rate" in text
    assert r"gain (\%)" in text
    assert "±" not in text
    assert "-{}-missing error" in text
    assert re.search(r"a - c & task0 & \$-\$0\.\d+ & \$-\$0\.\d+ to ", text)
    for line in text.splitlines():
        if line.endswith(r"\\"):
            assert line.count("{") == line.count("}")


def test_equal_scores_have_no_negative_gain():
    result = of({"a": {"ecg": [0.1, 0.2]}, "b": {"ecg": [0.1, 0.2]}})
    text = as_markdown(result)
    assert str(result.pairs[0].details["ecg"].gain) == "0.0"
    assert "| 0.0000 |" in text
    assert "| 0.00 |" in text
    assert "-0.00 " not in text
    assert "+0.0" not in text


def test_a_table_longer_than_a_page_breaks_in_latex():
    text = as_latex(of(grid(methods="abcd", tasks=[f"task{index}" for index in range(12)]), stats="all"))
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == text.count(r"\endhead") == 1  # 6 pairs of 12 tasks
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 4
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 4


def test_differences_are_those_with_the_reference_where_there_is_one():
    from pare_bench.comparison.parts import parts
    from pare_bench.comparison.table_parts import Table

    levels = {"pare": 0.2, "orca": 0.3, "constant": 0.5}
    records = [make_record(method, task, value + 0.01 * seed, seed=seed) for method, value in levels.items() for task in "ab" for seed in range(3)]
    for reference, count in ((None, 3), ("orca", 2)):
        comparison = compare(records, list(levels), "nas360", stats="all", reference=reference)
        (table,) = [part for part in parts(comparison) if isinstance(part, Table) and part.columns[0] == "difference"]
        assert len(table.rows) == 2 * count
        assert reference is None or all("orca" in row[0] for row in table.rows)
