"""Recipes: rates, optimisers, accumulation as published and as released, and which weights move."""

from __future__ import annotations

import itertools
import json
import math
from importlib.resources import files

import numpy as np
import pytest
import torch
from regression import Regression, data, run
from torch import nn

from pare_bench.builtin.backbones.language import NanoText
from pare_bench.builtin.backbones.swin import HuggingFaceSwin, NanoSwin
from pare_bench.builtin.backbones.vision_transformer import TimmVision
from pare_bench.config.run_config import Budget, Recipe
from pare_bench.errors import UsageError
from pare_bench.model.trained import restrict
from pare_bench.seeds import stream
from pare_bench.training.loop import Objective
from pare_bench.training.optimisation import Plan, build_optimiser, rate_factor


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


def published_schedules():
    methods = json.loads(files("pare_bench").joinpath("data/hyperparameters.json").read_text())["methods"]
    return [(method, task, entry) for method, tasks in methods.items() for task, entry in tasks["tasks"].items()]


def test_published_schedules_end_at_their_published_factor():
    """Warm-up and decay in epochs become shares of the run; the factor after the last step is the one in the published tables."""
    checked = 0
    for method, task, entry in published_schedules():
        scheduler, epochs = entry["scheduler"], entry["epochs"]
        if scheduler.get("lr_factor_at_end") is None:
            continue
        per_epoch = 37
        recipe = Recipe(
            schedule="linear", accumulate="released", warmup=scheduler["warmup_epochs"] / epochs, decay_end=scheduler["decay_epochs"] / epochs
        )
        ticks = epochs * per_epoch
        assert rate_factor(recipe, ticks, ticks) == pytest.approx(scheduler["lr_factor_at_end"], abs=5e-7), (method, task)
        warmup, decay = scheduler["warmup_epochs"] * per_epoch, scheduler["decay_epochs"] * per_epoch
        released = [tick / warmup if tick < warmup else (decay - tick) / (decay - warmup) for tick in range(ticks)]
        assert [rate_factor(recipe, tick, ticks) for tick in range(ticks)] == pytest.approx(released, abs=1e-9), (method, task)
        checked += 1
    assert checked >= 20


def test_cifar100_keeps_72_percent_of_its_rate():
    assert rate_factor(Recipe(schedule="linear", warmup=5 / 60, decay_end=200 / 60), 6000, 6000) == pytest.approx(140 / 195)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_rate_never_becomes_negative(schedule):
    recipe = Recipe(schedule=schedule, warmup=0.1, decay_end=0.5)
    factors = [rate_factor(recipe, step, 100) for step in range(100)]
    assert factors[50:] == [0.0] * 50
    assert all(factor > 0 for factor in factors[:50])


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)])
def test_betas_and_decay_of_everything(name, kind):
    module = nn.Linear(2, 3)
    optimiser = build_optimiser(list(module.parameters()), Recipe(optimiser=name, weight_decay=0.3, decayed="all", betas=(0.9, 0.98)))
    assert type(optimiser) is kind
    assert [(group["weight_decay"], group["betas"]) for group in optimiser.param_groups] == [(0.3, (0.9, 0.98))] * 2


@pytest.mark.parametrize("name", ["adam", "sgd", "adamw"])
def test_only_adamw_decouples_decay_from_the_gradient(name):
    weight = nn.Parameter(torch.tensor([[2.0]], dtype=torch.float64))
    recipe = Recipe(optimiser=name, learning_rate=0.1, weight_decay=0.5, momentum=0.9)
    optimiser = build_optimiser([weight], recipe)
    weight.grad = torch.tensor([[1.0]], dtype=torch.float64)
    optimiser.step()
    coupled = 1.0 + 0.5 * 2.0
    # The first step of Adam is the rate times the sign of its gradient.
    expected = {"sgd": 2.0 - 0.1 * coupled, "adam": 2.0 - 0.1, "adamw": 2.0 * (1 - 0.1 * 0.5) - 0.1}[name]
    assert weight.item() == pytest.approx(expected, abs=1e-7)
    weight.grad = torch.tensor([[-1.2]], dtype=torch.float64)
    before = weight.item()
    optimiser.step()
    if name == "adam":
        first, second = 2.0, -1.2 + 0.5 * before
        mean = (0.9 * 0.1 * first + 0.1 * second) / (1 - 0.9**2)
        square = (0.999 * 0.001 * first**2 + 0.001 * second**2) / (1 - 0.999**2)
        assert weight.item() == pytest.approx(before - 0.1 * mean / math.sqrt(square), abs=1e-6)


