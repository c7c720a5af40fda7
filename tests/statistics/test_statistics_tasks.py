"""Statistics over tasks against scipy, scikit-posthocs, baycomp and autorank, against enumeration, and by hand."""

from __future__ import annotations

import itertools
import math

import baycomp
import numpy as np
import pandas
import pytest
import scikit_posthocs
import scipy.stats

from pare_bench import statistics

NAN = math.nan


def random_ranks(seed, num_tasks, num_methods, *, levels=None):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(num_tasks, num_methods)) + np.linspace(0, 1, num_methods)
    if levels:
        scores = np.round(scores * levels) / levels
    return scores, [statistics.shared_ranks(list(row)) for row in scores]


@pytest.mark.parametrize(("num_tasks", "num_methods", "levels"), [(10, 5, None), (10, 5, 1), (8, 3, None), (42, 6, 2), (12, 4, 1)])
def test_friedman_statistic_agrees_with_scipy_with_and_without_ties(num_tasks, num_methods, levels):
    scores, ranks = random_ranks(num_tasks, num_tasks, num_methods, levels=levels)
    assert statistics.friedman(ranks).statistic == pytest.approx(scipy.stats.friedmanchisquare(*scores.T).statistic, rel=1e-10)


@pytest.mark.parametrize(("num_tasks", "num_methods", "levels"), [(4, 3, None), (5, 3, 1), (6, 3, 2), (3, 4, 1)])
def test_exact_friedman_agrees_with_enumeration_of_all_permutations(num_tasks, num_methods, levels):
    _, ranks = random_ranks(7 + num_tasks, num_tasks, num_methods, levels=levels)
    observed = sum(sum(column) ** 2 for column in zip(*ranks, strict=True))
    # The order of the first task may stay: only the others move against it.
    orders = itertools.product(*(itertools.permutations(row) for row in ranks[1:]))
    totals = [sum(sum(column) ** 2 for column in zip(ranks[0], *rows, strict=True)) for rows in orders]
    result = statistics.friedman(ranks)
    assert result.test == "Friedman, exact"
    assert result.p == pytest.approx(np.mean([total >= observed - 1e-9 for total in totals]), rel=1e-9)


def test_exact_friedman_has_the_tabulated_tail():
    # Hollander and Wolfe, table A.22: k = 3, n = 4: P(S >= 6.5) = 0.042; n = 3: P(S >= 6) = 0.028.
    ranks = [[1.0, 2.0, 3.0]] * 3 + [[1.0, 3.0, 2.0]]
    assert statistics.friedman(ranks).statistic == pytest.approx(6.5)
    assert statistics.friedman(ranks).p == pytest.approx(0.0417, abs=5e-4)
    assert statistics.friedman([[1.0, 2.0, 3.0]] * 3).p == pytest.approx(6**-2)


def test_iman_davenport_by_its_formula():
    scores, ranks = random_ranks(3, 10, 5)
    chi = scipy.stats.friedmanchisquare(*scores.T).statistic
    expected = scipy.stats.f.sf(9 * chi / (10 * 4 - chi), 4, 36)
    result = statistics.friedman(ranks)
    assert (result.test, result.p) == ("Friedman, Iman-Davenport F", pytest.approx(expected, rel=1e-9))


def test_friedman_has_an_answer_for_ties_everywhere_for_one_task_and_for_full_agreement():
    # scipy answers nan for ties everywhere.
    assert statistics.friedman([[2.0, 2.0, 2.0]] * 4)[:2] == (0.0, 1.0)
    assert statistics.friedman([[3.0] * 5] * 4)[:2] == (0.0, 1.0)
    assert statistics.friedman([[1.0, 2.0, 3.0]]).p == pytest.approx(1.0)
    assert statistics.friedman([[1.0, 2.0, 3.0, 4.0, 5.0]]).p == 1.0
    assert statistics.friedman([[1.0, 2.0, 3.0, 4.0, 5.0]] * 3).p == pytest.approx(120**-2)
    for ranks in ([[1.0, 2.0]], [], [[1.0, NAN, 2.0]]):
        with pytest.raises(ValueError, match="three or more methods"):
            statistics.friedman(ranks)


