"""Run by tests/training/test_distributed.py, in one process or several: trains, predicts and exchanges, and writes down what it saw."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from pare_bench.cli.leaving import leave
from pare_bench.config.run_config import Budget, Recipe
from pare_bench.contracts.task import Split
from pare_bench.model.parts import nominal_rows
from pare_bench.training.context import predict
from pare_bench.training.distributed import Processes, finish
from pare_bench.training.loop import LoopServices, Objective, train
from pare_bench.training.progress import Silent

#: Name -> (examples, recipe): micro-batches that do not divide, that leave processes without an example, accumulated, clipped, as released.
CASES = {
    "uneven": (23, Recipe(batch_size=7, learning_rate=0.01)),
    "empty": (22, Recipe(batch_size=7, learning_rate=0.01, clip_norm=0.5)),
    "single": (5, Recipe(batch_size=1, accumulation=2, learning_rate=0.01)),
    "accumulated": (40, Recipe(batch_size=6, accumulation=3, optimiser="sgd", learning_rate=0.01)),
    "released": (40, Recipe(batch_size=6, accumulation=3, optimiser="sgd", learning_rate=0.1, accumulate="released", clip_norm=0.1)),
}


class Noisy(Objective):
    """A regression on inputs with noise per example; one layer is used in even steps alone, another one never."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1).double()
        self.sometimes = nn.Linear(3, 1).double()
        self.never = nn.Linear(3, 1).double()
        self.calls = 0

    def forward(self, batch, progress):
        self.calls += 1
        inputs = batch.inputs.double()
        inputs = inputs + nominal_rows(len(inputs), lambda examples: torch.randn(examples, 3, dtype=torch.float64))
        outputs = self.linear(inputs) + (self.sometimes(inputs) if self.calls % 2 == 0 else 0)
        return (outputs.squeeze(-1) - batch.targets).square().mean()


class Steady(Noisy):
    """The same layers in every step: how often ``forward`` is called does not matter."""

    def forward(self, batch, progress):
        self.calls = 1
        return super().forward(batch, progress)


class Tight(Steady):
    """The last of several processes runs out of memory above two examples, in the middle of its work; the others never do."""

    def forward(self, batch, progress):
        loss = super().forward(batch, progress)
        if len(batch.inputs) > 2 and Processes.of(Accelerator(cpu=True)).rank > 0:
            loss.backward()
            raise torch.OutOfMemoryError("out of memory")
        return loss


def trained(accelerator: Accelerator, examples: int, recipe: Recipe, kind: type[Noisy] = Noisy) -> dict[str, object]:
    torch.manual_seed(accelerator.process_index)
    objective = kind()
    if accelerator.is_main_process:
        torch.manual_seed(5)
        for parameter in objective.parameters():
            nn.init.normal_(parameter)
    rng = np.random.default_rng(0)
    split = Split(rng.normal(size=(examples, 3)).astype(np.float32), rng.normal(size=examples).astype(np.float32))
    history = train(
        objective,
        split,
        recipe=recipe,
        budget=Budget(epochs=2),
        services=LoopServices(("test", 0), accelerator, Silent()),
        validate=lambda: 1.0 / (1 + objective.calls),
        metric="error",
    )
    return {
        "losses": [point.train_loss for point in history.curve],
        "steps": history.steps,
        "parts": history.parts,
        "examples": history.examples,
        "weights": [parameter.tolist() for parameter in objective.parameters()],
    }


def predicted(accelerator: Accelerator, count: int) -> list[list[float]]:
    class Rows(nn.Module):
        def forward(self, inputs):
            # Depends on the whole batch: a batch of another composition would give other outputs.
            return inputs[:, 0, :2] + inputs.sum() * 1e-3

    inputs = np.random.default_rng(count).normal(size=(count, 1, 4)).astype(np.float32)
    return predict(Rows(), inputs, accelerator).tolist()


def exchanged(processes: Processes) -> dict[str, object]:
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    parameters[0].grad = torch.full((2,), float(processes.rank + 1))
    if processes.rank == processes.count - 1:
        parameters[1].grad = torch.ones(2)
    processes.sum_gradients(parameters)
    tensors = processes.tensors_from_main({"a": torch.arange(3), "b": torch.ones(2, 2)} if processes.is_main else {})
    return {
        "gradients": [None if parameter.grad is None else parameter.grad.tolist() for parameter in parameters],
        "totals": processes.totals(1.5, processes.rank),
        "from_main": processes.from_main({"rank": processes.rank}),
        "tensors": {name: tensor.tolist() for name, tensor in tensors.items()},
        "share": [(part.start, part.stop) for part in map(processes.share, (7, 1, 0))],
    }


def main(folder: Path) -> None:
    accelerator = Accelerator(cpu=True)
    seen = {
        "trained": {name: trained(accelerator, *case) for name, case in CASES.items()},
        "tight": trained(accelerator, 23, Recipe(batch_size=12, learning_rate=0.01), Tight),
        "roomy": trained(accelerator, 23, Recipe(batch_size=12, learning_rate=0.01), Steady),
        "predicted": {count: predicted(accelerator, count) for count in (1, 63, 64, 65, 200, 257)},
        "exchanged": exchanged(Processes.of(accelerator)),
    }
    (folder / f"{accelerator.process_index}.json").write_text(json.dumps(seen))
    finish()
    if accelerator.num_processes > 1:
        # As the command line does.
        leave(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