def gradient(weight, bias, split):
    """d/d(weight, bias) of the mean squared error, by hand."""
    inputs, targets = split.inputs.astype(np.float64), split.targets.astype(np.float64)
    error = inputs @ weight + bias - targets
    return np.append(2 * (error[:, None] * inputs).mean(0), 2 * error.mean()), (error**2).mean()


@pytest.mark.parametrize("clip", [None, 0.7])
@pytest.mark.parametrize(("examples", "batch", "accumulation"), [(20, 4, 2), (22, 4, 3), (12, 5, 1)])
def test_released_accumulation_by_hand(examples, batch, accumulation, clip):
    """T1 to T5 of the list of defects: summed losses, clipped after every micro-batch, left-overs dropped, rate per micro-batch from 0."""
    epochs, rate, momentum = 3, 0.05, 0.9
    recipe = Recipe(
        optimiser="sgd",
        learning_rate=rate,
        momentum=momentum,
        weight_decay=0,
        batch_size=batch,
        accumulation=accumulation,
        accumulate="released",
        clip_norm=clip,
        schedule="linear",
        warmup=1 / 3,
        decay_end=2.0,
    )
    objective, split = Regression(torch.float64), data(examples)
    parameters = np.append(objective.linear.weight.detach().numpy()[0], objective.linear.bias.item())
    history = run(objective, recipe, Budget(epochs=epochs, keep="last"), split=split)

    per_epoch = -(-examples // batch)
    warmup, decay = per_epoch, 2 * epochs * per_epoch
    velocity, tick, steps, told = np.zeros(4), 0, 0, []
    for epoch in range(epochs):
        order = stream("test", 0, "order", epoch).permutation(examples)
        summed, losses = np.zeros(4), []
        for number in range(per_epoch):
            micro, loss = gradient(parameters[:3], parameters[3], split.take(order[number * batch : (number + 1) * batch]))
            summed = summed + micro
            if clip is not None:
                summed = summed * min(1.0, clip / (np.linalg.norm(summed) + 1e-6))
            losses.append(loss)
            if (number + 1) % accumulation == 0:
                factor = tick / warmup if tick < warmup else (decay - tick) / (decay - warmup)
                velocity = momentum * velocity + summed
                parameters = parameters - rate * factor * velocity
                told.append(np.mean(losses))
                summed, losses, steps = np.zeros(4), [], steps + 1
            tick += 1
    np.testing.assert_allclose(np.append(objective.linear.weight.detach().numpy()[0], objective.linear.bias.item()), parameters, rtol=1e-9)
    assert history.steps == steps == epochs * (per_epoch // accumulation)
    assert history.curve[-1].train_loss == pytest.approx(np.mean(told[-(per_epoch // accumulation) :]), rel=1e-6)


def test_the_released_warm_up_starts_at_exactly_zero():
    recipe = Recipe(optimiser="sgd", learning_rate=0.1, accumulate="released", batch_size=20, warmup=0.5, momentum=0.0)
    objective = Regression(torch.float64)
    before, after = objective.linear.weight.detach().clone(), []

    def validate():
        after.append(objective.linear.weight.detach().clone())
        return 1.0

    run(objective, recipe, Budget(epochs=2, keep="last"), validate=validate)
    assert torch.equal(after[0], before)
    assert not torch.equal(after[1], before)


def test_left_overs_that_would_be_everything_are_refused():
    with pytest.raises(UsageError, match=r"recipe.accumulation = 4 is more than the 3 micro-batches"):
        run(Regression(), Recipe(batch_size=8, accumulation=4, accumulate="released"))


def test_steps_and_ticks_of_both_ways_to_accumulate():
    mean = Plan.of(20, Recipe(batch_size=4, accumulation=2), Budget(epochs=3))
    assert (mean.steps_per_epoch, mean.total_steps, mean.ticks, [mean.tick(step) for step in range(4)]) == (3, 9, 9, [0, 1, 2, 3])
    released = Recipe(batch_size=4, accumulation=2, accumulate="released")
    plan = Plan.of(20, released, Budget(epochs=3))
    assert (plan.steps_per_epoch, plan.total_steps, plan.ticks, [plan.tick(step) for step in range(6)]) == (2, 6, 15, [1, 3, 6, 8, 11, 13])
    assert Plan.of(20, released, Budget(epochs=3, max_steps=3)).ticks == 5 + 2
    short = Plan.of(20, released, Budget(epochs=3, epoch_steps=1))
    assert (short.steps_per_epoch, short.total_steps, short.ticks, [short.tick(step) for step in range(3)]) == (1, 3, 6, [1, 3, 5])
    assert Plan.of(20, released, Budget(epochs=3, epoch_steps=2)) == plan


def test_the_last_state_is_kept_where_the_budget_says_so():
    objective = Regression()
    weights, scores = [], iter([3.0, 1.0, 2.0])

    def validate():
        weights.append(objective.linear.weight.detach().clone())
        return next(scores)

    history = run(objective, validate=validate, budget=Budget(epochs=3, keep="last"))
    assert history.best_epoch == 3
    assert torch.equal(objective.linear.weight, weights[2])


class Fit(Objective):
    """Moves every weight of a body that has tokens for input."""

    def __init__(self, body, tokens):
        super().__init__()
        self.body, self.head = body, nn.Linear(body.feats, 1)
        self.tokens = tokens

    def forward(self, batch, progress):
        return self.head(self.body(self.tokens[: len(batch.inputs)])).square().mean() * 100


def build_body(name):
    torch.manual_seed(0)
    match name:
        case "nano_swin":
            return NanoSwin(NanoSwin.Params(stages="all"))
        case "nano_text":
            return NanoText()
        case "timm":
            return TimmVision(TimmVision.Params(model="test_vit", image_size=64))
        case _:
            return HuggingFaceSwin(HuggingFaceSwin.Params(model="microsoft/swin-tiny-patch4-window7-224", pretrained=False))


@pytest.mark.parametrize("name", ["nano_swin", "nano_text", "timm", "hf_swin"])
@pytest.mark.parametrize("trained", ["norms", "values"])
def test_only_what_the_recipe_trains_moves(name, trained):
    body = build_body(name)
    restrict(body, trained)
    before = {key: value.detach().clone() for key, value in body.named_parameters()}
    tokens = torch.randn(2, math.prod(body.grid) if body.out_grid else 7, body.dim)
    recipe = Recipe(batch_size=2, learning_rate=0.01, weight_decay=0.5, decayed="all", warmup=0.0)
    objective = Fit(body, tokens)
    head = objective.head.weight.detach().clone()
    run(objective, recipe, Budget(epochs=2, keep="last"), split=data(2))
    assert not torch.equal(objective.head.weight, head)
    kinds = set()
    for key, value in body.named_parameters():
        same = torch.equal(value, before[key])
        words = key.split(".")
        if "embed" in key and same:
            continue  # the source's embedder, which these tokens do not pass
        if trained == "norms":
            is_norm = "norm" in key.lower()
            assert same or is_norm, key
            kinds.add(("norm", same))
        elif "qkv" in words:
            third = len(value) // 3
            assert torch.equal(value[: 2 * third], before[key][: 2 * third]), key
            assert not torch.equal(value[2 * third :], before[key][2 * third :]), key
            kinds.add("joint")
        elif {"query", "key", "q_proj", "k_proj"} & set(words):
            assert same, key
            kinds.add("separate")
        else:
            assert not same, key
            kinds.add("other")
    if trained == "norms":
        assert ("norm", False) in kinds
    else:
        assert kinds == {"other", "joint" if name in ("nano_swin", "timm") else "separate"}


def test_a_body_without_attention_cannot_train_its_values():
    with pytest.raises(UsageError, match="no queries and keys were found in the body 'Linear'"):
        restrict(nn.Linear(2, 2), "values")


def test_a_budget_says_epoch_steps_only_where_they_are_set():
    """Runs without them keep the text that is hashed, and with it the ids that records from before the field have."""
    assert "epoch_steps" not in Budget(epochs=3).model_dump(mode="json")
    short = Budget(epochs=3, epoch_steps=7)
    assert Budget.model_validate_json(short.model_dump_json()) == short != Budget(epochs=3)