@pytest.mark.parametrize("count", [2, 3, 5, 10, 20])
def test_the_studentized_range_agrees_with_scipy(count):
    for width in (0.1, 1.0, 2.5, 3.7, 6.0):
        assert statistics.range_exceedance(width, count) == pytest.approx(scipy.stats.studentized_range.sf(width, count, np.inf), abs=1e-6)


def test_nemenyi_difference_has_demsars_table_and_autoranks_value():
    # Demsar 2006, table 5a: q at 0.05 for 2, 3, 4, 5, 10 methods, already divided by the square root of 2.
    for count, quantile in ((2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)):
        assert statistics.nemenyi_difference(count, 1) == pytest.approx(quantile * math.sqrt(count * (count + 1) / 6), rel=3e-4)
    # autorank 1.3.0 prints 1.92881 for 5 methods on 10 tasks.
    assert statistics.nemenyi_difference(5, 10) == pytest.approx(1.92881, abs=5e-5)


@pytest.mark.parametrize("levels", [None, 1])
def test_nemenyi_p_agrees_with_scikit_posthocs(levels):
    scores, ranks = random_ranks(11, 10, 5, levels=levels)
    expected = scikit_posthocs.posthoc_nemenyi_friedman(pandas.DataFrame(scores)).to_numpy()
    means = np.mean(ranks, axis=0)
    for first, second in itertools.combinations(range(5), 2):
        assert statistics.nemenyi_p(means[first] - means[second], 5, 10) == pytest.approx(expected[first, second], abs=2e-4)
    assert statistics.nemenyi_p(0.0, 5, 10) == pytest.approx(1.0)


def test_tie_groups_by_hand():
    # a and c differ, b is like both: two overlapping groups.
    assert statistics.tie_groups("abc", {("a", "c")}) == (("a", "b"), ("b", "c"))
    assert statistics.letters("abc", statistics.tie_groups("abc", {("a", "c")})) == {"a": "a", "b": "ab", "c": "b"}
    # Neighbours differ, the outer ones do not: no run of neighbours can show it.
    assert statistics.tie_groups("abc", {("a", "b"), ("b", "c")}) == (("a", "c"), ("b",))
    assert statistics.tie_groups("abc", set()) == (("a", "b", "c"),)
    assert statistics.tie_groups("ab", {("a", "b")}) == (("a",), ("b",))
    assert statistics.tie_groups([], set()) == ()
    assert statistics.letters("a", statistics.tie_groups("a", set())) == {"a": "a"}


def test_tie_groups_are_the_largest_sets_without_a_difference():
    rng = np.random.default_rng(0)
    names = "abcdef"
    for _ in range(40):
        different = {pair for pair in itertools.combinations(names, 2) if rng.random() < 0.4}
        every = [set(some) for size in range(1, 7) for some in itertools.combinations(names, size)]
        free = [some for some in every if not any(set(pair) <= some for pair in different)]
        largest = {frozenset(some) for some in free if not any(some < other for other in free)}
        assert {frozenset(group) for group in statistics.tie_groups(names, different)} == largest


@pytest.mark.parametrize("rope", [0.01, 0.1])
@pytest.mark.parametrize("shift", [0.0, 0.08, -0.3])
def test_the_bayesian_test_agrees_with_baycomp(shift, rope):
    rng = np.random.default_rng(5)
    first, second = rng.normal(0, 0.1, 12), rng.normal(shift, 0.1, 12)
    # baycomp's left is that x is greater by more than the region: y - x below it.
    expected = baycomp.SignedRankTest.probs(first, second, rope=rope, nsamples=8000, random_state=1)
    found = statistics.bayesian_signed_rank(list(second - first), rope, statistics.dirichlet_weights(12, 20000, "test"))
    assert tuple(found) == pytest.approx(tuple(expected), abs=0.02)
    assert sum(found) == pytest.approx(1.0)


