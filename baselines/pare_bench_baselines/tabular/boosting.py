"""Gradient-boosted trees: XGBoost, LightGBM and CatBoost (extra ``tabular``), each a recorded skip where it is not installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench_baselines.tabular.rows import Rows, TablePredictor
from pare_bench_baselines.tabular.search import SearchedMethod, log_uniform


class XGBoost(SearchedMethod):
    """XGBoost (Chen & Guestrin, KDD 2016), histogram trees; default: 100 trees of depth 6, rate 0.3."""

    library: ClassVar[str] = "xgboost"

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw trees, rate, size, sampling and penalties."""
        return {
            "n_estimators": int(rng.integers(50, 301)),
            "learning_rate": log_uniform(rng, 0.02, 0.3),
            "max_depth": int(rng.integers(2, 9)),
            "min_child_weight": log_uniform(rng, 0.3, 10),
            "subsample": float(rng.uniform(0.5, 1)),
            "colsample_bytree": float(rng.uniform(0.4, 1)),
            "reg_lambda": log_uniform(rng, 1e-2, 10),
        }

    def model(self, rows: Rows, values: Mapping[str, Any], seed: int, threads: int) -> TablePredictor:
        """Boost."""
        import xgboost

        model = xgboost.XGBClassifier(tree_method="hist", random_state=seed, n_jobs=threads, verbosity=0, **values)
        model.fit(rows.features, rows.labels, sample_weight=rows.weights)
        # A line of the dump is a node: a split with its threshold, or a leaf with its value.
        nodes = sum(tree.count("\n") for tree in model.get_booster().get_dump())
        return TablePredictor(rows, model.predict_proba, nodes)


class LightGbm(SearchedMethod):
    """LightGBM (Ke et al., NeurIPS 2017); default: 100 trees of 31 leaves, rate 0.1."""

    library: ClassVar[str] = "lightgbm"

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw trees, rate, size, sampling and penalties."""
        return {
            "n_estimators": int(rng.integers(50, 301)),
            "learning_rate": log_uniform(rng, 0.02, 0.3),
            "num_leaves": int(rng.integers(4, 64)),
            "min_child_samples": int(rng.integers(2, 31)),
            "subsample": float(rng.uniform(0.5, 1)),
            "subsample_freq": 1,
            "colsample_bytree": float(rng.uniform(0.4, 1)),
            "reg_lambda": log_uniform(rng, 1e-2, 10),
        }

    def model(self, rows: Rows, values: Mapping[str, Any], seed: int, threads: int) -> TablePredictor:
        """Boost."""
        import lightgbm

        model = lightgbm.LGBMClassifier(random_state=seed, n_jobs=threads, verbose=-1, deterministic=True, force_row_wise=True, **values)
        model.fit(rows.features, rows.labels, sample_weight=rows.weights)
        booster = model.booster_

        def probabilities(features: NDArray[np.float32]) -> NDArray[np.floating]:
            found = np.asarray(booster.predict(features))
            return found if found.ndim == 2 else np.stack([1 - found, found], axis=1)

        leaves = sum(int(tree["num_leaves"]) for tree in booster.dump_model()["tree_info"])
        # A tree of n leaves has n - 1 splits.
        return TablePredictor(rows, probabilities, 2 * leaves - booster.num_trees())


class CatBoost(SearchedMethod):
    """CatBoost (Prokhorenkova et al., NeurIPS 2018) on the same one-hot columns as the others; 300 trees, default depth 6 and rate by its own rule.

    The library's default of 1000 trees would take ten times the time of the others.
    """

    library: ClassVar[str] = "catboost"

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw rate, depth, sampling and penalty."""
        return {
            "iterations": int(rng.integers(50, 301)),
            "learning_rate": log_uniform(rng, 0.02, 0.3),
            "depth": int(rng.integers(2, 8)),
            "l2_leaf_reg": log_uniform(rng, 0.3, 30),
            "random_strength": float(rng.uniform(0, 2)),
        }

    def model(self, rows: Rows, values: Mapping[str, Any], seed: int, threads: int) -> TablePredictor:
        """Boost."""
        import catboost

        model = catboost.CatBoostClassifier(
            **{"iterations": 300, **values}, random_seed=seed, thread_count=threads, verbose=False, allow_writing_files=False
        )
        model.fit(rows.features, rows.labels, sample_weight=rows.weights)
        return TablePredictor(rows, model.predict_proba, int(np.size(model.get_leaf_values())))
