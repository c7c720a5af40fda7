"""The two specialists of scikit-learn: a random forest and a logistic regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pare_bench_baselines.tabular.rows import Rows, TablePredictor
from pare_bench_baselines.tabular.search import SearchedMethod, log_uniform


class RandomForest(SearchedMethod):
    """Random forest (Breiman 2001), 300 trees."""

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw size of leaves, depth, features of a split and criterion."""
        return {
            "min_samples_leaf": int(rng.integers(1, 11)),
            "max_depth": [None, 4, 8, 16][int(rng.integers(4))],
            "max_features": float(rng.uniform(0.1, 1.0)),
            "criterion": ["gini", "entropy"][int(rng.integers(2))],
        }

    def model(self, rows: Rows, values: Mapping[str, Any], seed: int, threads: int) -> TablePredictor:
        """Grow the trees."""
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(n_estimators=300, random_state=seed, n_jobs=threads, **values)
        forest.fit(rows.features, rows.labels, sample_weight=rows.weights)
        return TablePredictor(rows, forest.predict_proba, sum(int(tree.tree_.node_count) for tree in forest.estimators_))


class LogisticRegression(SearchedMethod):
    """Multinomial logistic regression with an L2 penalty; the default has C = 1."""

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw the strength of the penalty."""
        return {"C": log_uniform(rng, 1e-4, 1e3)}

    def model(self, rows: Rows, values: Mapping[str, Any], seed: int, threads: int) -> TablePredictor:  # noqa: ARG002 - one thread, nothing random
        """Minimise the penalised loss (L-BFGS, at most 5000 steps)."""
        from sklearn.linear_model import LogisticRegression as Model

        model = Model(max_iter=5000, **values).fit(rows.features, rows.labels, sample_weight=rows.weights)
        return TablePredictor(rows, model.predict_proba, int(model.coef_.size + model.intercept_.size))
