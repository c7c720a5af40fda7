"""Small stand-ins that checks put in the other slots: bodies of a few hundred weights, tasks and proxies of a few examples.

They register through the hooks like everybody, in a registry of the check's own (see :func:`with_doubles`), so no user ever meets them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pluggy
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pare_bench import metrics
from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import Classes, Field, InputShape, Labels, Metric, Split, Splits, TaskSize
from pare_bench.datasets.simulated import SimulatedTask, generate_splits
from pare_bench.registry import hookspecs
from pare_bench.registry.names import Registry
from pare_bench.registry.plugins import PluginInfo, Plugins, collect
from pare_bench.registry.specs import BackboneSpec, TaskSpec
from pare_bench.registry.versions import __version__

WORDS = 32


class ImageBody(Backbone):
    """16 tokens of width 8 on a 4 x 4 grid in, 4 places of width 12 out: the two layouts differ, as in a Swin."""

    dim, feats, grid, out_grid, patch_size = 8, 12, (4, 4), (2, 2), 4

    def __init__(self, params: Params) -> None:  # noqa: ARG002 - the contract's signature
        super().__init__()
        self.patch = nn.Conv2d(3, self.dim, self.patch_size, stride=self.patch_size)
        self.norm = nn.LayerNorm(self.dim)
        self.body = nn.Linear(self.dim, self.feats)
        _pretrain(self)

    def forward(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch places feats"]:
        """Attend to the mean, then pool 2 x 2 places."""
        features = F.gelu(self.body(tokens + tokens.mean(1, keepdim=True)))
        maps = features.transpose(1, 2).reshape(len(tokens), self.feats, *self.grid)
        return F.avg_pool2d(maps, 2).flatten(2).transpose(1, 2)

    def embed_source(self, inputs: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens dim"]:
        """Resize to 16 x 16 and cut into patches."""
        patches = self.patch(F.interpolate(inputs, (16, 16), mode="bilinear", antialias=True))
        tokens: Tensor = self.norm(patches.flatten(2).transpose(1, 2))
        return tokens

    def embedder_weights(self) -> dict[str, Tensor]:
        """Return copies; see the contract."""
        own = {"weight": self.patch.weight, "bias": self.patch.bias, "norm_weight": self.norm.weight, "norm_bias": self.norm.bias}
        return {name: weight.detach().clone() for name, weight in own.items() if weight is not None}

    def reinitialise(self) -> None:
        """Draw every weight anew."""
        for module in (self.patch, self.norm, self.body):
            module.reset_parameters()


class TextBody(Backbone):
    """At most 16 tokens of width 8 in, one place of width 8 for each out."""

    dim, feats, grid, out_grid, patch_size = 8, 8, (16,), None, 1

    def __init__(self, params: Params) -> None:  # noqa: ARG002 - the contract's signature
        super().__init__()
        self.words, self.position = nn.Embedding(WORDS, self.dim), nn.Embedding(self.grid[0], self.dim)
        self.norm = nn.LayerNorm(self.dim)
        self.body = nn.Linear(self.dim, self.feats)
        _pretrain(self)

    def forward(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens feats"]:
        """Attend to the mean.

        Raises:
            ValueError: there are more tokens than positions.
        """
        if tokens.shape[1] > self.grid[0]:
            raise ValueError(f"{tokens.shape[1]} tokens are more than {self.grid[0]} positions")
        return F.gelu(self.body(tokens + tokens.mean(1, keepdim=True)))

    def embed_source(self, inputs: Int64[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens dim"]:
        """Embed words and add positions."""
        tokens: Tensor = self.norm(self.words(inputs) + self.position.weight[: inputs.shape[1]])
        return tokens

    def embedder_weights(self) -> dict[str, Tensor]:
        """Return copies; see the contract."""
        own = {"norm_weight": self.norm.weight, "norm_bias": self.norm.bias, "position": self.position.weight}
        return {name: weight.detach().clone() for name, weight in own.items()}

    def reinitialise(self) -> None:
        """Draw every weight anew."""
        for module in (self.words, self.position, self.norm, self.body):
            module.reset_parameters()


def _pretrain(body: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.normal_(std=0.5, generator=generator)


class _Double(SimulatedTask):
    version = 1
    sizes: ClassVar = {"cpu": TaskSize(8, 6, 6)}
    chunk = 8

    def generated(self, seed: int, size: TaskSize) -> Splits:
        """Stay in this process: starting another one takes longer than all of it."""
        return generate_splits(self, seed, size, workers=1)


class ImageClasses(_Double):
    """Images of two channels whose mean tells one of three classes."""

    name, inputs, target = "conformance_image", InputShape(2, (8, 8)), Classes(3)
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002
        """Draw labels in turn."""
        labels = np.arange(count) % 3
        return Split((rng.normal(size=(count, 2, 8, 8)) + labels[:, None, None, None]).astype(np.float32), labels)


class DenseField(_Double):
    """Smooth fields: the target is twice the input plus one."""

    name, inputs, target = "conformance_dense", InputShape(1, (8, 8)), Field((8, 8))
    metrics = (Metric("relative_l2", lambda outputs, split: metrics.relative_l2(outputs, split.targets)),)

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002
        """Draw noise."""
        inputs = rng.normal(size=(count, 1, 8, 8)).astype(np.float32)
        return Split(inputs, 2 * inputs[:, 0] + 1)


class SequenceLabels(_Double):
    """Sequences of three channels; label j is whether channel j has a positive mean."""

    name, inputs, target = "conformance_sequence", InputShape(3, (20,)), Labels(3)
    metrics = (Metric("map_error", lambda outputs, split: metrics.map_error(outputs, split.targets)),)

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002
        """Draw labels, then noise about them."""
        labels = (np.arange(count)[:, None] + np.arange(3)) % 2
        return Split((rng.normal(size=(count, 3, 20)) + 2 * labels[:, :, None] - 1).astype(np.float32), labels.astype(np.float32))


class Pictures(ImageClasses):
    """An image proxy with foreground masks."""

    name, inputs, target = "conformance_pictures", InputShape(3, (16, 16)), Classes(2)

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002
        """Draw pixels in [0, 1]."""
        foreground = rng.random((count, 16, 16)) < 0.4
        return Split(rng.random((count, 3, 16, 16)).astype(np.float32), np.arange(count) % 2, {"foreground": foreground})


class Sentences(ImageClasses):
    """A text proxy of token ids."""

    name, inputs, target = "conformance_sentences", InputShape(1, (6,)), Classes(2)

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002
        """Draw token ids [n 6]."""
        return Split(rng.integers(0, WORDS, (count, 6)), np.arange(count) % 2)


#: target task -> (backbone, embedder, source): what a method check runs on.
PROBLEMS: dict[type[SimulatedTask], tuple[str, str, str]] = {
    ImageClasses: ("conformance_image_body", "patch2d", "conformance_pictures"),
    DenseField: ("conformance_image_body", "patch2d", "conformance_pictures"),
    SequenceLabels: ("conformance_text_body", "patch1d", "conformance_sentences"),
}


@hookspecs.hookimpl
def pare_bench_tasks() -> Iterator[TaskSpec]:
    """Yield the tasks and proxies."""
    for task in (ImageClasses, DenseField, SequenceLabels, Pictures, Sentences):
        modality = "image" if len(task.inputs.grid) == 2 else "sequence"
        yield TaskSpec(name=task.name, summary="a stand-in", target=f"{__name__}:{task.__name__}", modality=modality, dense=task is DenseField)


@hookspecs.hookimpl
def pare_bench_backbones() -> Iterator[BackboneSpec]:
    """Yield the bodies."""
    yield BackboneSpec(name="conformance_image_body", summary="a stand-in", target=f"{__name__}:ImageBody", modality="image")
    yield BackboneSpec(name="conformance_text_body", summary="a stand-in", target=f"{__name__}:TextBody", modality="sequence")


def with_doubles(registry: Registry) -> Registry:
    """Return a registry that holds everything ``registry`` does and the stand-ins of this module."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for name, plugin in registry.plugins.manager.list_name_plugin():
        manager.register(plugin, name)
    manager.register(sys.modules[__name__], "conformance")
    own = collect(manager, "conformance")
    if isinstance(own, str):
        raise TypeError(own)
    infos = (*registry.plugins.infos, PluginInfo("conformance", __name__, "pare-bench", __version__))
    return type(registry)(Plugins(manager, infos, {**registry.plugins.yielded, **own}))
