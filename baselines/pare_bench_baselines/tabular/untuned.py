"""Two systems that bring their own choice of model: TabPFN, pretrained on simulated tables, and AutoGluon, which ensembles many libraries.

Neither is installed with this package, and neither was run for its documentation (docs/suites/openml.md says which were): the calls are those of
their public interfaces.
"""

from __future__ import annotations

import tempfile
import weakref
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from pare_bench.contracts.method import Context, Method, Predictor, TrainData
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import Classes
from pare_bench.seeds import stream_seed
from pare_bench_baselines.tabular.rows import Rows, TablePredictor, not_a_table
from pare_bench_baselines.tabular.search import not_installed

_TABPFN_CLASSES = 10
_TABPFN_ROWS = 10_000


class TabPfn(Method):
    """TabPFN (Hollmann et al., Nature 2025): a transformer that reads the training rows as context. Nothing is tuned and nothing is weighted.

    Its weights are fetched by its own library at the first call; without network that call fails, and the run with it.
    """

    released: ClassVar = {}

    def skip_reason(self, data: TrainData) -> str | None:
        """Return that the task is no table, is too large, or that the library is not installed."""
        reason = not_a_table(data)
        if reason is None and isinstance(data.target, Classes) and data.target.num > _TABPFN_CLASSES:
            reason = f"takes at most {_TABPFN_CLASSES} classes, task '{data.task}' has {data.target.num}"
        if reason is None and len(data.train) > _TABPFN_ROWS:
            reason = f"takes at most {_TABPFN_ROWS} rows, task '{data.task}' has {len(data.train)}"
        return reason if reason is not None else not_installed("tabpfn", "tabpfn")

    def fit(self, data: TrainData, context: Context) -> Predictor:
        """Give it the training rows."""
        from tabpfn import TabPFNClassifier

        rows = Rows.of(data)
        model = TabPFNClassifier(device=str(context.device), random_state=stream_seed(*context.words("tabpfn")) % 2**31)
        model.fit(rows.features, rows.labels)
        predictor = TablePredictor(rows, model.predict_proba, _weights(model))
        predictor.parameters_trained = 0
        return predictor


class AutoGluon(Method):
    """AutoGluon-Tabular (Erickson et al. 2020): an ensemble of many models within a limit of time, chosen on the validation split.

    Its budget is time, not configurations. It does not say how many parameters its ensemble has: the record has 0.
    """

    class Params(Params):
        """Parameters of ``autogluon``."""

        time_limit_s: int = Field(60, ge=1, description="seconds of search, about what ten configurations of boosting take")

    params: AutoGluon.Params
    released: ClassVar = {}

    def skip_reason(self, data: TrainData) -> str | None:
        """Return that the task is no table, or the library is not installed."""
        reason = not_a_table(data)
        return reason if reason is not None else not_installed("autogluon", "autogluon")

    def fit(self, data: TrainData, context: Context) -> Predictor:  # noqa: ARG002 - the library seeds itself
        """Search for the time that was given."""
        import pandas
        from autogluon.tabular import TabularPredictor

        rows = Rows.of(data)
        names = [f"x{column}" for column in range(rows.features.shape[1])]
        train = pandas.DataFrame(rows.features, columns=names).assign(label=rows.labels)
        known = np.isin(np.asarray(data.val.targets), rows.classes)
        labels = np.searchsorted(rows.classes, np.asarray(data.val.targets)[known])
        val = pandas.DataFrame(rows.matrix(data.val.inputs)[known], columns=names).assign(label=labels)
        folder = tempfile.TemporaryDirectory(prefix="pare-bench-autogluon-")
        metric = "roc_auc" if len(rows.classes) == 2 else "roc_auc_ovo_macro"
        weight = "balance_weight" if isinstance(data.target, Classes) and data.target.balanced else None
        model = TabularPredictor(label="label", eval_metric=metric, sample_weight=weight, path=folder.name, verbosity=0)
        model.fit(train_data=train, tuning_data=val, time_limit=self.params.time_limit_s, num_cpus=torch.get_num_threads())

        def probabilities(features: NDArray[np.float32]) -> NDArray[np.floating]:
            found = model.predict_proba(pandas.DataFrame(features, columns=names))
            return np.asarray(found[sorted(found.columns)])

        predictor = TablePredictor(rows, probabilities, 0)
        # Predictions read from the folder, so it goes when the predictor does.
        weakref.finalize(predictor, folder.cleanup)
        return predictor


def _weights(model: object) -> int:
    """Return how many weights the networks among the attributes of ``model`` have."""
    parts = [part for value in vars(model).values() for part in (value if isinstance(value, list | tuple) else [value])]
    return sum(parameter.numel() for part in parts if isinstance(part, nn.Module) for parameter in part.parameters())
