"""Swin backbones (Liu et al., ICCV 2021): the bundled ``nano_swin`` and any Swin of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn
from transformers import SwinConfig, SwinModel

from pare_bench.builtin.backbones import hub
from pare_bench.builtin.backbones.weights import bundled_digest, bundled_files, load_bundled
from pare_bench.contracts import backbone
from pare_bench.contracts.params import Params
from pare_bench.errors import IntegrityError, UsageError

#: Images enter ``nano_swin`` as (x - MEAN) / STD in every channel, in pretraining as here.
MEAN, STD = 0.5, 0.25


class NanoSwin(backbone.Backbone):
    """The bundled vision backbone (docs/backbones/nano_swin.md): 56x56 images, 14x14 tokens of width 64, two stages of two blocks.

    Tokens enter after the patch embedding and its norm. ``embed_source`` resizes to ``image_size``, normalises and embeds. The weights fit any number
    of windows: ``image_size: 112`` has 28x28 tokens of patches as large as before.
    """

    class Params(Params):
        """Parameters of ``nano_swin``."""

        stages: Literal["last", "all"] = Field(
            default="last",
            description="last: the final 7x7 map of width 128; all: both stages' normalised maps on the 14x14 grid, 192 wide, for dense heads",
        )
        image_size: Literal[56, 112] = Field(default=56, description="side of the images; 112: four times the tokens, for targets with fine detail")
        drop_path: float = Field(default=0.0, ge=0.0, lt=1.0, description="largest probability of skipping a block while training")
        pretrained: bool = Field(default=True, description="False leaves the random initial weights")

    # timm's modules are typed too loosely to be checked.
    swin: Any
    patch_size = 4
    dim = 64

    def __init__(self, params: Params | None = None) -> None:
        """Build the network.

        Raises:
            DataMissingError: the bundled weights are not in this installation.
            IntegrityError: the bundled weights are not what their card says.

        """
        super().__init__()
        self.params = chosen = params if params is not None else self.Params()
        self.image_size = chosen.image_size
        side = self.image_size // self.patch_size
        self.grid = (side, side)
        self.feats = 192 if chosen.stages == "all" else 128
        self.out_grid = self.grid if chosen.stages == "all" else (side // 2, side // 2)
        if chosen.pretrained:
            with torch.random.fork_rng(devices=[]):  # the draws are overwritten, so they must not move the run's stream
                self._build()
            self.load_state_dict(load_bundled("nano_swin"))
        else:
            self._build()

    def _build(self) -> None:
        self.swin = SwinTransformer(
            img_size=self.image_size,
            patch_size=self.patch_size,
            embed_dim=self.dim,
            depths=(2, 2),
            num_heads=(2, 4),
            window_size=7,
            num_classes=0,
            norm_layer=nn.LayerNorm,
            drop_path_rate=self.params.drop_path,
        )
        # The last stage has the network's own final norm; the first one is normalised only for dense heads.
        self.first_norm = nn.LayerNorm(self.dim)

    @classmethod
    def weights_digest(cls, params: Params) -> str:
        """Return the SHA-256 of the bundled weights, "" for random weights."""
        return bundled_digest("nano_swin") if getattr(params, "pretrained", True) else ""

    @classmethod
    def files(cls, params: Params) -> Sequence[Path]:
        """Return the bundled weights and their card."""
        return bundled_files("nano_swin") if getattr(params, "pretrained", True) else ()

    def stage_maps(self, tokens: Float[Tensor, "batch tokens 64"]) -> tuple[Tensor, Tensor]:
        """Return both stages' layer-normalised maps, of 56x56 images [batch 14 14 64] and [batch 7 7 128]."""
        first = self.swin.layers[0](tokens.unflatten(1, self.grid))
        return self.first_norm(first), self.swin.norm(self.swin.layers[1](first))

    def forward(self, tokens: Float[Tensor, "batch tokens 64"]) -> Float[Tensor, "batch places feats"]:
        """Return the features of a quarter as many places as tokens (``stages: last``) or of as many (``all``), row by row."""
        if self.params.stages == "last":
            return self.swin.norm(self.swin.layers(tokens.unflatten(1, self.grid))).flatten(1, 2)
        return joined_maps(self.stage_maps(tokens)).flatten(1, 2)

    def embed_source(self, inputs: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens 64"]:
        """Embed images in [0, 1] of any size."""
        return self.swin.patch_embed((resized(inputs, (self.image_size, self.image_size)) - MEAN) / STD).flatten(1, 2)

    def embedder_weights(self) -> dict[str, Tensor]:
        """Return copies of the patch embedding's kernel, bias and norm; there is no position embedding."""
        return patch_weights(self.swin.patch_embed.proj, self.swin.patch_embed.norm)

    def reinitialise(self) -> None:
        """Build every layer anew, the patch embedding included."""
        device = next(self.parameters()).device
        self._build()
        self.to(device).train(self.training)


def joined_maps(maps: tuple[Tensor, ...]) -> Tensor:
    """Resample channel-last maps to the first one's grid (bilinear) and join them: [batch rows columns sum of widths]."""
    size = maps[0].shape[1:3]
    upsampled = [F.interpolate(each.permute(0, 3, 1, 2), size, mode="bilinear").permute(0, 2, 3, 1) for each in maps[1:]]
    return torch.cat([maps[0], *upsampled], dim=-1)


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images [batch channels height width] with antialiasing where their size differs."""
    return images if tuple(images.shape[-2:]) == size else F.interpolate(images, size, mode="bilinear", antialias=True)


def patch_weights(projection: nn.Conv2d, norm: nn.Module) -> dict[str, Tensor]:
    """Return copies of a patch embedding's weights under the names of the contract; an absent norm counts as one and zero, an absent bias as zero."""
    weight, dim = projection.weight, projection.out_channels
    parts = {
        "weight": weight,
        "bias": projection.bias if projection.bias is not None else weight.new_zeros(dim),
        "norm_weight": norm.weight if isinstance(norm, nn.LayerNorm) else weight.new_ones(dim),
        "norm_bias": norm.bias if isinstance(norm, nn.LayerNorm) else weight.new_zeros(dim),
    }
    return {name: part.detach().clone() for name, part in parts.items()}


class HuggingFaceSwin(backbone.Backbone):
    """A Swin of transformers, by hub id or local folder. Safetensors only; code from the hub is never run.

    Tokens enter after the patch embedding, its norm and, where the configuration has them, the absolute positions. Images are normalised with
    ImageNet's mean and deviation, as every published Swin was trained.
    """

    class Params(Params):
        """Parameters of ``hf_swin``."""

        model: str = Field(default="microsoft/swin-base-patch4-window7-224-in22k", description="hub id, or folder with model.safetensors")
        revision: str | None = Field(default=None, description="hub commit or tag")
        pretrained: bool = Field(default=True, description="False draws random weights, for the published sizes without network")
        drop_path: float = Field(default=0.0, ge=0.0, lt=1.0, description="largest probability of skipping a block while training")

    model: Any
    mean: Tensor
    std: Tensor

    def __init__(self, params: Params | None = None) -> None:
        """Load or draw the network.

        Raises:
            DataMissingError: configuration or safetensors weights are neither on this machine nor to be had from the hub.
            EnvironmentFault: the network does not fit this machine's memory.
            IntegrityError: a file is damaged, the configuration is none for RGB images in square patches, or the weights are not of the network.
            UsageError: the model is not a Swin.

        """
        super().__init__()
        self.params = chosen = params if params is not None else self.Params()
        config = _load_config(chosen)
        config.drop_path_rate = chosen.drop_path
        self.image_size, self.patch_size = _geometry(config, chosen.model)
        self.model = hub.load_model(chosen, config, _random_model, lambda model: model(torch.empty(1, 3, *self.image_size)), SwinModel).float()
        self.dim, self.feats = int(config.embed_dim), int(config.hidden_size)
        self.grid = tuple(side // self.patch_size for side in self.image_size)
        self.out_grid = tuple(-(-side // 2 ** (len(config.depths) - 1)) for side in self.grid)
        self.register_buffer("mean", torch.tensor(IMAGENET_DEFAULT_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_DEFAULT_STD).view(3, 1, 1), persistent=False)

    @classmethod
    def weights_digest(cls, params: Params) -> str:
        """Return the SHA-256 of the safetensors file, "" for random weights.

        Raises:
            DataMissingError: the file is neither on this machine nor to be had from the hub.

        """
        chosen = cls.Params.model_validate(params.model_dump())
        return hub.weights_digest(chosen) if chosen.pretrained else ""

    @classmethod
    def architecture_digest(cls, params: Params) -> str:
        """Return the SHA-256 of the configuration file, "" for a published size that is drawn at random without one.

        Raises:
            DataMissingError: the file is neither on this machine nor to be had from the hub.

        """
        return hub.architecture_digest(cls.Params.model_validate(params.model_dump()), published_config)

    def forward(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch places feats"]:
        """Return the last stage's normalised features, row by row."""
        return self.model.layernorm(self.model.encoder(tokens, self.grid).last_hidden_state)

    def embed_source(self, inputs: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens dim"]:
        """Embed images in [0, 1] of any size."""
        return self.model.embeddings((resized(inputs, self.image_size) - self.mean) / self.std)[0]

    def embedder_weights(self) -> dict[str, Tensor]:
        """Return copies of the patch embedding's kernel, bias and norm, and of the positions where there are any."""
        embeddings = self.model.embeddings
        weights = patch_weights(embeddings.patch_embeddings.projection, embeddings.norm)
        if embeddings.position_embeddings is not None:
            weights["position"] = embeddings.position_embeddings[0].detach().clone()
        return weights

    def reinitialise(self) -> None:
        """Replace every weight by a fresh draw of the architecture's initial distribution, from torch's default generator."""
        self.model.load_state_dict(_random_model(self.model.config).state_dict())


_PUBLISHED: dict[str, dict[str, Any]] = {
    "swin-tiny-patch4-window7-224": {},
    "swin-small-patch4-window7-224": {"depths": [2, 2, 18, 2]},
    "swin-base-patch4-window7-224": {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32]},
    "swin-large-patch4-window7-224": {"embed_dim": 192, "depths": [2, 2, 18, 2], "num_heads": [6, 12, 24, 48]},
}


def published_config(name: str) -> SwinConfig | None:
    """Return the published configuration of ``name`` where this module knows it, so that a random network of that size needs no network access."""
    sizes = _PUBLISHED.get(name.removeprefix("microsoft/").removesuffix("-in22k"))
    return None if sizes is None else SwinConfig(**sizes)


def _random_model(config: SwinConfig) -> SwinModel:
    return SwinModel(config, add_pooling_layer=False)


def _geometry(config: SwinConfig, model: str) -> tuple[tuple[int, int], int]:
    """Return rows and columns of the images and the side of the patches, each of which a configuration gives as one number or as two.

    Raises:
        IntegrityError: the images are not RGB, the patches not square, or they do not fill the images.

    """
    image, patch = (tuple(value) if isinstance(value, list | tuple) else (value, value) for value in (config.image_size, config.patch_size))
    wrong = None
    if config.num_channels != 3:
        wrong = f"num_channels = {config.num_channels}, and images have 3"
    elif len(image) != 2 or len(patch) != 2 or patch[0] != patch[1]:
        wrong = f"image_size = {config.image_size} and patch_size = {config.patch_size}, not rectangles of square patches"
    elif any(side % patch[0] for side in image):
        wrong = f"image_size = {config.image_size}, no multiple of patch_size = {config.patch_size}"
    if wrong is not None:
        raise IntegrityError(f"configuration of backbone '{model}' has {wrong}", hint="choose another model, or correct its config.json")
    return (int(image[0]), int(image[1])), int(patch[0])


def _load_config(params: HuggingFaceSwin.Params) -> Any:
    known = hub.published(params, published_config)
    if known is not None:
        return known
    config = hub.load_config(params)
    if config.model_type != "swin":
        raise UsageError(f"model '{params.model}' is of type '{config.model_type}', not 'swin'", hint="pare-bench list backbone")
    return config
