"""Every number of ``compare --stats all`` again, from the files of the records by json, numpy, scipy and statsmodels alone.

A sample here; ``PARE_BENCH_PROOFS=long`` takes all methods of all suites and both tracks.
"""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from pare_bench.comparison.compare import compare
from pare_bench.comparison.tables import as_json
from pare_bench.leaderboard.build import build
from pare_bench.records.store import Store

RECORDS = Path(__file__).parents[2] / "leaderboard"
LONG = os.environ.get("PARE_BENCH_PROOFS") == "long"
SEVEN = ["orca", "full_finetune", "from_scratch", "frozen_random", "linear_probe", "hand_designed", "pare"]
TABLES = [name for name in SEVEN if name != "hand_designed"]
CASES = [
    ("nas360", "clean", SEVEN),
    ("nas360", "paper", ["orca", "full_finetune", "pare"]),
    ("pdebench", "clean", SEVEN),
    ("openml", "clean", [*TABLES, "logistic_regression", "random_forest", "xgboost", "lightgbm", "catboost"]),
]


class Checked:
    """Numbers that were compared, and those that differ."""

    def __init__(self):
        self.count, self.wrong = 0, []

    def same(self, said, expected, *where, tolerance=1e-9):
        self.count += 1
        if expected is None or said is None:
            equal = said is None and expected is None
        else:
            equal = math.isclose(said, expected, rel_tol=tolerance, abs_tol=1e-12)
        if not equal:
            self.wrong.append((where, said, expected))


def scores_of(suite, track, methods):
    """``[task][method][seed] = score``, the floor of each task, and ``[task][method] = [seed resample]``, from the files."""
    found, floors, drawn = defaultdict(lambda: defaultdict(dict)), {}, defaultdict(lambda: defaultdict(dict))
    for method in methods:
        for path in RECORDS.glob(f"records/{suite}/*/{method}/*.json"):
            record = json.loads(path.read_text("utf-8"))
            if record["track"] != track or record["status"] != "ok" or record["task"]["tier"] == "official":
                continue
            (metric,) = (each for each in record["metrics"] if each["primary"])
            assert metric["direction"] == "minimise"
            assert record["seed"] not in found[record["task"]["name"]][method], "one run of each setting"
            found[record["task"]["name"]][method][record["seed"]] = metric["value"]
            floors[record["task"]["name"]] = record["floor"]
            drawn[record["task"]["name"]][method][record["seed"]] = record.get("resampled")
    resampled = {task: {method: _stacked(seeds) for method, seeds in methods.items()} for task, methods in drawn.items()}
    return found, floors, resampled


def _stacked(seeds):
    """Resampled scores ``[seed resample]`` in the order of seeds, None where a record has none."""
    values = [seeds[seed] for seed in sorted(seeds)]
    return None if any(not value for value in values) else np.array(values, dtype=float)


def error_of(values, drawn):
    """Standard error of a mean over seeds and its degrees of freedom, with the choice of test examples in it where its resamples are known.

    ``values`` are scores, or their differences, by seed; ``drawn`` the same ``[seed resample]``. Variances add; Satterthwaite (1946).
    """
    spread = values.std(ddof=1) if np.ptp(values) > 1e-9 * np.abs(values).max() else 0.0
    by_seeds, freedom = spread / math.sqrt(len(values)), len(values) - 1
    if drawn is None:
        return by_seeds, freedom
    by_examples = drawn.mean(axis=0).std(ddof=1)
    error = math.hypot(by_seeds, by_examples)
    if error:
        freedom = error**4 / (by_seeds**4 / freedom + by_examples**4 / (drawn.shape[1] - 1))
    return error, freedom


def half_of(values, drawn):
    """Half the width of the 95% interval."""
    error, freedom = error_of(values, drawn)
    return scipy.stats.t.ppf(0.975, freedom) * error


def signed_rank(differences):
    """The exact p by all signs, sizes that are equal to nine digits of the scale sharing ranks."""
    kept = np.array([value for value in differences if abs(value) > 1e-9])
    ranks = scipy.stats.rankdata(np.round(np.abs(kept), 9))
    weights = np.array([1.0])
    for rank in np.round(2 * ranks).astype(int):
        weights = np.concatenate([weights, np.zeros(rank)]) + np.concatenate([np.zeros(rank), weights])
    low = min(ranks[kept > 0].sum(), ranks[kept < 0].sum())
    return min(1.0, 2 * weights[: round(2 * low) + 1].sum() / weights.sum())


@pytest.mark.parametrize(("suite", "track", "methods"), CASES if LONG else CASES[:2])
def test_all_numbers_are_found_again(suite, track, methods):
    records = [record for record in Store(RECORDS).records() if record.suite == suite and record.task.tier != "official"]
    document = as_json(compare(records, methods, suite, track=track, preset="cpu", stats="all"))
    scores, floors, resampled = scores_of(suite, track, methods)
    # Where a run of a task has no resamples, the intervals of that task are over seeds.
    resampled = {task: drawn if all(each is not None for each in drawn.values()) else dict.fromkeys(drawn) for task, drawn in resampled.items()}
    checked = Checked()
    tasks = [row["task"] for row in document["tasks"]]
    assert set(tasks) == set(scores)
    means = np.array([[np.mean(list(scores[task][method].values())) for method in methods] for task in tasks])
    ranks = scipy.stats.rankdata(np.round(means / np.abs(means).max(axis=1, keepdims=True).clip(1e-300), 9), axis=1)
    gains = 1 - means / np.array([[floors[task]] for task in tasks])
    for place, row in enumerate(document["tasks"]):
        task = row["task"]
        _check_row(checked, row, scores[task], resampled[task], means[place], ranks[place], gains[place], methods, floors[task])
    for column, method in enumerate(methods):
        checked.same(document["mean_ranks"][method], ranks[:, column].mean(), method, "mean rank")
        checked.same(document["overall"]["gains"][method]["mean"], gains[:, column].mean(), method, "mean gain")
    _check_pairs(checked, document, scores, resampled, means, gains, methods, floors)
    if len(methods) > 2:
        checked.same(document["overall"]["friedman"]["statistic"], scipy.stats.friedmanchisquare(*ranks.T).statistic, "friedman")
    assert not checked.wrong, checked.wrong[:5]
    assert checked.count > 50 * len(methods)


