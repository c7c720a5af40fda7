"""What a method works with during a run: its components, random streams, device and progress."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pare_bench.config.run_config import SLOTS, RunConfig
from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.embedder import Embedder
from pare_bench.contracts.examples import Examples
from pare_bench.contracts.method import TrainData
from pare_bench.contracts.task import Field, PairMap, Split, Splits
from pare_bench.model.heads import OutputScale, build_head, build_released_head
from pare_bench.model.network import TransferNetwork, to_batch
from pare_bench.model.parts import cuts
from pare_bench.model.trained import restrict
from pare_bench.registry.names import Registry
from pare_bench.seeds import stream_seed
from pare_bench.training.checkpoint import CheckpointFolder
from pare_bench.training.distributed import Processes
from pare_bench.training.loop import History, LoopServices, Objective, train
from pare_bench.training.out_of_memory import BackOff, is_out_of_memory, release
from pare_bench.training.progress import Reporter
from pare_bench.training.reading import Augment, evaluation_batches

#: Examples and bytes (as float32) of an evaluation batch; whichever is reached first. Official PSICOV has 60 MB an example.
EVALUATION_BATCH = 64
EVALUATION_BYTES = 512 * 2**20


@dataclass
class RunContext:
    """The services of one run: the :class:`pare_bench.contracts.method.Context` that its method is handed.

    ``source`` is the proxy data of the slot, None for methods without it. ``augment`` is None for a task without augmentation. ``checkpoint`` is the
    folder in which training states are kept, None to keep none.
    """

    config: RunConfig
    registry: Registry
    reporter: Reporter
    accelerator: Accelerator
    source: Splits | None
    augment: Augment | None
    histories: dict[str, History] = field(default_factory=dict)
    checkpoint: CheckpointFolder | None = None
    back_off: BackOff = field(default_factory=BackOff)

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self.accelerator.device

    @property
    def processes(self) -> Processes:
        """The processes that do this run together."""
        return Processes.of(self.accelerator)

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
        """Build embedder, backbone and head on the device, from the stream ``network``; ``reinitialise`` makes the backbone random.

        The recipe's ``trained`` says which weights of the backbone move; ``compile`` compiles the three parts, whose weights keep their names.
        """
        self.seed("network")
        backbone: Backbone = self.build("backbone")
        if reinitialise:
            backbone.reinitialise()
        self.seed("embedder and head")
        embedder = self.build("embedder", inputs=data.inputs, backbone=backbone)
        head, scale = self._build_head(data, backbone, embedder)
        network = TransferNetwork(embedder, backbone, head, scale).to(self.device)
        restrict(network.backbone, self.config.recipe.trained)
        if self.config.compile:
            for part in (network.embedder, network.backbone, network.head):
                part.compile()
        return network

    def _build_head(self, data: TrainData, backbone: Backbone, embedder: Embedder) -> tuple[nn.Module, nn.Module]:
        # A sequence body gives each token one feature: its places are the embedder's.
        places = embedder.grid if backbone.out_grid is None else backbone.out_grid
        if self.config.dense_head == "masked_image" and isinstance(data.target, Field | PairMap):
            head = build_released_head(data.target, backbone.feats, places, backbone.grid[0] * backbone.patch_size)
            # As released: fields are decoded from units of the training set, distances are predicted as they are.
            return head, nn.Identity() if isinstance(data.target, PairMap) else OutputScale(data.target, data.train)
        return build_head(data.target, backbone.feats, places), OutputScale(data.target, data.train)

    def fit(self, objective: Objective, network: nn.Module, data: TrainData, *, stage: str = "train") -> History:
        """Train ``objective`` on the training split; validation scores ``network`` with the task's primary metric."""
        metric = data.metrics[0]

        def validate() -> float:
            outputs = predict(network, data.val.inputs, self.accelerator, self.back_off)
            if not self.processes.is_main:
                return self.processes.from_main(None)
            # A metric may refuse such outputs with its own error; what happened is that training diverged.
            return self.processes.from_main(metric.compute(outputs, data.val) if np.isfinite(outputs).all() else math.nan)

        history = train(
            objective,
            data.train,
            recipe=self.config.recipe,
            budget=self.config.budget,
            services=LoopServices(
                self.words(stage),
                self.accelerator,
                self.reporter,
                self.back_off,
                self.checkpoint.stage(stage) if self.checkpoint is not None else None,
                stage,
            ),
            validate=validate,
            metric=metric.name,
            direction=metric.direction,
            augment=self.augment,
        )
        self.histories[stage] = history
        return history

    def predictor(self, network: nn.Module, data: TrainData) -> NetworkPredictor:
        """Return a fitted network as the predictor that a method gives back."""
        return NetworkPredictor(network, self.accelerator, data.val.inputs[:1], self.back_off)


