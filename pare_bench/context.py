"""What a method works with during a run: its components, random streams, device and progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pare_bench.config import SLOTS, RunConfig
from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.method import TrainData
from pare_bench.contracts.task import Examples, Field, PairMap, Split, Splits
from pare_bench.heads import OutputScale, build_head, build_masked_image_head
from pare_bench.network import TransferNetwork, to_batch
from pare_bench.progress import Reporter
from pare_bench.registry import Registry
from pare_bench.seeds import stream_seed
from pare_bench.training import History, LoopServices, Objective, train

EVALUATION_BATCH = 64


@dataclass
class Context:
    """The services of one run. ``source`` is the proxy data of the slot, None for methods without it."""

    config: RunConfig
    registry: Registry
    reporter: Reporter
    accelerator: Accelerator
    source: Splits | None
    augment: Callable[[Split, np.random.Generator], Split]
    histories: dict[str, History] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self.accelerator.device

    def words(self, *words: str | int) -> tuple[str | int, ...]:
        """Return the name of a random stream of this run; it does not mention the method, so methods are compared with paired draws."""
        return ("run", self.config.task.name, self.config.seed, *words)

    def seed(self, *words: str | int) -> None:
        """Seed torch's generators with a named stream."""
        torch.manual_seed(stream_seed(*self.words(*words)))

    def build(self, slot: str, **runtime: Any) -> Any:
        """Build the component of a slot from the run's configuration."""
        chosen = getattr(self.config, slot)
        return self.registry.build(SLOTS[slot], chosen.name, chosen.params, **runtime)

    def build_network(self, data: TrainData, *, reinitialise: bool = False) -> TransferNetwork:
        """Build embedder, backbone and head on the device, from the stream ``network``; ``reinitialise`` makes the backbone random."""
        self.seed("network")
        backbone: Backbone = self.build("backbone")
        if reinitialise:
            backbone.reinitialise()
        self.seed("embedder and head")
        embedder = self.build("embedder", inputs=data.inputs, backbone=backbone)
        head, scale = self._build_head(data, backbone)
        return TransferNetwork(embedder, backbone, head, scale).to(self.device)

    def _build_head(self, data: TrainData, backbone: Backbone) -> tuple[nn.Module, nn.Module]:
        if self.config.dense_head == "masked_image" and isinstance(data.target, Field | PairMap):
            head = build_masked_image_head(data.target, backbone.feats, backbone.out_grid, backbone.grid[0] * backbone.patch_size)
            # As released: fields are decoded from units of the training set, distances are predicted as they are.
            return head, nn.Identity() if isinstance(data.target, PairMap) else OutputScale(data.target, data.train)
        return build_head(data.target, backbone.feats, backbone.out_grid), OutputScale(data.target, data.train)

    def fit(self, objective: Objective, network: nn.Module, data: TrainData, *, stage: str = "train") -> History:
        """Train ``objective`` on the training split; validation scores ``network`` with the task's primary metric."""
        metric = data.metrics[0]

        def validate() -> float:
            outputs = predict(network, data.val.inputs, self.device)
            # A metric may refuse such outputs with its own error; what happened is that training diverged.
            return metric.compute(outputs, data.val) if np.isfinite(outputs).all() else math.nan

        history = train(
            objective,
            data.train,
            recipe=self.config.recipe,
            budget=self.config.budget,
            services=LoopServices(self.words(stage), self.accelerator, self.reporter),
            validate=validate,
            metric=metric.name,
            direction=metric.direction,
            augment=self.augment,
        )
        self.histories[stage] = history
        return history

    def predictor(self, network: nn.Module, data: TrainData) -> NetworkPredictor:
        """Return a fitted network as the predictor that a method gives back."""
        return NetworkPredictor(network, self.device, data.val.inputs[:1])


@torch.no_grad()
def predict(network: nn.Module, inputs: Examples, device: torch.device) -> np.ndarray:
    """Return the network's raw outputs ``[n ...]`` float32 in evaluation mode."""
    was_training = network.training
    network.eval()
    outputs: list[Tensor] = []
    for start in range(0, len(inputs), EVALUATION_BATCH):
        part = inputs[start : start + EVALUATION_BATCH]
        outputs.append(network(to_batch(Split(part, np.zeros(len(part))), device).inputs).float().cpu())
    network.train(was_training)
    return torch.cat(outputs).numpy()


class NetworkPredictor:
    """A fitted network as the contract's predictor.

    Weights that inference does not touch (the backbone's own embedder, which only source data pass through) are not counted.
    """

    def __init__(self, network: nn.Module, device: torch.device, example: Examples) -> None:
        """Take the network; ``example`` is one input ``[1 channels *grid]``, by which the weights in use are found."""
        self.network = network
        self.device = device
        used = _used_parameters(network, to_batch(Split(example, np.zeros(len(example))), device).inputs)
        self.parameters_total = sum(parameter.numel() for parameter in used)
        self.parameters_trained = sum(parameter.numel() for parameter in used if parameter.requires_grad)

    def predict(self, inputs: Examples) -> np.ndarray:
        """Return raw outputs; see the contract."""
        return predict(self.network, inputs, self.device)


def _used_parameters(network: nn.Module, example: Tensor) -> list[nn.Parameter]:
    """Return the parameters that the output depends on: those that a backward pass reaches."""
    parameters = list(network.parameters())
    frozen = [parameter for parameter in parameters if not parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        gradients = torch.autograd.grad(network(example).sum(), parameters, allow_unused=True)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
    return [parameter for parameter, gradient in zip(parameters, gradients, strict=True) if gradient is not None]