def test_the_bayesian_test_mirrors_and_knows_equality():
    weights = statistics.dirichlet_weights(4, 5000, "mirror")
    there = statistics.bayesian_signed_rank([0.1, -0.02, 0.3, 0.05], 0.01, weights)
    back = statistics.bayesian_signed_rank([-0.1, 0.02, -0.3, -0.05], 0.01, weights)
    assert (there.below, there.inside, there.above) == (back.above, back.inside, back.below)
    # Equal methods are practically equal; baycomp without a region would call them 50 to 50.
    assert statistics.bayesian_signed_rank([0.0] * 4, 0.0, weights) == (0.0, 1.0, 0.0)
    worst = statistics.bayesian_signed_rank([math.inf, math.inf, -math.inf, math.inf], 0.01, weights)
    assert worst.above > 0.5
    assert sum(worst) == pytest.approx(1.0)
    # baycomp takes nan without a word.
    with pytest.raises(ValueError, match="numbers"):
        statistics.bayesian_signed_rank([NAN, 0.1, 0.2, 0.3], 0.01, weights)


def test_profiles_by_hand():
    ratios = statistics.cost_ratios({"a": [1.0, 4.0, 0.0], "b": [2.0, 1.0, 0.5], "c": [NAN, 3.0, 0.0]})
    assert ratios == {"a": [1.0, 4.0, 1.0], "b": [2.0, 1.0, math.inf], "c": [math.inf, 3.0, 1.0]}
    assert [statistics.share_within(ratios["a"], factor) for factor in (1.0, 3.9, 4.0)] == pytest.approx([2 / 3, 2 / 3, 1.0])
    assert statistics.profile_steps(ratios["c"]) == [(1.0, 1 / 3), (3.0, 2 / 3), (10.0, 2 / 3)]
    # Over the logarithm of the factor: full height for ratio 1, none for ratios beyond 10.
    assert statistics.profile_area(ratios["a"]) == pytest.approx((1 + (1 - math.log10(4)) + 1) / 3)
    grid = np.linspace(0, 1, 100_001)
    area = np.mean([statistics.share_within(ratios["b"], 10**point) for point in grid[::100]])
    assert statistics.profile_area(ratios["b"]) == pytest.approx(area, abs=2e-3)
    # No method has a score, or all are perfect.
    assert statistics.cost_ratios({"a": [NAN, 0.0], "b": [NAN, 0.0]}) == {"a": [math.inf, 1.0], "b": [math.inf, 1.0]}
    with pytest.raises(ValueError, match="zero or more"):
        statistics.cost_ratios({"a": [-1.0]})


def test_the_interquartile_mean_agrees_with_scipy_where_that_cuts_between_values():
    values = np.random.default_rng(0).normal(size=(4, 3))
    assert statistics.interquartile_mean(values.tolist()) == pytest.approx(scipy.stats.trim_mean(values.ravel(), 0.25), rel=1e-12)
    # Of three values the outer ones weigh one sixth each; scipy (and so rliable) takes the plain mean, 34.33.
    assert statistics.interquartile_mean([[1.0, 2.0, 100.0]]) == pytest.approx(1 / 6 + 2 * 4 / 6 + 100 / 6)
    assert statistics.interquartile_mean([[0.3]]) == 0.3
    # A task with more seeds weighs no more than the others.
    assert statistics.interquartile_mean([[0.0], [1.0] * 9, [2.0], [3.0]]) == pytest.approx(1.5)
    for wrong in ([], [[]], [[NAN]], [[math.inf]]):
        with pytest.raises(ValueError, match="finite values"):
            statistics.interquartile_mean(wrong)


