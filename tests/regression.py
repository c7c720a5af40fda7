"""The smallest training there is: a linear regression whose loop can be followed by hand."""

from __future__ import annotations

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from pare_bench.config.run_config import Budget, Recipe
from pare_bench.contracts.task import Split
from pare_bench.training.loop import LoopServices, Objective, train
from pare_bench.training.progress import Silent


class Regression(Objective):
    def __init__(self, dtype=torch.float32):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 1).to(dtype)
        self.seen: list[tuple[int, float]] = []

    def forward(self, batch, progress):
        self.seen.append((len(batch.inputs), progress))
        inputs = batch.inputs.to(self.linear.weight.dtype)
        return (self.linear(inputs).squeeze(-1) - batch.targets).square().mean()


def data(count=20) -> Split:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(count, 3)).astype(np.float32)
    return Split(inputs, (inputs @ np.array([1.0, -2.0, 0.5], np.float32)).astype(np.float32))


def run(objective, recipe=None, budget=None, validate=None, **options):
    services = LoopServices(("test", 0), Accelerator(cpu=True), Silent())
    return train(
        objective,
        options.pop("split", data()),
        recipe=recipe or Recipe(batch_size=8),
        budget=budget or Budget(epochs=3),
        services=services,
        validate=validate or (lambda: 1.0),
        metric="error",
        **options,
    )
