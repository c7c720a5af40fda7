"""The floor as a method, so that it stands in every table."""

from __future__ import annotations

from pare_bench.contracts.method import Method, Predictor, TrainData
from pare_bench.scoring.floor import ConstantPredictor
from pare_bench.training.context import Context


class Constant(Method):
    """Majority class, label prior, mean field or median distance map of the training split."""

    def fit(self, data: TrainData, context: Context) -> Predictor:  # noqa: ARG002 - nothing random, nothing trained
        """Return the constant predictor."""
        return ConstantPredictor(data.target, data.train)
