"""Optimiser, learning rate and the count of steps that a recipe means, without the loop that uses them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pare_bench.config.run_config import Budget, Recipe
from pare_bench.errors import UsageError
from pare_bench.model.trained import held_rows

#: Keeps a whole number of steps whole: 5 / 60 of 6000 is 500, not 499.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Plan:
    """How many steps a recipe makes of a training split, and when the learning rate moves.

    ``accumulate: mean`` steps on the last, smaller group of micro-batches of an epoch, too, and the rate moves once per step. ``released`` drops
    that group, and the rate moves once per micro-batch, dropped ones included (defects T3 and T4 of the released code).

    An epoch of ``budget.epoch_steps`` steps, where that is fewer, has just the micro-batches of these steps: nothing is left over.
    """

    micro_batches: int
    steps_per_epoch: int
    total_steps: int
    ticks: int
    released: bool
    accumulation: int

    @classmethod
    def of(cls, examples: int, recipe: Recipe, budget: Budget) -> Plan:
        """Return the plan for ``examples`` training examples.

        Raises:
            UsageError: ``released`` would drop every micro-batch of an epoch.
        """
        released = recipe.accumulate == "released"
        micro_batches = math.ceil(examples / recipe.batch_size)
        per_epoch = micro_batches // recipe.accumulation if released else math.ceil(micro_batches / recipe.accumulation)
        if per_epoch == 0:
            raise UsageError(
                f"recipe.accumulation = {recipe.accumulation} is more than the {micro_batches} micro-batches of an epoch, and 'released' "
                "drops what is left over: no step would be done",
                hint="-o recipe.accumulate=mean",
            )
        if budget.epoch_steps is not None and budget.epoch_steps < per_epoch:
            per_epoch = budget.epoch_steps
            micro_batches = per_epoch * recipe.accumulation
        total = min(budget.epochs * per_epoch, budget.max_steps or budget.epochs * per_epoch)
        full, rest = divmod(total, per_epoch)
        return cls(
            micro_batches,
            per_epoch,
            total,
            full * micro_batches + rest * recipe.accumulation if released else total,
            released,
            recipe.accumulation,
        )

    def tick(self, step: int) -> int:
        """Return at which tick of the schedule optimiser step ``step`` (from 0) is done."""
        if not self.released:
            return step
        epoch, within = divmod(step, self.steps_per_epoch)
        return epoch * self.micro_batches + (within + 1) * self.accumulation - 1


def rate_factor(recipe: Recipe, tick: int, ticks: int) -> float:
    """Return the learning-rate multiplier of ``tick`` (from 0) of ``ticks``, at least 0.

    The rate rises linearly over ``warmup`` and falls so that it would reach 0 at the share ``decay_end`` of the ticks. With ``accumulate: released``
    the first tick has rate 0 (defect T5).
    """
    warmup = int(recipe.warmup * ticks + _ROUNDING)
    if tick < warmup:
        return tick / warmup if recipe.accumulate == "released" else (tick + 1) / (warmup + 1)
    done = min(1.0, (tick - warmup) / max(1, recipe.decay_end * ticks - warmup))
    match recipe.schedule:
        case "cosine":
            return (1 + math.cos(math.pi * done)) / 2
        case "linear":
            return 1 - done
        case "constant":
            return 1.0


def set_rate(optimiser: torch.optim.Optimizer, recipe: Recipe, tick: int, ticks: int) -> None:
    """Set the learning rate of ``tick``."""
    for group in optimiser.param_groups:
        group["lr"] = recipe.learning_rate * rate_factor(recipe, tick, ticks)


def build_optimiser(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser.

    With ``decayed: matrices`` biases and norm scales (1-D parameters) are not decayed. AdamW decouples the decay from the gradient, Adam and SGD add
    it to the gradient. Rows of a parameter that are held (:mod:`pare_bench.model.trained`) stand after every step where they stood before.
    """
    rest = recipe.weight_decay if recipe.decayed == "all" else 0.0
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": rest},
    ]
    optimiser: torch.optim.Optimizer
    match recipe.optimiser:
        case "adamw":
            optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas)
        case "adam":
            optimiser = torch.optim.Adam(groups, lr=recipe.learning_rate, betas=recipe.betas)
        case "sgd":
            optimiser = torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    _hold(optimiser, parameters)
    return optimiser


def _hold(optimiser: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> None:
    held = [(parameter, rows, parameter.detach()[rows].clone()) for parameter in parameters if (rows := held_rows(parameter)) is not None]
    if not held:
        return

    def put_back(*_: Any) -> None:
        # Their gradient is 0, but weight decay would move them.
        with torch.no_grad():
            for parameter, rows, values in held:
                parameter[rows] = values

    optimiser.register_step_post_hook(put_back)
