"""A simulated table of any size and shape: for tests and for trying methods on tables; in no suite."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from pare_bench.builtin.suites.openml.tasks import TABLE_METRICS
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import SPLIT_NAMES, Classes, InputShape, Split, Splits, Task, TaskSize
from pare_bench.datasets.table_encoding import FIRST_CATEGORY, encode_features
from pare_bench.seeds import stream
from pare_bench.simulators.causal_tables import draw_model


class CausalTable(Task):
    """Rows of a random structural causal model -> three classes; metrics, loss and encoding as the tables of OpenML.

    See :mod:`pare_bench.simulators.causal_tables` for the model. It is drawn once for a data seed, with its rows, and scale and categories are
    fitted on the training rows. Left out: values that are missing for a reason, errors in labels, time, rows that depend on each other.
    """

    class Params(Params):
        """Size and shape of the table."""

        features: int = Field(12, ge=1, description="columns")
        categorical: int = Field(4, ge=0, description="how many of the columns are categories")
        categories: int = Field(5, ge=2, description="largest number of categories of a column")
        missing: float = Field(0.05, ge=0, lt=1, description="share of values that are missing")
        noise: float = Field(0.5, ge=0, description="deviation of each variable's own noise; what its causes say has about 1")

        @model_validator(mode="after")
        def _fits(self) -> CausalTable.Params:
            if self.categorical > self.features:
                raise ValueError(f"{self.categorical} of {self.features} columns cannot be categories")
            return self

    params: CausalTable.Params
    name = "causal_table"
    version = 1
    inputs = InputShape(FIRST_CATEGORY + 5, (12,), table=True)
    target = Classes(3, balanced=True)
    metrics = TABLE_METRICS
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 200, 400)}

    def __init__(self, params: Params | None = None) -> None:
        super().__init__(params)
        self._slots = self.params.categories if self.params.categorical else 0
        self.inputs = InputShape(FIRST_CATEGORY + self._slots, (self.params.features,), table=True)

    def generated(self, seed: int, size: TaskSize) -> Splits:
        """Draw a model and as many rows of it as all splits have."""
        rng = stream(self.name, self.version, seed)
        asked = self.params
        model = draw_model(
            rng,
            features=asked.features,
            categorical=asked.categorical,
            categories=asked.categories,
            classes=self.target.num,
            missing=asked.missing,
            noise=asked.noise,
        )
        counts = [getattr(size, name) for name in SPLIT_NAMES]
        table = model.sample(sum(counts), rng)
        inputs = encode_features(table, np.arange(counts[0]), self._slots)
        parts, start = [], 0
        for count in counts:
            parts.append(Split(inputs[start : start + count], table.labels[start : start + count]))
            start += count
        return Splits(*parts)
