"""The 2-D embedder: patches of an image of any number of channels become tokens."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.embedder import Embedder
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import InputShape


class Patch2d(Embedder):
    """Patch convolution and layer norm, initialised from the backbone's own patch embedding (ORCA, Sec. 3.1).

    The pretrained kernel ``[dim 3 patch patch]`` is tiled over the input channels and cut to their number. ``kernel: rescaled`` multiplies it
    by 3 / channels, since a sum over c tiled copies makes the pre-norm activations c / 3 times larger; ``tiled`` leaves that out, as released.

    ``resolution: backbone`` resizes the input to the size that the backbone was trained on, as published. ``resolution: input`` keeps at least the
    input's own resolution by enlarging the patch and resampling its kernel (as FlexiViT does; Beyer et al., CVPR 2023), for inputs finer than a
    small backbone's image.
    """

    class Params(Params):
        """Parameters of ``patch2d``."""

        resolution: Literal["backbone", "input"] = Field("backbone", description="size the input is resized to before it is cut into patches")
        kernel: Literal["rescaled", "tiled"] = Field("rescaled", description="tiled kernel kept to the response of 3 channels, or as released not")

    def __init__(self, params: Params, *, inputs: InputShape, backbone: Backbone) -> None:
        super().__init__(params, inputs=inputs, backbone=backbone)
        weights = backbone.embedder_weights()
        rows, columns = backbone.grid
        self.grid = (rows, columns)
        self.num_tokens = rows * columns
        patch = backbone.patch_size
        if params.resolution == "input":
            patch = max(patch, *(math.ceil(side / count) for side, count in zip(inputs.grid, self.grid, strict=True)))
        self.size = (rows * patch, columns * patch)
        self.project = nn.Conv2d(inputs.channels, backbone.dim, patch, stride=patch)
        self.norm = nn.LayerNorm(backbone.dim)
        with torch.no_grad():
            self.project.weight.copy_(_adapt(weights["weight"], inputs.channels, patch, rescaled=params.kernel == "rescaled"))
            self.project.bias.copy_(weights["bias"])  # type: ignore[union-attr]
            self.norm.weight.copy_(weights["norm_weight"])
            self.norm.bias.copy_(weights["norm_bias"])
        self.position = nn.Parameter(weights["position"].clone()) if "position" in weights else None

    def forward(self, inputs: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch tokens dim"]:
        """Resize, cut into patches, project and normalise."""
        if inputs.shape[-2:] != self.size:
            inputs = F.interpolate(inputs, self.size, mode="bilinear", antialias=True)
        tokens = self.norm(self.project(inputs).flatten(2).transpose(1, 2))
        return tokens if self.position is None else tokens + self.position


def _adapt(weight: Tensor, channels: int, patch: int, *, rescaled: bool) -> Tensor:
    """Resample a kernel [dim 3 p p] to ``patch``, keeping its response to a smooth input, and tile it over ``channels``."""
    source_patch = weight.shape[-1]
    if patch != source_patch:
        weight = F.interpolate(weight, (patch, patch), mode="bilinear", antialias=True) * (source_patch / patch) ** 2
    repeats = math.ceil(channels / weight.shape[1])
    tiled = weight.repeat(1, repeats, 1, 1)[:, :channels]
    return tiled * (weight.shape[1] / channels) if rescaled else tiled