def _check_row(checked, row, scores, drawn, means, ranks, gains, methods, floor):
    leads = min(means)
    for column, method in enumerate(methods):
        said, values = row["methods"][method], np.array([scores[method][seed] for seed in sorted(scores[method])])
        where = (row["task"], method)
        checked.same(said["mean"], values.mean(), *where, "mean")
        checked.same(said["spread"], values.std(ddof=1) if np.ptp(values) > 1e-9 * np.abs(values).max() else 0.0, *where, "spread")
        half = half_of(values, drawn[method])
        checked.same(said["interval"][0], values.mean() - half, *where, "low")
        checked.same(said["interval"][1], values.mean() + half, *where, "high")
        checked.same(said["rank"], ranks[column], *where, "rank")
        checked.same(said["gain"], gains[column], *where, "gain")
    checked.same(row["floor"], floor, row["task"], "floor")
    leaders = [method for column, method in enumerate(methods) if means[column] <= leads * (1 + 1e-9)]
    assert row["leaders"] == leaders
    by_seed = {method: np.array([scores[method][seed] for seed in sorted(scores[method])]) for method in methods}
    first = leaders[0]
    beaten = [method for method in methods if _ahead(by_seed[method] - by_seed[first], _minus(drawn[method], drawn[first]))]
    assert (row["best"] is not None) == (len(leaders) == 1 and len(beaten) == len(methods) - 1)


def _minus(first, second):
    return None if first is None else first - second


def _ahead(differences, drawn):
    return differences.mean() > max(1e-9, half_of(differences, drawn))


def _check_pairs(checked, document, scores, resampled, means, gains, methods, floors):
    tasks = [row["task"] for row in document["tasks"]]
    pairs = list(combinations(methods, 2))
    plain = []
    for said, (first, second) in zip(document["pairs"], pairs, strict=True):
        a, b = methods.index(first), methods.index(second)
        better = gains[:, a] - gains[:, b]
        better[np.abs(means[:, a] - means[:, b]) <= 1e-9 * np.maximum(means[:, a], means[:, b])] = 0.0
        where = (first, second)
        tested = scipy.stats.ttest_1samp(better, 0)
        plain.append(tested.pvalue)
        checked.same(said["effect"]["mean"], better.mean(), *where, "effect")
        for end, value in zip(said["effect"]["interval"], tested.confidence_interval(0.95), strict=True):
            checked.same(end, value, *where, "interval")
        checked.same(said["p"], tested.pvalue, *where, "p")
        checked.same(said["signed_rank"]["p"], signed_rank(better), *where, "signed rank")
        checked.same(said["wins"], int((better > 0.01 + 1e-9).sum()), *where, "wins")
        checked.same(said["losses"], int((better < -0.01 - 1e-9).sum()), *where, "losses")
        for place, task in enumerate(tasks):
            differences = np.array([scores[task][first][seed] - scores[task][second][seed] for seed in sorted(scores[task][first])])
            checked.same(said["differences"][task], means[place, a] - means[place, b] if better[place] else 0.0, *where, task)
            checked.same(said["gains"][task], better[place], *where, task, "gain")
            low, high = said["intervals"][task]
            half = half_of(differences, _minus(resampled[task][first], resampled[task][second]))
            checked.same((high - low) / 2, half, *where, task, "width", tolerance=1e-6)
        errors = [np.std([scores[task][first][seed] - scores[task][second][seed] for seed in scores[task][first]], ddof=1) for task in tasks]
        within = np.mean([(error / floors[task]) ** 2 / 3 for error, task in zip(errors, tasks, strict=True)])
        checked.same(said["effect"]["variance_within_tasks"], within, *where, "within", tolerance=1e-6)
        checked.same(said["effect"]["variance_between_tasks"], max(0.0, better.var(ddof=1) - within), *where, "between", tolerance=1e-6)
    for said, corrected in zip(document["pairs"], multipletests(plain, method="holm")[1], strict=True):
        checked.same(said["p_holm"], corrected, said["first"], said["second"], "holm")


def test_the_leaderboard_has_the_same_means_and_ranks():
    records = [record for record in Store(RECORDS).records() if record.suite == "pdebench"]
    (division,) = build(records)["divisions"]
    ranked = [name for name, method in division["methods"].items() if method["mean_rank"] is not None]
    scores, *_ = scores_of("pdebench", "clean", ranked)
    means = np.array([[np.mean(list(scores[task][name].values())) for name in ranked] for task in sorted(scores)])
    ranks = scipy.stats.rankdata(np.round(means / means.max(axis=1, keepdims=True), 9), axis=1).mean(axis=0)
    assert [division["methods"][name]["mean_rank"] for name in ranked] == pytest.approx(list(ranks))
