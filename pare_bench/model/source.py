"""The source (proxy) data of a run, drawn in batches of the target's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import NDArray
from torch import Tensor

from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.examples import Examples, in_memory
from pare_bench.contracts.method import Context
from pare_bench.contracts.task import Classes, Split, Task
from pare_bench.errors import UsageError
from pare_bench.model.parts import nominal
from pare_bench.seeds import stream

#: ``augment(inputs, targets, rng)`` of a task.
SourceAugment = Callable[[NDArray[np.generic], NDArray[np.generic], np.random.Generator], tuple[NDArray[np.generic], NDArray[np.generic]]]


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
            raise _no_masks()
        return self.foreground


class Source:
    """Source examples kept as stored; each draw embeds its batch with the backbone's frozen pretrained embedder.

    Examples that are not in memory are read when they are drawn. ``augment`` is the proxy's training augmentation, drawn anew for each batch;
    ``embedded`` examples are tokens already.
    """

    def __init__(self, split: Split, num_classes: int, *, noise: bool = False, embedded: bool = False, augment: SourceAugment | None = None) -> None:
        self.inputs = _stored(split.inputs)
        self.labels = torch.from_numpy(np.array(split.targets)).long()
        self.foreground = _stored(split.extras["foreground"]) if "foreground" in split.extras else None
        self.num_classes = num_classes
        self.noise = noise
        self.embedded = embedded
        self.augment = augment

    @classmethod
    def load(cls, context: Context, *, shuffled: bool = False, noise: bool = False) -> Source:
        """Take the proxy data of the ``source`` slot; ``shuffled`` permutes its labels once.

        Raises:
            UsageError: the method's spec does not list the slot, or the proxy task has no class labels.
        """
        if context.source is None or context.config.source is None:
            raise UsageError(f"method '{context.config.method.name}' asks for source data", hint="list 'source' in the slots of its MethodSpec")
        name = context.config.source.name
        task: Task = context.registry.build("task", name, context.config.source.params)
        if not isinstance(task.target, Classes):
            kind = type(task.target).__name__
            raise UsageError(f"task '{name}' cannot be a source: its target is {kind}, not Classes", hint="pare-bench list task")
        split = context.source.train
        if shuffled:
            order = stream(*context.words("shuffled source labels")).permutation(len(split))
            split = Split(split.inputs, split.targets[order], split.extras)
        # A proxy without augmentation draws nothing for it.
        augment = task.augment if type(task).augment is not Task.augment else None
        return cls(split, task.target.num, noise=noise, embedded=task.embedded, augment=augment)

    def foreground_share(self) -> float:
        """Return the share of foreground pixels, of at most the first 1024 examples.

        Raises:
            UsageError: the proxy task has no masks.
        """
        if self.foreground is None:
            raise _no_masks()
        return float(_at(self.foreground, torch.arange(min(1024, len(self.inputs)))).float().mean())

    def draw(self, backbone: Backbone, count: int, like: Tensor) -> SourceBatch:
        """Draw ``count`` examples with replacement from torch's generator, so that no batch is ever short.

        A part of a batch (:mod:`pare_bench.model.parts`) gets what it would get as part of the whole.

        Raises:
            UsageError: the examples are tokens of another width than the backbone takes.
        """
        examples, mine = nominal(count)
        indices = torch.randint(len(self.inputs), (examples,))
        # Augmentation and noise draw for a batch, so a part of one needs all of it.
        together = self.noise or self.augment is not None
        with torch.no_grad():
            tokens = self.tokens(backbone, indices if together else indices[mine], like.device).to(like.dtype)
            if self.noise:
                tokens = torch.randn_like(tokens) * tokens.std() + tokens.mean()
        tokens, indices = tokens[mine] if together else tokens, indices[mine]
        foreground = None if self.foreground is None else _at(self.foreground, indices).to(like.device)
        return SourceBatch(tokens, self.labels[indices].to(like.device), foreground)

    def examples(self, indices: Tensor, device: torch.device) -> Shaped[Tensor, "batch ..."]:
        """Return raw source inputs after the proxy's augmentation; images as float, token ids as they are."""
        inputs = _at(self.inputs, indices)
        if self.augment is not None:
            rng = np.random.default_rng(int(torch.randint(2**62, ())))
            inputs = torch.from_numpy(np.ascontiguousarray(self.augment(inputs.numpy(), self.labels[indices].numpy(), rng)[0]))
        inputs = inputs.to(device)
        return inputs.float() if inputs.is_floating_point() else inputs

    def tokens(self, backbone: Backbone, indices: Tensor, device: torch.device) -> Float[Tensor, "batch tokens dim"]:
        """Return embedded source examples.

        Raises:
            UsageError: the examples are tokens of another width than the backbone takes.
        """
        examples = self.examples(indices, device)
        if not self.embedded:
            return backbone.embed_source(examples)
        if examples.shape[-1] != backbone.dim:
            raise UsageError(
                f"the source's tokens are {examples.shape[-1]} wide, the backbone takes {backbone.dim}",
                hint="make tokens for this backbone: pare-bench data build-source --backbone NAME",
            )
        return examples

    def features(self, backbone: Backbone, device: torch.device, count: int, batch_size: int = 64) -> tuple[Tensor, Tensor]:
        """Return mean-pooled source tokens [count dim] and labels [count] of the first ``count`` examples (ORCA's source features)."""
        count = min(count, len(self.inputs))
        with torch.no_grad():
            pooled = [
                self.tokens(backbone, torch.arange(start, min(start + batch_size, count)), device).mean(1) for start in range(0, count, batch_size)
            ]
        return torch.cat(pooled), self.labels[:count].to(device)


def _no_masks() -> UsageError:
    return UsageError("the source has no foreground masks, which dense targets need", hint="-o source=textures")


def _stored(examples: Examples) -> Tensor | Examples:
    """Return what is in memory as a tensor, everything else as it is."""
    return torch.from_numpy(np.ascontiguousarray(examples)) if in_memory(examples) else examples


def _at(examples: Tensor | Examples, indices: Tensor) -> Tensor:
    return examples[indices] if isinstance(examples, Tensor) else torch.from_numpy(np.ascontiguousarray(examples[indices.numpy()]))
