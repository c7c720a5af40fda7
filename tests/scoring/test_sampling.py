"""The error by the choice of test examples: against binomial and McNemar's errors, by groups, and in a comparison of real runs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import scipy.stats

from pare_bench import metrics, statistics
from pare_bench.comparison.sampling import TestSampling
from pare_bench.contracts.task import Metric, Split
from pare_bench.records.store import Store
from pare_bench.registry.names import Registry
from pare_bench.scoring.sampling import RECORDED, replicates

ERROR = Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, np.asarray(split.targets)))


def split_of(labels, **extras):
    return Split(np.zeros((len(labels), 1, 2), np.float32), labels, extras)


def outputs_of(labels, wrong):
    """Logits of two classes that are wrong at ``wrong``."""
    said = np.where(wrong, 1 - labels, labels)
    return np.eye(2, dtype=np.float32)[said]


def test_the_error_of_a_rate_is_the_binomial_one():
    rng = np.random.default_rng(0)
    labels, wrong = rng.integers(0, 2, 400), rng.random(400) < 0.3
    drawn = replicates(ERROR, outputs_of(labels, wrong), split_of(labels), "test", count=2000)
    rate = wrong.mean()
    assert np.nanmean(drawn) == pytest.approx(rate, abs=0.003)
    assert statistics.sampling_error({0: drawn})[0] == pytest.approx(math.sqrt(rate * (1 - rate) / 400), rel=0.06)


def test_differences_are_paired_by_example():
    """Two methods that are wrong on nearly the same examples: McNemar's error, far below that of two independent rates."""
    rng = np.random.default_rng(1)
    labels, first = rng.integers(0, 2, 400), rng.random(400) < 0.3
    second = first ^ (rng.random(400) < 0.05)
    test = split_of(labels)
    drawn = [replicates(ERROR, outputs_of(labels, wrong), test, "test", count=2000) for wrong in (first, second)]
    differences = first.astype(float) - second.astype(float)
    assert statistics.sampling_error({0: drawn[0]}, {0: drawn[1]})[0] == pytest.approx(differences.std() / 20, rel=0.06)
    assert statistics.sampling_error({0: drawn[0]}, {0: drawn[0]}) == (0.0, 2000)


