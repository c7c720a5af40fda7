"""The tuning that every specialist gets, the same for all: a few random configurations, the best on validation is kept."""

from __future__ import annotations

import importlib.util
import math
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import numpy as np
import torch
from pydantic import Field

from pare_bench.contracts.method import Context, Method, Predictor, TrainData
from pare_bench.contracts.params import Params
from pare_bench.seeds import stream, stream_seed
from pare_bench.training.loop import CurvePoint, History
from pare_bench_baselines.tabular.rows import Rows, TablePredictor, not_a_table, scored


def not_installed(module: str, extra: str) -> str | None:
    """Return that ``module`` is not there and how to have it, None where it is; does not import it."""
    if importlib.util.find_spec(module) is not None:
        return None
    return f"'{module}' is not installed: pip install 'pare-bench[{extra}]'"


class SearchedMethod(Method):
    """A model of tables with ``trials`` configurations: the first is the library's default, the others are drawn from :meth:`draw`.

    Each is fitted to the training split with the task's class weights and scored on the validation split by the task's primary metric; the best is
    the predictor. Nothing is fitted to the validation split, as with the networks, and no fit stops early on it, so all specialists see it
    ``trials`` times.
    """

    class Params(Params):
        """Parameters of every searched method."""

        trials: int = Field(10, ge=1, description="configurations tried, the default one among them; the best on validation is kept")

    params: SearchedMethod.Params
    preset_params: ClassVar[Mapping[str, Mapping[str, object]]] = {"smoke": {"trials": 2}}
    released: ClassVar[Mapping[str, object]] = {}
    #: Module that does the work, and what to install where it is missing.
    library: ClassVar[str] = "sklearn"
    extra: ClassVar[str] = "tabular"

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw a configuration."""

    @abstractmethod
    def model(self, rows: Rows, values: Mapping[str, Any], seed: int, threads: int) -> TablePredictor:
        """Fit a model with the configuration ``values``, empty for the library's default."""

    def skip_reason(self, data: TrainData) -> str | None:
        """Return that the task is no table, or the library is not installed."""
        reason = not_a_table(data)
        return reason if reason is not None else not_installed(self.library, self.extra)

    def fit(self, data: TrainData, context: Context) -> Predictor:
        """Try the configurations and return the best one's model; stage ``search`` of the record holds the scores, one trial for an epoch."""
        began = time.perf_counter()
        rows = Rows.of(data)
        history = History(steps=self.params.trials)
        context.reporter.stage("search", self.params.trials)
        best: tuple[float, TablePredictor] | None = None
        for trial in range(self.params.trials):
            rng = stream(*context.words("configuration", trial))
            seed = stream_seed(*context.words("model", trial)) % 2**31
            candidate = self.model(rows, self.draw(rng) if trial else {}, seed, torch.get_num_threads())
            score = scored(data, candidate.predict(data.val.inputs), data.val)
            if math.isfinite(score):
                history.curve.append(CurvePoint(trial + 1, trial + 1, score, score))
            if best is None or score < best[0]:
                best, history.best_epoch = (score, candidate), trial + 1
            context.reporter.advance(1, score)
        history.seconds = time.perf_counter() - began
        context.histories["search"] = history
        return cast("tuple[float, TablePredictor]", best)[1]


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
