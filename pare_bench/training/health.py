"""Whether a method learns what its source has to teach, told by the run itself: source loss against chance, gradients of the loss terms, the gate.

Nothing here moves a score: losses are noted as they come up, and a probe works on a few fixed examples between epochs, with the state of the random
generators and of the network's buffers put back. A probe costs about a third of a step; there are as many as fit into a hundredth of the run, at most
:data:`PROBES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pare_bench.model.network import Batch
from pare_bench.training.out_of_memory import is_out_of_memory, release

#: Probes of a run at most, the first after its first epoch and the last after its last one.
PROBES = 8
#: Examples of a probe.
EXAMPLES = 4
#: Steps of the run for which one probe may be made: a probe of :data:`EXAMPLES` costs some two fifths of a step of 16.
_STEPS_PER_PROBE = 40
#: Share of chance below which a loss has to end for its source to count as learned.
LEARNED = 0.95


@dataclass(frozen=True)
class SourceEpoch:
    """One epoch: mean source loss of the training batches in which source tokens stood, and the mean share of those tokens.

    ``weighted`` is the mean of what that loss came to in the sum that was trained, ``target`` the mean loss of the target alone; None where the
    objective does not tell them.
    """

    loss: float | None
    share: float
    weighted: float | None = None
    target: float | None = None


@dataclass(frozen=True)
class Probe:
    """A look at the fixed batch after an epoch.

    ``gradients`` has for each term of the loss its share of the summed squared gradient norms of the network, ``cosines`` the cosine of its gradient
    to that of the target's term. ``gate_moved`` is the change of the gate's weights relative to their size at the start; ``overlap_start`` and
    ``overlap_before`` are the shares of chosen source tokens that were chosen at the start and at the probe before, ``overlap_chance`` what
    choosing at random would give. None where there is no gate, or no choice to make.
    """

    epoch: int
    gradients: dict[str, float]
    cosines: dict[str, float]
    gate_moved: float | None = None
    overlap_start: float | None = None
    overlap_before: float | None = None
    overlap_chance: float | None = None


@dataclass
class SourceLog:
    """Source losses of the steps of an epoch, added up on the device."""

    total: Tensor | float = 0.0
    weighted: Tensor | float = 0.0
    target: Tensor | float = 0.0
    examples: int = 0
    weighted_examples: int = 0
    target_examples: int = 0
    share: float = 0.0
    steps: int = 0

    def add(self, loss: Tensor | None, share: float, examples: int, *, weighted: Tensor | None = None, target: Tensor | None = None) -> None:
        """Note the mean source loss over ``examples``, None where no source token stood, and the share of source tokens.

        ``weighted`` is that loss as it enters the sum, ``target`` the mean loss of the target.
        """
        if loss is not None:
            self.total = self.total + loss.detach().float() * examples
            self.examples += examples
        if weighted is not None:
            self.weighted = self.weighted + weighted.detach().float() * examples
            self.weighted_examples += examples
        if target is not None:
            self.target = self.target + target.detach().float() * examples
            self.target_examples += examples
        self.share += share
        self.steps += 1

    def epoch(self) -> SourceEpoch:
        """Return the means since the last call."""

        def mean(total: Tensor | float, examples: int) -> float | None:
            return float(total) / examples if examples else None

        loss, weighted = mean(self.total, self.examples), mean(self.weighted, self.weighted_examples)
        found = SourceEpoch(loss, self.share / self.steps if self.steps else 0.0, weighted, mean(self.target, self.target_examples))
        vars(self).update(vars(SourceLog()))
        return found


class Observed(ABC):
    """What an objective that learns from a source offers to be looked at; a mix-in of :class:`pare_bench.training.loop.Objective`."""

    log: SourceLog

    @abstractmethod
    def terms(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Return the terms of the loss by name, as weighted in it, the one of the target first and named ``target``."""

    @abstractmethod
    def chance(self) -> float:
        """Return the source loss of a predictor that knows how often each answer occurs and nothing else."""

    @abstractmethod
    def gate(self) -> Sequence[nn.Parameter]:
        """Return the weights by which tokens are chosen; empty where nothing is learned there."""

    @abstractmethod
    def choice(self, batch: Batch) -> tuple[Tensor, int] | None:
        """Return which source tokens are chosen without noise, as positions ``[batch k]``, and of how many; None where there is no choice."""