def test_groups_are_drawn_together():
    """Ten examples of each group are all wrong or all right: as many errors as groups, so the error is that of 40 examples."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), 10)
    wrong = np.repeat(rng.random(40) < 0.4, 10)
    labels = rng.integers(0, 2, 400)
    test = split_of(labels, groups=groups)
    drawn = replicates(ERROR, outputs_of(labels, wrong), test, "test", count=2000)
    rate = wrong.mean()
    assert statistics.sampling_error({0: drawn})[0] == pytest.approx(math.sqrt(rate * (1 - rate) / 40), rel=0.06)
    # A group that is drawn twice counts as two: what a metric sees are as many groups as there were.
    seen = []
    metric = Metric("groups", lambda outputs, split: seen.append(len(np.unique(split.extras["groups"]))) or 0.0)
    replicates(metric, outputs_of(labels, wrong), test, "test", count=5)
    assert seen == [40] * 5


def test_a_resample_without_a_score_is_left_out():
    def no_score(outputs, split):
        if len(split) and split.targets[0]:
            raise ValueError("one class")
        return 0.5

    labels = np.array([0, 1] * 10)
    drawn = replicates(Metric("some", no_score), outputs_of(labels, labels > 2), split_of(labels), "test", count=50)
    assert 0 < np.isnan(drawn).sum() < 50
    assert statistics.sampling_error({0: drawn}) == (0.0, 50 - np.isnan(drawn).sum())
    assert statistics.sampling_error({0: np.full(24, np.nan)}) == (0.0, 0)


def test_the_two_errors_add_in_squares():
    found = statistics.seed_difference({0: 0.5, 1: 0.52, 2: 0.51}, {0: 0.4, 1: 0.43, 2: 0.44})
    both = statistics.with_sampling(found, 0.03, 24)
    assert both.error == pytest.approx(math.hypot(found.error, 0.03))
    assert both.seed_error == pytest.approx(found.error)
    # Satterthwaite: two degrees of freedom of three seeds, 23 of 24 resamples.
    freedom = both.error**4 / (found.error**4 / 2 + 0.03**4 / 23)
    assert both.half == pytest.approx(scipy.stats.t.ppf(0.975, freedom) * both.error)
    assert statistics.with_sampling(found, 0.0, 24).half == pytest.approx(found.half)
    # Seeds that agree exactly are not surer than the test split allows.
    certain = statistics.seed_difference(dict.fromkeys(range(3), 0.52), dict.fromkeys(range(3), 0.5))
    assert certain.ahead()
    assert not statistics.with_sampling(certain, 0.02, 24).ahead()
    assert statistics.with_sampling(certain, 0.02, 24).half == pytest.approx(scipy.stats.t.ppf(0.975, 23) * 0.02)


@pytest.mark.parametrize("resamples", [RECORDED, 60])
def test_coverage_with_both_errors_is_95_percent(resamples):
    """Scores of 3 seeds on one of many test splits of 100 examples: the truth is the rate over all examples and seeds."""
    rng = np.random.default_rng(3)
    covered, seeds_alone, count = 0, 0, 300
    for _ in range(count):
        easy = rng.beta(2, 3, 100)  # how often a network gets each example wrong
        wrong = {seed: rng.random(100) < np.clip(easy + 0.02 * rng.normal(), 0, 1) for seed in range(3)}
        labels = np.zeros(100, dtype=np.int64)
        test = split_of(labels)
        drawn = {seed: replicates(ERROR, outputs_of(labels, each), test, "test", count=resamples) for seed, each in wrong.items()}
        found = statistics.seed_difference({seed: float(each.mean()) for seed, each in wrong.items()}, dict.fromkeys(range(3), 0.0))
        both = statistics.with_sampling(found, *statistics.sampling_error(drawn))
        covered += both.interval[0] <= 0.4 <= both.interval[1]
        seeds_alone += found.interval[0] <= 0.4 <= found.interval[1]
    assert covered / count >= 0.95 - 3.3 * math.sqrt(0.95 * 0.05 / count)
    assert covered >= seeds_alone


@pytest.mark.slow
def test_compare_has_both_errors_where_records_or_predictions_are_kept(pare_bench, tmp_path):
    for method in ("linear_probe", "from_scratch"):
        words = ("--task", "satellite", "--preset", "smoke", "--seeds", "0-1", "--out", str(tmp_path))
        code, _, err = pare_bench("run", "--method", method, *words)
        assert code == 0, err
    common = ("compare", "linear_probe", "from_scratch", "--out", str(tmp_path), "--format", "json")

    def compared(*more):
        code, out, err = pare_bench(*common, *more)
        assert code == 0, err
        return json.loads(out), err

    kept, without, sampled = compared()[0], compared("--no-test-sampling")[0], compared("--test-sampling")
    assert "satellite: drawing test examples again" in sampled[1]
    errors = [document["pairs"][0]["sampling_errors"]["satellite"] for document in (kept, without, sampled[0])]
    assert errors[1] is None
    assert 0 < errors[0] < 0.2
    # The records have the first 24 of the same 200 resamples.
    assert errors[0] == pytest.approx(errors[2], rel=0.5)
    records = list(Store(tmp_path).records())
    registry = Registry.from_environment()
    again = [TestSampling(registry, tmp_path)(record) for record in records]
    for record, values in zip(records, again, strict=True):
        assert len(record.resampled) == RECORDED
        assert record.resampled == pytest.approx(values[:RECORDED], rel=1e-6)
    assert [document["test_sampling"] for document in (kept, without, sampled[0])] == [False, False, True]
    widths = [document["pairs"][0]["intervals"]["satellite"] for document in (kept, without)]
    assert widths[0] != widths[1]
    assert kept["pairs"][0]["effect"] == without["pairs"][0]["effect"]
    assert "by more than its 95% interval over seeds and test examples" in pare_bench(*common[:-2])[1]
    text = pare_bench(*common[:-2], "--test-sampling")[1]
    assert "| difference | task | mean | error by seeds | by test examples | of both |" in text
    # The same again; without predictions it is said, and the intervals are those of the seeds.
    assert compared("--test-sampling")[0] == sampled[0]
    for path in (tmp_path / "predictions").glob("*.npz"):
        path.unlink()
    assert "satellite: without the choice of test examples: " in compared("--test-sampling")[1]
    # What records keep needs neither predictions nor data.
    assert compared()[0] == kept
    # A record from before they were kept: intervals of the task are those of the seeds again.
    older = records[0].model_copy(update={"resampled": None})
    Store(tmp_path).save(older)
    assert compared()[0]["pairs"][0] == without["pairs"][0]
