"""Selection plus replacement against the sequential relaxed top-k of the released method, in one run (method: shared description, PaRe step 3)."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from pare_bench.builtin.mixers.patch_replace import PatchReplace
from pare_bench.builtin.selectors.gate import GateGumbel

BATCH, TOKENS, DIM, K = 4, 3136, 128, 2000
UPSTREAM = torch.ones(BATCH, TOKENS, DIM)  # the gradient that a body would send back


def sequential_relaxed_top_k(scores: Tensor, k: int, temperature: float) -> Tensor:
    """Xie & Ermon (IJCAI 2019): k softmaxes in a row, each one kept in the graph; hard forward, soft backward."""
    scores = scores - torch.empty_like(scores).exponential_().log()
    total = torch.zeros_like(scores)
    chosen = torch.zeros_like(scores)
    for _ in range(k):
        scores = scores + torch.log((1 - chosen).clamp_min(1e-20))
        chosen = torch.softmax(scores / temperature, dim=-1)
        total = total + chosen
    hard = torch.zeros_like(scores).scatter_(1, total.topk(k, dim=-1).indices, 1.0)
    return hard - total.detach() + total


def tokens() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(BATCH, TOKENS, DIM, requires_grad=True), torch.randn(BATCH, TOKENS, DIM)


def select_and_replace(target: Tensor, source: Tensor) -> None:
    torch.manual_seed(1)
    selector, mixer = GateGumbel(GateGumbel.Params(), dim=DIM), PatchReplace(PatchReplace.Params())
    mixed = mixer(target, source, selector(target, TOKENS - K), selector(source, K))
    mixed.tokens.backward(UPSTREAM)
    assert selector.gate.weight.grad is not None


def sequential(target: Tensor, source: Tensor) -> None:
    torch.manual_seed(1)
    gate = torch.nn.Linear(DIM, 1)
    keep = sequential_relaxed_top_k(torch.sigmoid(gate(target).squeeze(-1)), TOKENS - K, 0.9)
    take = sequential_relaxed_top_k(torch.sigmoid(gate(source).squeeze(-1)), K, 0.9)
    mixed = target * keep.unsqueeze(-1)
    free, chosen = (keep.detach() < 0.5).nonzero(), (take.detach() > 0.5).nonzero()
    mixed = mixed.index_put((free[:, 0], free[:, 1]), source[chosen[:, 0], chosen[:, 1]] * take[chosen[:, 0], chosen[:, 1]].unsqueeze(-1))
    mixed.backward(UPSTREAM)
    assert gate.weight.grad is not None


@pytest.mark.slow
def test_selection_and_replacement_against_sequential_relaxation(benchmark):
    target, source = tokens()
    select_and_replace(target, source)
    benchmark.pedantic(select_and_replace, args=(target, source), rounds=15, warmup_rounds=2)
    began = time.perf_counter()
    sequential(target, source)
    baseline = time.perf_counter() - began
    if benchmark.stats is None:  # --benchmark-disable: one timed call stands for the statistics
        began = time.perf_counter()
        select_and_replace(target, source)
        fast = time.perf_counter() - began
    else:
        fast = benchmark.stats.stats.median
    benchmark.extra_info |= {"sequential_s": baseline, "ratio": baseline / fast}
    print(f"sequential {baseline:.2f} s, ours {fast:.4f} s, ratio {baseline / fast:.0f}")
    # The target is 50; on two cores 61 to 76 were measured (docs/results.md). The baseline swings between 0.4 and 1.3 s with the state of the
    # allocator, so the guard that stops a merge stands lower than the target.
    assert baseline / fast >= 30
