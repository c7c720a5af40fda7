"""The floor as a method, so that it stands in every table."""

from __future__ import annotations

from pare_bench.contracts.method import Context, Method, Predictor, TrainData
from pare_bench.scoring.floor import ConstantPredictor


class Constant(Method):
    """Majority class, label prior, mean field or median distance map of the training split."""

    def fit(self, data: TrainData, context: Context) -> Predictor:  # noqa: ARG002 - nothing random, nothing trained
        """Return the constant predictor."""
        return ConstantPredictor(data.target, data.train)
