"""The training loop: schedule, accumulation, the best state, divergence, golden losses."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from pare_bench.config import Budget, Recipe
from pare_bench.contracts.task import Split
from pare_bench.errors import TrainingDivergedError
from pare_bench.optimisation import build_optimiser, rate_factor
from pare_bench.progress import Silent
from pare_bench.training import LoopServices, Objective, train


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


def test_every_example_once_per_epoch_and_progress_by_epoch():
    objective = Regression()
    history = run(objective)
    assert [count for count, _ in objective.seen] == [8, 8, 4] * 3
    assert [progress for _, progress in objective.seen] == [0.0] * 3 + [1 / 3] * 3 + [2 / 3] * 3
    assert (history.steps, history.examples, history.stopped) == (9, 60, "epochs")


def test_the_state_of_the_best_validation_epoch_is_kept():
    objective = Regression()
    weights, scores = [], iter([3.0, 1.0, 2.0])

    def validate():
        weights.append(objective.linear.weight.detach().clone())
        return next(scores)

    history = run(objective, validate=validate)
    assert history.best_epoch == 2
    assert torch.equal(objective.linear.weight, weights[1])
    assert [point.validation for point in history.curve] == [3.0, 1.0, 2.0]


def test_maximised_metrics_keep_the_largest():
    scores = iter([0.1, 0.9, 0.5])
    assert run(Regression(), validate=lambda: next(scores), direction="maximise").best_epoch == 2


def test_patience_and_max_steps_stop_early():
    scores = iter([1.0, 2.0, 3.0, 4.0])
    history = run(Regression(), budget=Budget(epochs=9, patience=2), validate=lambda: next(scores))
    assert (len(history.curve), history.stopped, history.best_epoch) == (3, "patience", 1)
    history = run(Regression(), budget=Budget(epochs=9, max_steps=4))
    assert (history.steps, history.stopped) == (4, "max_steps")


def test_accumulated_micro_batches_equal_one_large_batch():
    large = Regression(torch.float64)
    run(large, Recipe(batch_size=10, accumulation=1))
    split = Regression(torch.float64)
    run(split, Recipe(batch_size=5, accumulation=2))
    torch.testing.assert_close(split.linear.weight, large.linear.weight, rtol=1e-12, atol=1e-12)


def test_nan_loss_and_nan_score_are_divergence():
    broken = data()
    broken.targets[3] = np.nan
    with pytest.raises(TrainingDivergedError, match="training loss became nan in epoch 1"):
        run(Regression(), split=broken)
    with pytest.raises(TrainingDivergedError, match="validation error became inf"):
        run(Regression(), validate=lambda: math.inf)


def test_rates_follow_warm_up_and_schedule():
    recipe = Recipe(warmup=0.1, schedule="cosine")
    factors = [rate_factor(recipe, step, 100) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[10:]))
    assert rate_factor(Recipe(warmup=0, schedule="linear"), 25, 100) == 0.75
    assert rate_factor(Recipe(warmup=0, schedule="constant"), 99, 100) == 1.0


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)])
def test_optimisers_decay_matrices_only(name, kind):
    module = nn.Linear(2, 3)
    optimiser = build_optimiser(list(module.parameters()), Recipe(optimiser=name, weight_decay=0.3))
    assert type(optimiser) is kind
    assert [(group["weight_decay"], [p.ndim for p in group["params"]]) for group in optimiser.param_groups] == [(0.3, [2]), (0.0, [1])]


def test_three_golden_steps_stay_as_they_are():
    """Written down once; a refactoring that moves these numbers has changed the training."""
    objective = Regression(torch.float64)
    losses = []
    objective.register_forward_hook(lambda module, inputs, output: losses.append(output.item()))
    run(objective, Recipe(batch_size=8, learning_rate=0.05), Budget(epochs=1))
    assert losses == pytest.approx(GOLDEN, rel=1e-12)


GOLDEN = [3.5461239082410496, 6.600006439001741, 0.7645360831184235]