@dataclass
class Health:
    """Watches one training stage. ``words`` name the random stream of its probes."""

    objective: Observed
    batch: Batch
    accelerator: Accelerator
    seed: int
    epochs: int
    steps: int
    source: list[SourceEpoch] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def chance(self) -> float:
        """The objective's :meth:`Observed.chance`: it looks at the source data, and they stay as they are."""
        return self.objective.chance()

    def begin(self) -> None:
        """Note how the gate starts."""
        with self._aside():
            weights, choice = _flat(self.objective.gate()), self._choice()
        if weights is not None:
            self.tensors["start/gate"] = weights.cpu()
        if choice is not None:
            self.tensors |= {"start/chosen": choice[0], "before/chosen": choice[0].clone()}

    def epoch(self, epoch: int) -> None:
        """Take note of the end of an epoch, the first is 1, and probe where it is due."""
        self.source.append(self.objective.log.epoch())
        if epoch not in probed_epochs(self.epochs, self.steps):
            return
        try:
            with self._aside():
                self.probes.append(self._probe(epoch))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            # What only looks on must not end a run that fits.
            release(self.accelerator.device)

    def _probe(self, epoch: int) -> Probe:
        module: nn.Module = self.objective  # type: ignore[assignment]
        parameters = [parameter for parameter in module.network.parameters() if parameter.requires_grad]  # type: ignore[union-attr]
        with self.accelerator.autocast():
            terms = self.objective.terms(self.batch, (epoch - 1) / self.epochs)
        norms: dict[str, float] = {}
        cosines: dict[str, float] = {}
        target: Tensor | None = None
        for name, term in terms.items():
            gradient = _gradient(term, parameters)
            norms[name] = float(gradient.norm())
            if target is None:
                target, own = gradient, norms[name]
            elif norms[name] and own:
                cosines[name] = float(gradient @ target) / (norms[name] * own)
        total = sum(norm**2 for norm in norms.values())
        shares = {name: norm**2 / total for name, norm in norms.items()} if total else {}
        return Probe(epoch, _rounded(shares), _rounded(cosines), **self._gate())

    def _gate(self) -> dict[str, float]:
        found: dict[str, float] = {}
        weights = _flat(self.objective.gate())
        start = self.tensors.get("start/gate")
        if weights is not None and start is not None and float(start.norm()):
            found["gate_moved"] = float((weights.cpu() - start).norm() / start.norm())
        choice = self._choice()
        if choice is not None and "start/chosen" in self.tensors:
            chosen, of = choice
            found["overlap_start"] = overlap(chosen, self.tensors["start/chosen"])
            found["overlap_before"] = overlap(chosen, self.tensors["before/chosen"])
            found["overlap_chance"] = chosen.shape[1] / of
            self.tensors["before/chosen"] = chosen
        return _rounded(found)

    def _choice(self) -> tuple[Tensor, int] | None:
        # Every look is at the same source examples.
        torch.manual_seed(self.seed)
        with torch.no_grad(), self.accelerator.autocast():
            choice = self.objective.choice(self.batch)
        return None if choice is None else (choice[0].cpu(), choice[1])

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Put back what a look at the network could change: random generators, buffers, the mode, and what has been noted of losses."""
        module: nn.Module = self.objective  # type: ignore[assignment]
        buffers = [buffer.clone() for buffer in module.buffers()]
        training, log = module.training, vars(self.objective.log).copy()
        devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(self.seed)
            module.train()
            try:
                yield
            finally:
                module.train(training)
                for buffer, before in zip(module.buffers(), buffers, strict=True):
                    buffer.copy_(before)
                vars(self.objective.log).update(log)


def probed_epochs(epochs: int, steps: int) -> list[int]:
    """Return after which epochs to look: evenly, the first and the last among them, as many as ``steps`` of the run allow."""
    count = min(PROBES, epochs, steps // _STEPS_PER_PROBE)
    if count < 2:
        return [epochs] if count else []
    return sorted({1 + round(number * (epochs - 1) / (count - 1)) for number in range(count)})


def end_loss(epochs: Sequence[SourceEpoch]) -> float | None:
    """Return the source loss at the end: its mean over the last quarter of the epochs with source tokens, weighted by their share."""
    with_source = [each for each in epochs if each.loss is not None and each.share > 0]
    last = with_source[-max(1, len(with_source) // 4) :] if with_source else []
    weight = sum(each.share for each in last)
    return sum(each.share * each.loss for each in last if each.loss is not None) / weight if weight else None


def learned(end: float | None, chance: float) -> bool | None:
    """Return whether a source loss that ends at ``end`` was learned; None where no source token ever stood in a batch."""
    return None if end is None else end < LEARNED * chance


def overlap(first: Tensor, second: Tensor) -> float:
    """Return the share of the positions ``[batch k]`` of ``first`` that ``second`` has too, each example on its own."""
    same = (first.unsqueeze(2) == second.unsqueeze(1)).any(2)
    return float(same.float().mean())


def _gradient(term: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    found = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
    return torch.cat([(torch.zeros_like(own) if each is None else each).flatten().float() for own, each in zip(parameters, found, strict=True)])


def _flat(parameters: Sequence[nn.Parameter]) -> Tensor | None:
    return torch.cat([parameter.detach().flatten().float() for parameter in parameters]) if parameters else None


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    # Six digits say all there is to say, and keep records small.
    return {name: float(f"{value:.6g}") for name, value in values.items()}
