"""The training loop, read top to bottom: batches, steps, validation, the best state kept.

Every epoch's randomness comes from streams named after the epoch, so what happens in epoch e does not depend on how epoch e - 1 was reached.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from pare_bench.config import Budget, Recipe
from pare_bench.contracts.task import Split
from pare_bench.errors import TrainingDivergedError
from pare_bench.network import Batch, to_batch
from pare_bench.progress import EpochReport, Reporter
from pare_bench.seeds import stream, stream_seed


class Objective(nn.Module, ABC):
    """A training step as a module: everything trainable lives in it, ``forward`` gives the loss of one batch."""

    @abstractmethod
    def forward(self, batch: Batch, progress: float) -> Tensor:
        """Return the scalar loss of ``batch`` when ``progress`` (0 to 1) of the epochs are done."""


@dataclass(frozen=True)
class CurvePoint:
    """One epoch of a training curve."""

    epoch: int
    step: int
    train_loss: float
    validation: float


@dataclass
class History:
    """What training did: its curve, the epoch whose state was kept, optimiser steps and examples seen."""

    curve: list[CurvePoint] = field(default_factory=list)
    best_epoch: int = 0
    steps: int = 0
    examples: int = 0
    seconds: float = 0.0
    stopped: Literal["epochs", "max_steps", "patience"] = "epochs"


@dataclass(frozen=True)
class LoopServices:
    """What the loop needs from the run: names of its random streams, accelerator, progress."""

    words: tuple[str | int, ...]
    accelerator: object
    reporter: Reporter


def train(
    objective: Objective,
    data: Split,
    *,
    recipe: Recipe,
    budget: Budget,
    services: LoopServices,
    validate: Callable[[], float],
    metric: str,
    direction: Literal["minimise", "maximise"] = "minimise",
    augment: Callable[[Split, np.random.Generator], Split] = lambda split, rng: split,  # noqa: ARG005 - same signature as a task's augmentation
) -> History:
    """Train ``objective`` in place and leave it in the state of its best validation epoch.

    ``validate`` scores the current state on the validation split.

    Raises:
        TrainingDivergedError: a loss or validation score is NaN or infinite.
    """
    accelerator, reporter = services.accelerator, services.reporter
    parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    optimiser = build_optimiser(parameters, recipe)
    steps_per_epoch = math.ceil(math.ceil(len(data) / recipe.batch_size) / recipe.accumulation)
    total_steps = min(budget.epochs * steps_per_epoch, budget.max_steps or budget.epochs * steps_per_epoch)
    model, optimiser = accelerator.prepare(objective, optimiser)  # type: ignore[attr-defined]
    history = History()
    best_state: dict[str, Tensor] = {}
    best_score = math.inf
    began = time.perf_counter()
    reporter.stage("train", total_steps)
    for epoch in range(budget.epochs):
        torch.manual_seed(stream_seed(*services.words, "epoch", epoch))
        model.train()
        losses = []
        for group in _groups_of_batches(data, recipe, stream(*services.words, "order", epoch), augment):
            set_rate(optimiser, recipe, history.steps, total_steps)
            losses.append(_step(model, optimiser, group, epoch / budget.epochs, recipe, parameters, accelerator))
            if not math.isfinite(losses[-1]):
                raise TrainingDivergedError(
                    f"training loss became {losses[-1]} in epoch {epoch + 1}, step {history.steps + 1}", hint="lower recipe.learning_rate"
                )
            history.steps += 1
            history.examples += sum(len(indices.inputs) for indices in group)
            reporter.advance(1, losses[-1])
            if history.steps >= total_steps:
                break
        model.eval()
        score = validate()
        if not math.isfinite(score):
            raise TrainingDivergedError(f"validation {metric} became {score} in epoch {epoch + 1}", hint="lower recipe.learning_rate")
        history.curve.append(CurvePoint(epoch + 1, history.steps, float(np.mean(losses)), score))
        reporter.epoch(EpochReport(epoch + 1, budget.epochs, history.steps, history.curve[-1].train_loss, score, metric))
        signed = score if direction == "minimise" else -score
        if signed < best_score:
            best_score, history.best_epoch = signed, epoch + 1
            best_state = {name: value.detach().clone() for name, value in objective.state_dict().items()}
        if history.steps >= total_steps and epoch + 1 < budget.epochs:
            history.stopped = "max_steps"
            break
        if budget.patience is not None and epoch + 1 - history.best_epoch >= budget.patience:
            history.stopped = "patience"
            break
    objective.load_state_dict(best_state)
    history.seconds = time.perf_counter() - began
    return history


def build_optimiser(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser; biases and norm scales (1-D parameters) are not decayed."""
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    match recipe.optimiser:
        case "adamw":
            return torch.optim.AdamW(groups, lr=recipe.learning_rate)
        case "adam":
            return torch.optim.Adam(groups, lr=recipe.learning_rate)
        case "sgd":
            return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)


def rate_factor(recipe: Recipe, step: int, total_steps: int) -> float:
    """Return the learning-rate multiplier of optimiser step ``step`` (from 0) of ``total_steps``."""
    warmup = int(recipe.warmup * total_steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, total_steps - warmup)
    match recipe.schedule:
        case "cosine":
            return (1 + math.cos(math.pi * done)) / 2
        case "linear":
            return 1 - done
        case "constant":
            return 1.0


def set_rate(optimiser: torch.optim.Optimizer, recipe: Recipe, step: int, total_steps: int) -> None:
    """Set the learning rate of ``step``."""
    for group in optimiser.param_groups:
        group["lr"] = recipe.learning_rate * rate_factor(recipe, step, total_steps)


def _groups_of_batches(
    data: Split, recipe: Recipe, rng: np.random.Generator, augment: Callable[[Split, np.random.Generator], Split]
) -> Iterator[list[Split]]:
    """Yield, for each optimiser step of an epoch, its micro-batches; every example once, the last step may be smaller."""
    order = rng.permutation(len(data))
    per_step = recipe.batch_size * recipe.accumulation
    for start in range(0, len(order), per_step):
        indices = order[start : start + per_step]
        yield [augment(data.take(indices[at : at + recipe.batch_size]), rng) for at in range(0, len(indices), recipe.batch_size)]


def _step(
    model: nn.Module, optimiser: object, group: list[Split], progress: float, recipe: Recipe, parameters: list[nn.Parameter], accelerator: object
) -> float:
    """Do one optimiser step: the mean loss over the micro-batches, clipped once."""
    total = 0.0
    examples = sum(len(split) for split in group)
    for split in group:
        loss = model(to_batch(split, accelerator.device), progress) * (len(split) / examples)  # type: ignore[attr-defined]
        accelerator.backward(loss)  # type: ignore[attr-defined]
        total += loss.item()
    if recipe.clip_norm is not None:
        accelerator.clip_grad_norm_(parameters, recipe.clip_norm)  # type: ignore[attr-defined]
    optimiser.step()  # type: ignore[attr-defined]
    optimiser.zero_grad(set_to_none=True)  # type: ignore[attr-defined]
    return total