def test_the_bootstrap_is_seeded_covers_and_needs_more_than_one_value():
    tasks = np.random.default_rng(1).normal(0.5, 0.1, (10, 3)).tolist()
    first = statistics.bootstrap_interval(tasks, "content", "abc")
    assert first == statistics.bootstrap_interval(tasks, "content", "abc")
    assert first != statistics.bootstrap_interval(tasks, "content", "abd")
    assert first[0] < statistics.interquartile_mean(tasks) < first[1]
    assert statistics.bootstrap_interval([[0.4]], "one") is None
    assert statistics.bootstrap_interval([[0.4], [0.4]], "equal") == pytest.approx((0.4, 0.4))
    assert statistics.num_resamples(tasks) == 2000
    assert statistics.num_resamples([[0.1] * 1000] * 10) == 200


def test_the_bootstrap_agrees_with_resampling_one_by_one():
    rng = np.random.default_rng(2)
    tasks = [list(rng.normal(mean, 0.2, count)) for mean, count in ((0.2, 3), (0.5, 2), (0.9, 4), (0.4, 1))]
    means = []
    for _ in range(4000):
        drawn = [tasks[task] for task in rng.integers(0, 4, 4)]
        means.append(statistics.interquartile_mean([list(rng.choice(task, len(task))) for task in drawn]))
    assert statistics.bootstrap_interval(tasks, "one by one") == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.04)


def test_a_missing_score_is_worse_than_any_other():
    assert statistics.shared_ranks([NAN, 1e300, NAN, -1.0]) == [3.5, 2.0, 3.5, 1.0]
    assert statistics.shared_ranks([NAN, 1e300, NAN, -1.0], "maximise") == [3.5, 1.0, 3.5, 2.0]
    assert statistics.wins_ties_losses([NAN, NAN, 0.1], [0.9, NAN, NAN], ["minimise"] * 3) == (1, 1, 1)
    for test in (statistics.signed_rank_p, statistics.sign_test_p):
        with pytest.raises(ValueError, match="numbers"):
            test([0.1, NAN])
    # Differences to a missing score are larger than all others, whatever those are.
    assert statistics.signed_rank_p([math.inf, -5.0, 0.1]) == statistics.signed_rank_p([9.0, -5.0, 0.1])


def test_practical_equivalence_is_a_tie():
    first, second = [0.10, 0.20, 0.30], [0.105, 0.23, 0.28]
    assert statistics.wins_ties_losses(first, second, ["minimise"] * 3, [0.01, 0.01, 0.01]) == (1, 1, 1)
    assert statistics.wins_ties_losses(first, second, ["maximise"] * 3, [0.0, 0.1, 0.0]) == (1, 1, 1)


def test_the_fewest_wins_that_reach_a_level():
    assert [statistics.fewest_wins(num) for num in (5, 6, 8, 9, 10, 30)] == [None, 6, 8, 8, 9, 21]
    for num in range(1, 31):
        wins = statistics.fewest_wins(num)
        if wins is not None:
            assert scipy.stats.binomtest(wins, num).pvalue <= 0.05 < scipy.stats.binomtest(wins - 1, num).pvalue
    assert statistics.fewest_wins(10, 3) == 10
    assert statistics.fewest_wins(10, 28) is None


def test_holm_and_the_paired_test_agree_with_statsmodels_and_scipy():
    from statsmodels.stats.multitest import multipletests

    p_values = list(np.random.default_rng(0).random(7) ** 3)
    assert statistics.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    differences = [0.1, 0.2, -0.05, 0.3]
    assert statistics.paired_t_p(differences) == pytest.approx(scipy.stats.ttest_1samp(differences, 0).pvalue, rel=1e-9)
    assert statistics.paired_t_p([0.1]) is None
    assert statistics.paired_t_p([0.0, 0.0]) == 1.0
    assert statistics.paired_t_p([0.1, 0.1]) == 0.0
