"""The network that ``nano_swin`` is pretrained in, and its loss: classes of whole and of mixed images, and which places are foreground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pare_bench.builtin.backbones.swin import NanoSwin
from pare_bench.builtin.mixers.patch_replace import PatchReplace
from pare_bench.builtin.selectors.random import RandomSelector
from pare_bench.contracts.params import Params
from pare_bench.pretraining.vision_batches import KIND_CLASSES, Shown
from pare_bench.seeds import stream_seed


class Pretraining(nn.Module):
    """The backbone with a class head for textures and one for fractals on the mean of its last map, and a foreground head on its joined maps.

    The heads are thrown away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = NanoSwin(NanoSwin.Params(stages="all", pretrained=False))
        module: Any
        for module in self.backbone.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False  # on a processor faster than the fused kernel at this width
        # Untrained features hardly differ between images; standardised ones let the class loss act from the first step.
        self.standardise = nn.BatchNorm1d(128, affine=False)
        self.classify = nn.ModuleList(nn.Linear(128, classes) for classes in KIND_CLASSES)
        self.separate = nn.ModuleList([nn.Linear(64, 1), nn.Linear(128, 1)])

    def forward(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the class logits of both kinds, [batch classes] each, and foreground logits [batch 196] of embedded images [batch 196 64]."""
        maps = self.backbone.stage_maps(tokens)
        pooled = self.standardise(maps[1].mean((1, 2)))
        # A linear layer on joined maps, one of them enlarged, is the sum of two, one of them enlarged: of one value a place, not of 128.
        fine, coarse = (head(each).squeeze(-1) for head, each in zip(self.separate, maps, strict=True))
        enlarged = F.interpolate(coarse[:, None].float(), fine.shape[1:], mode="bilinear")[:, 0]
        return [head(pooled) for head in self.classify], (fine + enlarged).flatten(1)


@dataclass(frozen=True)
class Examples:
    """Tokens that enter the body, and what is asked of them.

    ``tokens`` [batch 196 64]; ``foreground`` [batch 196], the share of foreground under each token; ``labels`` int64 [batch 2] and ``weights``
    [batch 2], the class of each kind and how much it counts: the share of the tokens that are of such an image, 0 where there is none.
    """

    tokens: Tensor
    foreground: Tensor
    labels: Tensor
    weights: Tensor


def mixed(tokens: Tensor, images: Shown, share: float) -> Examples:
    """Return the images that are shown whole and the mixes of the others, ``share`` of whose tokens are their partner's.

    ``tokens`` [n 196 64] are all images of the step, embedded. Selector and mixer are those of runs, with random choices (from torch's default
    generator): tokens are replaced whole, the j-th chosen one going to the j-th free place.
    """
    whole, hosts = images.whole, slice(images.whole, images.whole + len(images.partners))
    selector, mixer = RandomSelector(Params(), dim=tokens.shape[-1]), PatchReplace(PatchReplace.Params())
    host, partner = tokens[hosts], tokens[images.partners]
    taken = round(share * tokens.shape[1])
    mix = mixer(host, partner, selector(host, tokens.shape[1] - taken), selector(partner, taken))
    foreground = F.adaptive_avg_pool2d(images.masks[:, None], (14, 14)).flatten(1)
    moved = foreground[images.partners].gather(1, mix.origin.clamp_min(0))
    # A mix has at most one image of each kind, whose label counts by its share.
    of_host, of_partner = images.has[hosts], images.has[images.partners]
    labels = torch.where(of_host > 0, images.labels[hosts, None], images.labels[images.partners, None])
    return Examples(
        torch.cat([tokens[:whole], mix.tokens]),
        torch.cat([foreground[:whole], torch.where(mix.from_source, moved, foreground[hosts])]),
        torch.cat([images.labels[:whole, None].expand(-1, 2), labels]),
        torch.cat([images.has[:whole], (1 - mix.source_share) * of_host + mix.source_share * of_partner]),
    )


@dataclass(frozen=True)
class Loss:
    """The loss of a step and its parts as plain numbers: accuracies on whole images by kind, on mixes by kind, and the foreground's cross-entropy."""

    total: Tensor
    textures: float
    fractals: float
    mixed_textures: float
    mixed_fractals: float
    foreground: float


def step_loss(model: Pretraining, images: Shown, words: tuple[str | int, ...], *, mask_weight: float, precision: str) -> Loss:
    """Return the loss of one step; the share of the mixes (a tenth to nine) and their choices are drawn from the stream ``words``."""
    with torch.random.fork_rng(devices=[]), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        torch.manual_seed(stream_seed(*words))
        share = 0.1 + 0.8 * float(torch.rand(()))
        examples = mixed(model.backbone.embed_source(images.images), images, share)
        logits, foreground = model(examples.tokens)
    entropy = [F.cross_entropy(each.float(), examples.labels[:, kind], reduction="none") for kind, each in enumerate(logits)]
    classes = (torch.stack(entropy, 1) * examples.weights).sum() / len(examples.tokens)
    masks = F.binary_cross_entropy_with_logits(foreground.float(), examples.foreground)
    right = torch.stack([each.argmax(-1) == examples.labels[:, kind] for kind, each in enumerate(logits)], 1)

    def accuracy(kind: int, rows: slice) -> float:
        asked = examples.weights[rows, kind] > 0
        return float(right[rows, kind][asked].float().mean())

    whole, mixes = slice(images.whole), slice(images.whole, None)
    return Loss(
        classes + mask_weight * masks,
        textures=accuracy(0, whole),
        fractals=accuracy(1, whole),
        mixed_textures=accuracy(0, mixes),
        mixed_fractals=accuracy(1, mixes),
        foreground=float(masks.detach()),
    )


def weight_groups(model: Pretraining, weight_decay: float) -> list[dict[str, object]]:
    """Return the groups of an optimiser: no decay of biases, norms and position tables."""
    plain = [weight for name, weight in model.named_parameters() if weight.ndim <= 1 or "relative_position" in name]
    decayed = [weight for name, weight in model.named_parameters() if weight.ndim > 1 and "relative_position" not in name]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
