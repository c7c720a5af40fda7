"""Statistics against scipy, against enumeration and against numbers worked out by hand."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

from pare_bench import statistics

SAMPLES = [[0.31, 0.29, 0.35], [1.0, 2.0, 4.0, 8.0, 16.0], [1e-9, 3e-9], [1e300, -1e300, 5e299]]


@pytest.mark.parametrize("values", SAMPLES)
def test_mean_spread_and_interval_agree_with_scipy(values):
    assert statistics.mean(values) == pytest.approx(np.mean(values), rel=1e-12)
    scaled = np.array(values) / max(map(abs, values))
    deviation = scaled.std(ddof=1) * max(map(abs, values))
    assert statistics.sample_sd(values) == pytest.approx(deviation, rel=1e-12)
    expected = scipy.stats.t.interval(0.9, len(values) - 1, loc=np.mean(values), scale=deviation / math.sqrt(len(values)))
    assert statistics.t_interval(values, 0.9) == pytest.approx(expected, rel=1e-9)


def test_one_value_has_no_spread_and_no_interval():
    assert statistics.mean([0.5]) == 0.5
    assert statistics.sample_sd([0.5]) is None
    assert statistics.t_interval([0.5]) is None
    assert statistics.half_width([0.5]) is None
    assert statistics.welch_half_width([0.5], [0.4, 0.3]) is None


def test_equal_values_have_spread_zero():
    assert statistics.sample_sd([0.1] * 7) == 0.0
    assert statistics.welch_half_width([0.1, 0.1], [0.3, 0.3]) == 0.0


def test_the_mean_does_not_overflow():
    assert statistics.mean([1.5e308, 1.5e308]) == 1.5e308


def test_welch_agrees_with_scipy():
    first, second = [0.31, 0.29, 0.35, 0.30], [0.41, 0.39, 0.47]
    interval = scipy.stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert statistics.welch_half_width(first, second) == pytest.approx((interval.high - interval.low) / 2, rel=1e-9)


def test_ranks_share_ties_and_follow_the_direction():
    assert statistics.shared_ranks([0.2, 0.1, 0.2, 0.3]) == [2.5, 1.0, 2.5, 4.0]
    assert statistics.shared_ranks([0.2, 0.1, 0.2, 0.3], "maximise") == [2.5, 4.0, 2.5, 1.0]
    # A tie is equality up to rounding, nothing else.
    assert statistics.shared_ranks([0.1, 0.1, math.nextafter(0.1, 1)]) == [2.0, 2.0, 2.0]
    assert statistics.shared_ranks([0.1, 0.1, 0.1 + 1e-9]) == [1.5, 1.5, 3.0]


def test_mean_ranks_by_hand():
    scores = {"a": [0.1, 0.9], "b": [0.2, 0.8], "c": [0.1, 0.7]}
    assert statistics.mean_ranks(scores, ["minimise", "maximise"]) == {"a": 1.25, "b": 2.5, "c": 2.25}
    assert statistics.mean_ranks({}, []) == {}


def test_wins_ties_losses_turn_round_with_the_direction():
    first, second = [0.1, 0.5, 0.9, 0.3], [0.2, 0.5, 0.8, 0.4]
    assert statistics.wins_ties_losses(first, second, ["minimise"] * 4) == (2, 1, 1)
    assert statistics.wins_ties_losses(first, second, ["maximise"] * 4) == (1, 1, 2)
    assert statistics.wins_ties_losses(first, second, ["minimise", "minimise", "maximise", "minimise"]) == (3, 1, 0)


def test_differences_are_paired_by_seed():
    assert statistics.paired_differences({2: 5.0, 0: 1.0, 1: 3.0}, {1: 1.0, 0: 0.5, 7: 9.0}) == [0.5, 2.0]


@pytest.mark.parametrize("num", [1, 2, 5, 9, 14])
def test_signed_rank_agrees_with_scipy_without_ties(num):
    rng = np.random.default_rng(num)
    for _ in range(10):
        differences = rng.normal(0.4, 1, num)
        assert statistics.signed_rank_p(differences) == pytest.approx(scipy.stats.wilcoxon(differences, mode="exact").pvalue, rel=1e-12)


def test_signed_rank_with_ties_agrees_with_enumeration_of_all_signs():
    rng = np.random.default_rng(0)
    for num in (2, 4, 7):
        differences = [value for value in rng.integers(-3, 4, num) if value]
        ranks = scipy.stats.rankdata(np.abs(differences))
        observed = min(ranks[np.array(differences) > 0].sum(), ranks[np.array(differences) < 0].sum())
        totals = [sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign) for signs in itertools.product((0, 1), repeat=len(ranks))]
        expected = min(1.0, 2 * np.mean([total <= observed for total in totals]))
        assert statistics.signed_rank_p(differences) == pytest.approx(expected, rel=1e-12)


def test_sign_test_agrees_with_scipy():
    for positive, negative in ((5, 0), (7, 3), (4, 4), (1, 9)):
        differences = [1.0] * positive + [-2.0] * negative + [0.0] * 3
        assert statistics.sign_test_p(differences) == pytest.approx(scipy.stats.binomtest(positive, positive + negative).pvalue, rel=1e-12)


def test_no_difference_gives_p_one():
    for test in (statistics.signed_rank_p, statistics.sign_test_p):
        assert test([]) == 1.0
        assert test([0.0, 0.0]) == 1.0


def test_a_clean_sweep_gives_the_smallest_possible_p():
    assert statistics.smallest_possible_p(10) == pytest.approx(0.001953125)
    for num in range(1, 12):
        sweep = [0.1 * (position + 1) for position in range(num)]
        assert statistics.signed_rank_p(sweep) == statistics.sign_test_p(sweep) == statistics.smallest_possible_p(num)
    assert statistics.smallest_possible_p(0) == 1.0


def test_holm_by_hand():
    # Sorted: 0.01 * 3, 0.02 * 2, 0.30 * 1; in the order given.
    assert statistics.holm([0.02, 0.3, 0.01]) == pytest.approx([0.04, 0.3, 0.03])
    # A later p may not fall below an earlier one, and none exceeds 1.
    assert statistics.holm([0.04, 0.03]) == pytest.approx([0.06, 0.06])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert [statistics.holm_factor(num) for num in (2, 3, 5, 8)] == [1, 3, 10, 28]


def test_comparing_imports_neither_torch_nor_scipy():
    code = "import sys, pare_bench.comparison.compare, pare_bench.comparison.tables; print(sorted({'torch', 'scipy', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("count", [1, 3, 7, 10, 49])
def test_equal_values_have_their_value_as_mean_and_no_spread(count):
    for value in (0.99, 0.9475, 0.1, 1e-300, 1.7e308):
        assert statistics.mean([value] * count) == value
        assert statistics.sample_sd([value] * count) in (None, 0.0)