def evaluation_batch(shape: tuple[int, ...]) -> int:
    """Return how many examples of ``shape`` are predicted at a time: 64, or fewer where they are large; the same on every machine."""
    return max(1, min(EVALUATION_BATCH, EVALUATION_BYTES // (4 * math.prod(shape))))


@torch.no_grad()
def predict(network: nn.Module, inputs: Examples, accelerator: Accelerator, back_off: BackOff | None = None) -> np.ndarray:
    """Return the network's raw outputs ``[n ...]`` float32 in evaluation mode, in every process.

    Batches are the same for any number of processes, and each is computed by one of them, so the outputs are, too.
    """
    was_training = network.training
    network.eval()
    processes, back_off = Processes.of(accelerator), back_off or BackOff()
    size = evaluation_batch(inputs.shape[1:])
    starts = range(0, len(inputs), size)
    gathered: np.ndarray | None = None
    with closing(evaluation_batches(inputs, starts[processes.rank :: processes.count], size)) as batches:
        for turn in range(0, len(starts), processes.count):
            own = _outputs(network, next(batches), accelerator, back_off) if turn + processes.rank < len(starts) else None
            if gathered is None:
                # The main process has the first batch.
                gathered = np.empty((len(inputs), *processes.from_main(own.shape[1:] if own is not None else None)), np.float32)
            for owner, start in enumerate(starts[turn : turn + processes.count]):
                rows = gathered[start : start + size]
                rows[...] = processes.rows_from(owner, own if owner == processes.rank else None, rows.shape).cpu().numpy()
    network.train(was_training)
    if gathered is None:
        raise ValueError("no inputs to predict")
    return gathered


def _outputs(network: nn.Module, inputs: np.ndarray, accelerator: Accelerator, back_off: BackOff) -> Tensor:
    """Return the outputs of one batch on the device; in more pieces when memory runs out."""
    while True:
        try:
            with accelerator.autocast():
                pieces = [
                    network(to_batch(Split(inputs[start:stop], np.zeros(stop - start)), accelerator.device).inputs).float()
                    for start, stop in cuts(len(inputs), min(len(inputs), back_off.evaluation_parts))
                ]
            return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        except RuntimeError as error:
            if not is_out_of_memory(error) or back_off.evaluation_parts >= len(inputs):
                raise
        release(accelerator.device)
        back_off.evaluation_parts *= 2


class NetworkPredictor:
    """A fitted network as the contract's predictor.

    Weights that inference does not touch (the backbone's own embedder, which only source data pass through) are not counted.
    """

    def __init__(self, network: nn.Module, accelerator: Accelerator, example: Examples, back_off: BackOff | None = None) -> None:
        """Take the network; ``example`` is one input ``[1 channels *grid]``, by which the weights in use are found."""
        self.network = network
        self.accelerator = accelerator
        self.back_off = back_off or BackOff()
        used = _used_parameters(network, to_batch(Split(example, np.zeros(len(example))), accelerator.device).inputs)
        self.parameters_total = sum(parameter.numel() for parameter in used)
        self.parameters_trained = sum(parameter.numel() for parameter in used if parameter.requires_grad)

    def predict(self, inputs: Examples) -> np.ndarray:
        """Return raw outputs; see the contract."""
        return predict(self.network, inputs, self.accelerator, self.back_off)


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
