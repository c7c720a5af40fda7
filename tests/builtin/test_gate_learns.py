"""A gate that can learn: where only some patches carry the class, the corrected gate finds them; docs/methods.md has the figures."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pare_bench.builtin.methods.pare import PareObjective
from pare_bench.builtin.methods.source_losses import ClassSourceLoss
from pare_bench.builtin.mixers.patch_replace import PatchReplace
from pare_bench.builtin.selectors.gate import GateGumbel
from pare_bench.contracts.task import Classes
from pare_bench.model.network import Batch

#: Patches of an example, of which so many carry its class, anywhere; the others are noise. A choice at random finds a quarter of them.
PATCHES, TELLING, VALUES, WIDTH, CLASSES = 16, 4, 24, 32, 8
EXAMPLES, BATCH, STEPS = 600, 16, 200
CHANCE = TELLING / PATCHES


class Body(nn.Module):
    dim = feats = WIDTH

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, tokens):
        return self.layers(tokens)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedder, self.backbone, self.head = nn.Linear(VALUES, WIDTH), Body(), nn.Linear(WIDTH, CLASSES)

    def embed(self, inputs):
        return self.embedder(inputs)

    def encode(self, tokens):
        return self.backbone(tokens)

    def decode(self, features):
        return self.head(features.mean(1))


def examples(count, patterns):
    """Patches of noise with the pattern of the class in some of them: inputs, labels, and where the class stands."""
    labels = torch.randint(CLASSES, (count,))
    inputs = torch.randn(count, PATCHES, VALUES) / 2
    places = torch.rand(count, PATCHES).argsort(1)[:, :TELLING]
    inputs.scatter_add_(1, places[:, :, None].expand(-1, -1, VALUES), patterns[labels][:, None].expand(-1, TELLING, -1))
    return inputs, labels, torch.zeros(count, PATCHES).scatter_(1, places, 1.0)


class OtherPatterns:
    """A source of the same kind with patterns of its own."""

    num_classes = CLASSES

    def __init__(self, embedder):
        self.embedder, self.patterns, self.labels = copy.deepcopy(embedder).requires_grad_(False), torch.randn(CLASSES, VALUES), torch.zeros(1)

    def draw(self, backbone, count, like):
        inputs, labels, _ = examples(count, self.patterns)
        return SimpleNamespace(tokens=self.embedder(inputs), labels=labels, foreground=None)


def found_by_gate(seed, **gate):
    """Train PaRe with its default curriculum; return the share of telling patches among the gate's best, before and after."""
    torch.manual_seed(seed)
    network, patterns = Network(), torch.randn(CLASSES, VALUES)
    source = OtherPatterns(network.embedder)
    selector = GateGumbel(GateGumbel.Params(**gate), dim=WIDTH)
    parts = selector, PatchReplace(PatchReplace.Params()), source, ClassSourceLoss(network, source)
    objective = PareObjective(network, Classes(CLASSES), *parts, drop="lowest", weight=1.0)
    inputs, labels, _ = examples(EXAMPLES, patterns)
    unseen, _, truth = examples(400, patterns)
    optimiser = torch.optim.AdamW(objective.parameters(), lr=1e-3)

    def overlap():
        with torch.no_grad():
            best = selector.logits(network.embed(unseen)).topk(TELLING, dim=1).indices
        return float(truth.gather(1, best).mean())

    before = overlap()
    for step in range(STEPS):
        chosen = torch.randint(EXAMPLES, (BATCH,))
        optimiser.zero_grad()
        objective(Batch(inputs[chosen], labels[chosen], {}), step / STEPS).backward()
        optimiser.step()
    return before, overlap()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_corrected_gate_finds_the_patches_that_carry_the_class(seed):
    before, after = found_by_gate(seed)
    assert after > before + 0.2
    assert after > 2 * CHANCE


def test_without_gradient_it_finds_nothing():
    before, after = found_by_gate(0, straight_through=False)
    assert after < before + 0.1
    assert after < 2 * CHANCE
