"""The second floor of fields that evolve, as a method, so that it stands in every table."""

from __future__ import annotations

from pare_bench.contracts.method import Context, Method, Predictor, TrainData
from pare_bench.scoring.floor import PersistencePredictor, persists


class Persistence(Method):
    """Nothing changes: the fields of the input are the prediction."""

    def skip_reason(self, data: TrainData) -> str | None:
        """Return why there is nothing to persist, or None."""
        return None if persists(data.target) else "the target is not a field that the input shows at an earlier time"

    def fit(self, data: TrainData, context: Context) -> Predictor:  # noqa: ARG002 - nothing random, nothing trained
        """Return the persistence predictor."""
        return PersistencePredictor(data.target)
