"""The training loop, read top to bottom: batches, steps, validation, the state that is kept, checkpoints.

Every epoch's randomness comes from streams named after the epoch, so what happens in epoch e does not depend on how epoch e - 1 was reached.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pare_bench.config.run_config import Budget, Recipe
from pare_bench.contracts.task import Split
from pare_bench.errors import EnvironmentFault, TrainingDivergedError, UsageError
from pare_bench.model.network import Batch, to_batch
from pare_bench.seeds import stream, stream_seed
from pare_bench.training.checkpoint import CheckpointFile, TrainingState, load_optimiser_state, optimiser_state
from pare_bench.training.distributed import Processes
from pare_bench.training.health import EXAMPLES, Health, Observed, Probe, SourceEpoch
from pare_bench.training.optimisation import Plan, build_optimiser, set_rate
from pare_bench.training.out_of_memory import BackOff, RandomState, is_out_of_memory, release
from pare_bench.training.progress import EpochReport, Reporter
from pare_bench.training.reading import Augment, MicroBatch, cut, micro_batches


class Objective(nn.Module, ABC):
    """A training step as a module: everything trainable lives in it, ``forward`` gives the loss of one batch.

    The loss must be a mean over the examples of the batch, for a batch may be cut to parts (several processes, too little memory). Random draws
    that belong to examples go through :func:`pare_bench.model.parts.nominal_rows`, so that a cut changes nothing.
    """

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
    """What training did: its curve, the epoch whose state was kept, optimiser steps and examples seen.

    ``parts`` says in how many pieces a micro-batch was worked through at the end, more than 1 where memory ran out. ``resumed_from`` is the last
    epoch that an earlier, interrupted process had finished. ``source``, ``probes`` and ``chance`` are what :mod:`pare_bench.training.health` saw of
    an objective with a source.
    """

    curve: list[CurvePoint] = field(default_factory=list)
    best_epoch: int = 0
    steps: int = 0
    examples: int = 0
    seconds: float = 0.0
    stopped: Literal["epochs", "max_steps", "patience"] = "epochs"
    parts: int = 1
    resumed_from: int = 0
    source: list[SourceEpoch] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    chance: float | None = None


#: Fields of a history that hold entries of a kind.
_LISTS: Mapping[str, type[Any]] = {"curve": CurvePoint, "source": SourceEpoch, "probes": Probe}


@dataclass(frozen=True)
class LoopServices:
    """What the loop needs from the run: names of its random streams, accelerator, progress, memory back-off, where its state is kept, its stage."""

    words: tuple[str | int, ...]
    accelerator: Accelerator
    reporter: Reporter
    back_off: BackOff = field(default_factory=BackOff)
    checkpoint: CheckpointFile | None = None
    stage: str = "train"


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
    augment: Augment | None = None,
) -> History:
    """Train ``objective`` in place and leave it in the state of its best validation epoch, or of its last one (``budget.keep``).

    ``validate`` scores the current state on the validation split; every process calls it and gets the same score.

    Raises:
        TrainingDivergedError: a loss or validation score is NaN or infinite.
        UsageError: the recipe makes no step of these data, or needs what the precision cannot give.
    """
    accelerator, reporter = services.accelerator, services.reporter
    if accelerator.mixed_precision == "fp16" and recipe.accumulate == "released" and recipe.clip_norm is not None:
        raise UsageError("recipe.accumulate = released clips running sums, which float16 keeps scaled", hint="use -o precision=bfloat16")
    plan = Plan.of(len(data), recipe, budget)
    processes = Processes.of(accelerator)
    objective.to(accelerator.device)
    processes.same_start(objective)
    parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    optimiser = accelerator.prepare(build_optimiser(parameters, recipe))
    steps = _Steps(objective, optimiser, parameters, recipe, services, processes)
    kept = _Kept(objective, optimiser, budget, services, processes)
    kept.health = _health(objective, data, budget, plan, services) if processes.is_main else None
    history = kept.resume()
    reporter.stage(services.stage, plan.total_steps)
    if history.resumed_from:
        reporter.note(f"goes on after epoch {history.resumed_from} of {budget.epochs}")
        reporter.advance(history.steps)
    try:
        for epoch in range(len(history.curve), len(history.curve) if kept.finished else budget.epochs):
            torch.manual_seed(stream_seed(*services.words, "epoch", epoch))
            objective.train()
            losses = []
            rng = stream(*services.words, "order", epoch)
            with closing(micro_batches(data, rng.permutation(len(data)), recipe.batch_size, rng, augment, processes.share)) as batches:
                for sizes in _sizes_of_steps(len(data), recipe, plan):
                    set_rate(optimiser, recipe, plan.tick(history.steps), plan.ticks)
                    losses.append(steps.step(batches, sizes, epoch / budget.epochs))
                    if not math.isfinite(losses[-1]):
                        raise TrainingDivergedError(
                            f"training loss became {losses[-1]} in epoch {epoch + 1}, step {history.steps + 1}", hint="lower recipe.learning_rate"
                        )
                    history.steps += 1
                    history.examples += sum(sizes)
                    reporter.advance(1, losses[-1])
                    if history.steps >= plan.total_steps:
                        break
            objective.eval()
            score = validate()
            if not math.isfinite(score):
                raise TrainingDivergedError(f"validation {metric} became {score} in epoch {epoch + 1}", hint="lower recipe.learning_rate")
            history.curve.append(CurvePoint(epoch + 1, history.steps, float(np.mean(losses)), score))
            loss, rate = history.curve[-1].train_loss, optimiser.param_groups[0]["lr"]
            reporter.epoch(EpochReport(services.stage, epoch + 1, budget.epochs, history.steps, loss, score, metric, rate))
            kept.epoch(epoch + 1, score if direction == "minimise" else -score, last=history.steps >= plan.total_steps)
            if kept.finished:
                break
    except KeyboardInterrupt:
        kept.write()
        raise
    kept.restore_best()
    return history


def _health(objective: Objective, data: Split, budget: Budget, plan: Plan, services: LoopServices) -> Health | None:
    """Return what watches over an objective with a source, None for others."""
    if not isinstance(objective, Observed):
        return None
    batch = to_batch(data.take(np.arange(min(EXAMPLES, len(data)))), services.accelerator.device)
    return Health(objective, batch, services.accelerator, stream_seed(*services.words, "health"), budget.epochs, plan.total_steps)


def _sizes_of_steps(examples: int, recipe: Recipe, plan: Plan) -> list[list[int]]:
    """Return, for each optimiser step of an epoch, the sizes of its micro-batches."""
    sizes = [min(recipe.batch_size, examples - start) for start in range(0, examples, recipe.batch_size)]
    return [sizes[step * recipe.accumulation : (step + 1) * recipe.accumulation] for step in range(plan.steps_per_epoch)]


class _Steps:
    """Optimiser steps over micro-batches, over all processes, in as many pieces as memory asks for."""

    def __init__(
        self,
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        parameters: list[nn.Parameter],
        recipe: Recipe,
        services: LoopServices,
        processes: Processes,
    ) -> None:
        self.objective, self.optimiser, self.parameters, self.recipe = objective, optimiser, parameters, recipe
        self.accelerator, self.reporter, self.back_off, self.processes = services.accelerator, services.reporter, services.back_off, processes

    def step(self, batches: Iterator[MicroBatch], sizes: list[int], progress: float) -> float:
        """Take the next ``len(sizes)`` micro-batches, do one step and return its loss."""
        released = self.recipe.accumulate == "released"
        total = 0.0
        for size in sizes:
            before = self._take_gradients()
            total += self._add_gradients(next(batches), size if released else sum(sizes), progress)
            if released:
                self.processes.sum_gradients(self.parameters)
            self._put_gradients(before)
            if released:
                self._clip()
        if not released:
            self.processes.sum_gradients(self.parameters)
            self._clip()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        # As released: the micro-batches' losses are added up for the step, and their mean is what is told.
        return total / len(sizes) if released else total

    def _clip(self) -> None:
        if self.recipe.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.parameters, self.recipe.clip_norm)

    def _add_gradients(self, batch: MicroBatch, examples: int, progress: float) -> float:
        """Leave the gradient of a micro-batch's share of the loss, its sum over examples divided by ``examples``, and return that share.

        When memory runs out in any process, all of them do the micro-batch again in twice the pieces, with the same draws.
        """
        state = RandomState(self.accelerator.device)
        while True:
            loss, failure = 0.0, None
            try:
                loss = self._in_pieces(batch, examples, progress, state)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failure = str(error)
            failures, loss = self.processes.totals(failure is not None, loss)
            if not failures:
                return loss
            self._take_gradients()
            release(self.accelerator.device)
            if self.back_off.parts >= -(-batch.part.total // self.processes.count):
                raise torch.OutOfMemoryError(failure or "another process ran out of memory with a single example")
            self.back_off.parts *= 2
            self.reporter.note(f"out of memory: micro-batches of {self.recipe.batch_size} now go through in {self.back_off.parts} parts, same result")

    def _in_pieces(self, batch: MicroBatch, examples: int, progress: float, state: RandomState) -> float:
        total = 0.0
        for number, piece in enumerate(batch.part.pieces(self.back_off.parts)):
            if number or self.back_off.parts > 1:
                state.restore()
            split = batch.split if piece == batch.part else cut(batch.split, piece.start - batch.part.start, piece.stop - batch.part.start)
            with self.accelerator.autocast(), piece.current(), torch.set_grad_enabled(batch.counted):
                loss = self.objective(to_batch(split, self.accelerator.device), progress) * (len(piece) / examples)
            if batch.counted:
                self.accelerator.backward(loss)
                total += loss.item()
        return total

    def _take_gradients(self) -> list[Tensor | None]:
        """Return the gradients and leave none."""
        taken = [parameter.grad for parameter in self.parameters]
        for parameter in self.parameters:
            parameter.grad = None
        return taken

    def _put_gradients(self, earlier: list[Tensor | None]) -> None:
        """Add ``earlier`` gradients to those that stand."""
        for parameter, gradient in zip(self.parameters, earlier, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else gradient.add_(parameter.grad)


class _Kept:
    """What outlives an epoch: history, the best state so far, and both on disk where the run has a checkpoint."""

    def __init__(self, objective: Objective, optimiser: Any, budget: Budget, services: LoopServices, processes: Processes) -> None:
        self.objective, self.optimiser, self.budget, self.processes = objective, optimiser, budget, processes
        self.back_off, self.checkpoint, self.scaler = services.back_off, services.checkpoint, services.accelerator.scaler
        self.note, self.told = services.reporter.note, False
        self.history = History()
        self.finished = False
        self.health: Health | None = None
        self.best_state: dict[str, Tensor] = {}
        self.best_score, self.best_epoch = math.inf, 0
        self.unwritten: TrainingState | None = None
        self.began = self.written_at = time.perf_counter()
        self.seconds_before = 0.0

    def epoch(self, epoch: int, score: float, *, last: bool) -> None:
        """Take note of an epoch's signed score (smaller is better), decide whether it was the last one, and save the state."""
        history = self.history
        if self.health is not None:
            self.health.epoch(epoch)
            history.source, history.probes, history.chance = self.health.source, self.health.probes, self.health.chance
        if score < self.best_score:
            self.best_score, self.best_epoch = score, epoch
            if self.budget.keep == "best":
                self.best_state = {name: value.detach().clone() for name, value in self.objective.state_dict().items()}
        history.best_epoch = self.best_epoch if self.budget.keep == "best" else epoch
        if last and epoch < self.budget.epochs:
            history.stopped, self.finished = "max_steps", True
        elif self.budget.patience is not None and epoch - self.best_epoch >= self.budget.patience:
            history.stopped, self.finished = "patience", True
        history.seconds = self.seconds_before + time.perf_counter() - self.began
        history.parts = self.back_off.parts
        if self.checkpoint is not None and self.processes.is_main:
            self.unwritten = self._state()
            if time.perf_counter() - self.written_at >= self.checkpoint.interval:
                self.write()

    def write(self) -> None:
        """Write the state of the last finished epoch, unless it is written. What cannot be written is said; a full disk ends no training."""
        if self.checkpoint is not None and self.unwritten is not None:
            try:
                self.checkpoint.save(self.unwritten)
            except EnvironmentFault as error:
                if not self.told:
                    self.note(f"{error}; the run goes on, and begins anew if it is interrupted")
                self.told = True
            self.unwritten, self.written_at = None, time.perf_counter()

    def restore_best(self) -> None:
        """Put the state that is kept into the objective."""
        if self.budget.keep == "best":
            self.objective.load_state_dict(self.best_state)
        self.history.seconds = self.seconds_before + time.perf_counter() - self.began

    def resume(self) -> History:
        """Go on from the checkpoint, where there is one, and return the history so far; one that is damaged is set aside.

        Raises:
            IntegrityError: the checkpoint is whole and not a state of this training.
        """
        saved, told = self.checkpoint.load_or_set_aside() if self.checkpoint is not None and self.processes.is_main else (None, None)
        if told is not None:
            self.note(told)
        facts = self.processes.from_main(saved.facts if saved is not None else None)
        if facts is None:
            if self.health is not None:
                self.health.begin()
            return self.history
        state = TrainingState(self.processes.tensors_from_main(saved.tensors if saved is not None else {}), facts)
        try:
            self.objective.load_state_dict(state.part("objective"))
            load_optimiser_state(self.optimiser, state.part("optimiser"))
            known = dict(facts["history"])
            made = {name: [kind(**each) for each in known[name]] for name, kind in _LISTS.items()}
            self.history = History(**{**known, **made})
            if self.health is not None:
                self.health.source, self.health.probes = self.history.source, self.history.probes
                self.health.tensors = state.part("health")
            self.best_score, self.best_epoch, self.finished = facts["best_score"], facts["best_epoch"], facts["finished"]
            if self.scaler is not None:
                self.scaler.load_state_dict(facts["scaler"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if self.checkpoint is None:
                raise
            raise self.checkpoint.damaged(str(error)) from error
        device = next(self.objective.parameters()).device
        self.best_state = {name: tensor.to(device) for name, tensor in state.part("best").items()}
        self.seconds_before = self.history.seconds
        self.back_off.parts = max(self.back_off.parts, self.history.parts)
        self.history.resumed_from = len(self.history.curve)
        return self.history

    def _state(self) -> TrainingState:
        tensors = {f"objective/{name}": value.detach().to("cpu", copy=True) for name, value in self.objective.state_dict().items()}
        tensors |= {f"optimiser/{name}": value for name, value in optimiser_state(self.optimiser).items()}
        # The best state is replaced, never changed in place: it needs no copy where it is on the CPU.
        if self.health is not None:
            tensors |= {f"health/{name}": value for name, value in self.health.tensors.items()}
        tensors |= {f"best/{name}": value.cpu() for name, value in self.best_state.items()}
        facts = {
            "history": asdict(self.history),
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "finished": self.finished,
            "scaler": self.scaler.state_dict() if self.scaler is not None else None,
        }
        return TrainingState(tensors, facts)
