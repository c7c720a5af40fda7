"""The effect over tasks, its power, differences over seeds and ties, against statsmodels, scipy and numpy."""

from __future__ import annotations

import math
import sys
import warnings

import numpy as np
import pandas
import pytest
import scipy.stats
import statsmodels.formula.api as formulas
from statsmodels.stats.power import TTestPower

from pare_bench import statistics

MOST = sys.float_info.max


def drawn(seed, tasks=10, seeds=3, effect=0.05, between=0.1, within=0.05):
    rng = np.random.default_rng(seed)
    return effect + between * rng.normal(size=(tasks, 1)) + within * rng.normal(size=(tasks, seeds))


def effect_of(values):
    errors = [scipy.stats.sem(row) if len(row) > 1 else None for row in values]
    return statistics.effect_over_tasks([float(np.mean(row)) for row in values], errors, min(map(len, values)))


@pytest.mark.parametrize("seed", range(6))
def test_the_balanced_form_is_the_mixed_model_of_statsmodels(seed):
    values = drawn(seed)
    frame = pandas.DataFrame({"value": values.ravel(), "task": np.repeat(np.arange(10), 3)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = formulas.mixedlm("value ~ 1", frame, groups=frame["task"]).fit(reml=True)
    found = effect_of(values)
    assert found.mean == pytest.approx(model.fe_params["Intercept"], rel=1e-6)
    assert found.error == pytest.approx(model.bse["Intercept"], rel=1e-3)
    assert found.between == pytest.approx(float(model.cov_re.iloc[0, 0]), rel=2e-3)
    assert found.within == pytest.approx(model.scale / 3, rel=2e-3)


@pytest.mark.parametrize("tasks", [2, 3, 10, 40])
def test_interval_and_p_are_students_over_tasks(tasks):
    values = drawn(tasks, tasks=tasks)
    expected = scipy.stats.ttest_1samp(values.mean(axis=1), 0.0)
    found = effect_of(values)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (found.freedom, found.tasks) == (tasks - 1, tasks)


def test_an_effect_of_one_task_says_nothing_of_others():
    found = statistics.effect_over_tasks([0.2], [0.01], 3)
    assert (found.mean, found.interval, found.p, found.error, found.between) == (0.2, None, None, None, None)
    assert statistics.smallest_seen(found) is None
    for wrong in ([], [math.nan], [math.inf, 0.1]):
        with pytest.raises(ValueError, match="finite differences"):
            statistics.effect_over_tasks(wrong, [None] * len(wrong))


def test_tasks_that_agree_exactly_take_the_error_of_the_seeds():
    found = statistics.effect_over_tasks([0.01] * 4, [0.02] * 4, 3)
    half = scipy.stats.t.ppf(0.975, 8) * 0.02 / 2
    assert found.interval == pytest.approx((0.01 - half, 0.01 + half))
    # Nothing varies at all: then there is nothing to be unsure of.
    assert statistics.effect_over_tasks([0.01] * 4, [0.0] * 4, 3)[1:3] == ((0.01, 0.01), 0.0)
    assert statistics.effect_over_tasks([0.0] * 4, [0.0] * 4, 3)[1:3] == ((0.0, 0.0), 1.0)


@pytest.mark.parametrize("tasks", [3, 5, 10, 30])
def test_power_is_that_of_statsmodels(tasks):
    found = effect_of(drawn(1, tasks=tasks))
    smallest = statistics.smallest_seen(found)
    size = smallest / (found.error * math.sqrt(tasks))  # in standard deviations of one task
    assert TTestPower().power(size, tasks, 0.05) == pytest.approx(0.8, abs=1e-4)
    assert TTestPower().solve_power(None, tasks, 0.05, 0.8) == pytest.approx(size, rel=1e-4)
    assert statistics.power_of(0.5 * smallest, found.error, tasks - 1) == pytest.approx(TTestPower().power(size / 2, tasks, 0.05), abs=1e-5)
    assert statistics.power_of(0.0, found.error, tasks - 1) == pytest.approx(0.05)
    assert statistics.power_of(1e6, found.error, tasks - 1) == 1.0
    assert (statistics.power_of(1.0, 0.0, 3), statistics.power_of(0.0, 0.0, 3)) == (1.0, pytest.approx(0.05))


def test_seeds_and_tasks_that_do_are_the_fewest_that_do():
    found = statistics.effect_over_tasks(list(np.linspace(-0.05, 0.13, 10)), [0.05] * 10, 3)

    def power(num_seeds, num_tasks):
        deviation = math.sqrt(found.between + found.within * 3 / num_seeds)
        return TTestPower().power(0.04 / deviation, num_tasks, 0.05)

    seeds = statistics.seeds_that_do(found, 0.04, 3)
    assert power(seeds, 10) >= 0.8 > power(seeds - 1, 10)
    tasks = statistics.tasks_that_do(found, 0.01)
    deviation = found.error * math.sqrt(10)
    assert TTestPower().power(0.01 / deviation, tasks, 0.05) >= 0.8 > TTestPower().power(0.01 / deviation, tasks - 1, 0.05)
    # Tasks that differ by more than that: no number of seeds changes it. One seed does not tell the two variances apart.
    assert statistics.seeds_that_do(found, 0.001, 3) is None
    assert statistics.seeds_that_do(statistics.effect_over_tasks([0.1, 0.2], [None, None], 1), 0.1, 1) is None
    assert statistics.with_design(found, 3, 3, 10) == pytest.approx(found.error)


def test_one_set_of_seeds_for_value_and_interval():
    first, second = {0: 0.40, 1: 0.40, 2: 0.40, 3: 0.10}, {0: 0.30, 1: 0.3001, 2: 0.3003}
    found = statistics.seed_difference(first, second)
    expected = scipy.stats.ttest_rel([0.4] * 3, list(second.values())).confidence_interval(0.95)
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert found.value == pytest.approx((expected.low + expected.high) / 2)
    assert (found.paired, found.seeds, found.means[0]) == (True, 3, 0.4)
    # Two in common: all seeds of both, by Welch.
    second = {0: 0.30, 1: 0.31, 7: 0.35}
    found = statistics.seed_difference(first, second)
    expected = scipy.stats.ttest_ind(list(first.values()), list(second.values()), equal_var=False).confidence_interval(0.95)
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert (found.value, found.paired, found.seeds) == (pytest.approx(0.325 - 0.32), False, 3)
    assert math.isnan(statistics.seed_difference({}, first).value)
    assert statistics.seed_difference({0: 0.1}, {0: 0.2}).interval is None


def test_a_verdict_takes_three_seeds():
    two, three = {0: 0.5, 1: 0.52}, {0: 0.5, 1: 0.52, 2: 0.51}
    assert not statistics.seed_difference(two, {seed: value + 0.02 for seed, value in two.items()}).ahead(-1)
    assert statistics.seed_difference(three, {seed: value + 0.02 for seed, value in three.items()}).ahead(-1)
    assert not statistics.seed_difference(three, {seed: value + 0.02 for seed, value in three.items()}).ahead()


@pytest.mark.parametrize("examples", [50, 400, 10_000])
def test_equal_means_of_counts_are_equal_whatever_their_seeds(examples):
    """Shares of correct test examples whose means are equal as fractions: 10% of them differ in the last bit as floats."""
    rng = np.random.default_rng(examples)
    unequal = 0
    for _ in range(400):
        total = int(rng.integers(3, 3 * examples))
        splits = [sorted(rng.integers(0, min(total, examples) + 1, 2)) for _ in range(2)]
        counts = [[low, high - low, total - high] for low, high in splits]
        if any(not 0 <= count <= examples for each in counts for count in each):
            continue
        means = [statistics.mean([int(count) / examples for count in each]) for each in counts]
        unequal += means[0] != means[1]
        assert statistics.shared_ranks(means) == [1.5, 1.5]
        assert statistics.difference(*means) == 0.0
        assert statistics.shared_ranks([means[0], means[1] + 1 / (3 * examples)]) == [1.0, 2.0]
    assert unequal > 5  # the case is one


def test_equal_differences_share_ranks():
    scores = [(0.9, 0.89), (0.3, 0.31), (0.11, 0.10), (0.2, 0.25)]
    differences = [a - b for a, b in scores]
    assert len(set(map(abs, differences[:3]))) > 1  # as floats they are not equal
    assert statistics.signed_ranks(differences, [1.0] * 4) == [2.0, -2.0, 2.0, -4.0]
    assert statistics.signed_rank_p(differences, [1.0] * 4) == statistics.signed_rank_p([1.0, -1.0, 1.0, -5.0])


def test_the_rule_of_ties():
    assert statistics.same(0.1 + 0.2, 0.3)
    assert not statistics.same(0.3, 0.3 + 1e-8)
    assert statistics.same(math.inf, math.inf)
    assert not statistics.same(math.inf, 1e308)
    assert not statistics.same(math.nan, math.nan)
    assert not statistics.same(0.0, 1e-12)
    assert statistics.same(0.0, 1e-12, 1.0)
    assert statistics.difference(MOST, -MOST) == MOST
    assert str(statistics.difference(0.3, 0.1 + 0.2)) == "0.0"


def test_scores_near_the_largest_float_have_finite_statistics():
    for values in ([MOST, MOST, -MOST], [MOST] * 7, [1.7e308, 1.7e308, 1.6e308]):
        assert all(map(math.isfinite, (statistics.mean(values), statistics.sample_sd(values), *statistics.t_interval(values))))
        found = statistics.seed_difference(dict(enumerate(values)), dict(enumerate([-value for value in values])))
        assert all(map(math.isfinite, (found.value, *found.interval)))
        assert all(map(math.isfinite, statistics.seed_difference(dict(enumerate(values)), {5: -MOST, 6: MOST}).interval))
    assert statistics.mean([MOST, MOST, -MOST]) == pytest.approx(MOST / 3)


def test_the_border_of_the_region_belongs_to_it():
    # As floats .51 - .50 is larger than .01.
    assert 0.51 - 0.50 > 0.01
    assert statistics.wins_ties_losses([0.50], [0.51], ["minimise"], [0.01]) == (0, 1, 0)
    assert statistics.wins_ties_losses([0.50], [0.5101], ["minimise"], [0.01]) == (1, 0, 0)
    weights = statistics.dirichlet_weights(3, 1000, "test")
    assert statistics.bayesian_signed_rank([0.51 - 0.50] * 3, 0.01, weights) == (0.0, 1.0, 0.0)


def test_costs_that_are_equal_but_for_rounding_are_the_lowest():
    assert statistics.cost_ratios({"a": [0.1 + 0.2], "b": [0.3]}) == {"a": [1.0], "b": [1.0]}
