"""PaRe's training step against a plain fine-tuning step at Swin-B size, in one run."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from pare_bench.builtin.backbones.swin import HuggingFaceSwin
from pare_bench.builtin.embedders.patch2d import Patch2d
from pare_bench.builtin.methods.pare import PareObjective
from pare_bench.builtin.methods.source_losses import ClassSourceLoss
from pare_bench.builtin.mixers.patch_replace import PatchReplace
from pare_bench.builtin.selectors.gate import GateGumbel
from pare_bench.contracts.task import Classes, InputShape, Split
from pare_bench.model.heads import OutputScale, build_head
from pare_bench.model.network import TransferNetwork, to_batch
from pare_bench.model.source import Source
from pare_bench.training.loop import Objective
from pare_bench_baselines.fine_tuning import TargetObjective

BATCH, ROUNDS, MORE = 4, 3, 7
LIMIT = 2.3


def objectives() -> tuple[Objective, Objective]:
    """A plain and a PaRe objective over one network of Swin-B size (N = 3136, D = 128), random weights."""
    torch.manual_seed(0)
    target = Classes(100)
    backbone = HuggingFaceSwin(HuggingFaceSwin.Params(pretrained=False))
    assert (backbone.grid, backbone.dim) == ((56, 56), 128)
    embedder = Patch2d(Patch2d.Params(), inputs=InputShape(3, (32, 32)), backbone=backbone)
    train = Split(np.zeros((2, 3, 32, 32), np.float32), np.zeros(2, np.int64))
    network = TransferNetwork(embedder, backbone, build_head(target, backbone.feats, backbone.out_grid), OutputScale(target, train))
    rng = np.random.default_rng(0)
    source = Source(Split(rng.random((64, 3, 32, 32), dtype=np.float32), rng.integers(0, 10, 64)), 10)
    selector, mixer = GateGumbel(GateGumbel.Params(), dim=128), PatchReplace(PatchReplace.Params())
    pare = PareObjective(network, target, selector, mixer, source, ClassSourceLoss(network, source), drop="lowest", weight=1.0)
    return TargetObjective(network, target), pare


def step(objective: Objective, optimiser: torch.optim.Optimizer) -> None:
    rng = np.random.default_rng(1)
    batch = to_batch(Split(rng.random((BATCH, 3, 32, 32), dtype=np.float32), rng.integers(0, 100, BATCH)), "cpu")
    loss = objective(batch, 0.0)
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()
    assert torch.isfinite(loss)


@pytest.mark.slow
def test_pare_step_costs_at_most_2_3_plain_steps(benchmark):
    plain, pare = objectives()
    optimisers = {objective: torch.optim.AdamW(objective.parameters(), lr=1e-4) for objective in (plain, pare)}
    seconds: dict[Objective, list[float]] = {plain: [], pare: []}

    def both() -> None:
        # In turn, so that a machine that slows down slows both.
        for objective in (plain, pare):
            began = time.perf_counter()
            step(objective, optimisers[objective])
            seconds[objective].append(time.perf_counter() - began)

    both()
    for times in seconds.values():
        times.clear()
    benchmark.pedantic(both, rounds=ROUNDS)
    # The least disturbed round of each: noise of a shared machine only ever adds. More rounds where the first were all disturbed.
    if min(seconds[pare]) / min(seconds[plain]) > LIMIT:
        for _ in range(MORE):
            both()
    plain_s, pare_s = min(seconds[plain]), min(seconds[pare])
    benchmark.extra_info |= {"plain_s": plain_s, "pare_s": pare_s, "ratio": pare_s / plain_s}
    print(f"plain {plain_s:.2f} s, PaRe {pare_s:.2f} s, ratio {pare_s / plain_s:.2f}")
    assert pare_s / plain_s <= LIMIT
