"""The source (proxy) data of a run, drawn in batches of the target's size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from pare_bench.context import Context
from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.task import Classes, Split
from pare_bench.errors import UsageError
from pare_bench.seeds import stream


@dataclass(frozen=True)
class SourceBatch:
    """Embedded source examples, their class labels, and foreground masks where the proxy has them."""

    tokens: Float[Tensor, "batch tokens dim"]
    labels: Int[Tensor, " batch"]
    foreground: Bool[Tensor, "batch height width"] | None

    def masks(self) -> Bool[Tensor, "batch height width"]:
        """Return the foreground masks.

        Raises:
            UsageError: the proxy task has none.
        """
        if self.foreground is None:
            raise UsageError("the source has no foreground masks, which dense targets need", hint="-o source=fractals")
        return self.foreground


class Source:
    """Source examples kept as stored; each draw embeds its batch with the backbone's frozen pretrained embedder."""

    def __init__(self, split: Split, num_classes: int, *, noise: bool = False) -> None:
        self.inputs = torch.from_numpy(np.ascontiguousarray(split.inputs))
        self.labels = torch.from_numpy(np.ascontiguousarray(split.targets)).long()
        self.foreground = torch.from_numpy(np.ascontiguousarray(split.extras["foreground"])) if "foreground" in split.extras else None
        self.num_classes = num_classes
        self.noise = noise

    @classmethod
    def load(cls, context: Context, *, shuffled: bool = False, noise: bool = False) -> Source:
        """Take the proxy data of the ``source`` slot; ``shuffled`` permutes its labels once.

        Raises:
            UsageError: the method's spec does not list the slot, or the proxy task has no class labels.
        """
        if context.source is None or context.config.source is None:
            raise UsageError(f"method '{context.config.method.name}' asks for source data", hint="list 'source' in the slots of its MethodSpec")
        name = context.config.source.name
        target = context.registry.component("task", name).target
        if not isinstance(target, Classes):
            raise UsageError(f"task '{name}' cannot be a source: its target is {type(target).__name__}, not Classes", hint="pare-bench list task")
        split = context.source.train
        if shuffled:
            order = stream(*context.words("shuffled source labels")).permutation(len(split))
            split = Split(split.inputs, split.targets[order], split.extras)
        return cls(split, target.num, noise=noise)

    def draw(self, backbone: Backbone, count: int, like: Tensor) -> SourceBatch:
        """Draw ``count`` examples with replacement from torch's generator, so that no batch is ever short."""
        indices = torch.randint(len(self.inputs), (count,))
        with torch.no_grad():
            tokens = backbone.embed_source(self.examples(indices, like.device)).to(like.dtype)
            if self.noise:
                tokens = torch.randn_like(tokens) * tokens.std() + tokens.mean()
        foreground = None if self.foreground is None else self.foreground[indices].to(like.device)
        return SourceBatch(tokens, self.labels[indices].to(like.device), foreground)

    def examples(self, indices: Tensor, device: torch.device) -> Shaped[Tensor, "batch ..."]:
        """Return raw source inputs; images as float, token ids as they are."""
        inputs = self.inputs[indices].to(device)
        return inputs.float() if inputs.is_floating_point() else inputs

    def features(self, backbone: Backbone, device: torch.device, count: int, batch_size: int = 64) -> tuple[Tensor, Tensor]:
        """Return mean-pooled source tokens [count dim] and labels [count] of the first ``count`` examples (ORCA's source features)."""
        count = min(count, len(self.inputs))
        with torch.no_grad():
            pooled = [
                backbone.embed_source(self.examples(torch.arange(start, min(start + batch_size, count)), device)).mean(1)
                for start in range(0, count, batch_size)
            ]
        return torch.cat(pooled), self.labels[:count].to(device)
