"""Any Swin or ViT that timm builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from jaxtyping import Float
from pydantic import Field
from safetensors.torch import load_file
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer import checkpoint_filter_fn as filter_swin
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.swin_transformer_v2 import checkpoint_filter_fn as filter_swin_v2
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer import checkpoint_filter_fn as filter_vit
from torch import Tensor, nn

from pare_bench.builtin.backbones.model_files import check_weights
from pare_bench.builtin.backbones.networks import check_finite, check_layers, check_network, one_line
from pare_bench.builtin.backbones.swin import patch_weights, resized
from pare_bench.builtin.backbones.weights import file_digest
from pare_bench.builtin.hub_files import find, is_folder
from pare_bench.contracts import backbone
from pare_bench.contracts.params import Params
from pare_bench.errors import DataMissingError, IntegrityError, UsageError, unknown_name

_WEIGHTS = "model.safetensors"
_FILTERS: dict[type, Any] = {SwinTransformer: filter_swin, SwinTransformerV2: filter_swin_v2, VisionTransformer: filter_vit}


class TimmVision(backbone.Backbone):
    """A Swin, Swin V2 or plain ViT by its timm name; width, grid and image size are asked of the model.

    Tokens of a Swin enter after the patch embedding and its norm, tokens of a ViT with their positions added. A ViT's class and register
    tokens are put in front inside ``forward`` and taken out of the features. Safetensors only.
    """

    class Params(Params):
        """Parameters of ``timm``."""

        model: str = Field(default="swin_base_patch4_window7_224", description="architecture, a name of timm")
        weights: str | None = Field(default=None, description="hub id, folder with model.safetensors, or a safetensors file; none: random weights")
        revision: str | None = Field(default=None, description="hub commit or tag of the weights")
        image_size: int | None = Field(default=None, gt=0, le=8192, description="side of the images; none: the architecture's own")
        drop_path: float = Field(default=0.0, ge=0.0, lt=1.0, description="largest probability of skipping a block while training")

    # timm's modules are typed too loosely to be checked.
    model: Any
    mean: Tensor
    std: Tensor

    def __init__(self, params: Params | None = None) -> None:
        """Load or draw the network.

        Raises:
            DataMissingError: the weights are neither on this machine nor to be had from the hub.
            EnvironmentFault: the network does not fit this machine's memory.
            IntegrityError: the weights are damaged, or not those of this architecture.
            UsageError: the architecture is not a Swin or plain ViT of RGB images, or not known to timm.

        """
        super().__init__()
        self.params = chosen = params if params is not None else self.Params()
        _check_size(chosen)
        if chosen.weights is None:
            self.model = _build(chosen)
        else:
            path = _weights_file(chosen)
            check_weights(path)
            with torch.random.fork_rng(devices=[]):  # the draws are overwritten, so they must not move the run's stream
                self.model = _build(chosen)
            _load(self.model, path)
        embed = self.model.patch_embed
        self.patch_size = int(embed.patch_size[0])
        self.image_size = tuple(embed.img_size)
        self.grid = tuple(embed.grid_size)
        self.dim, self.feats = int(embed.proj.out_channels), int(self.model.num_features)
        self.prefix = 0
        self.out_grid = self.grid
        if isinstance(self.model, VisionTransformer):
            self.prefix = int(self.model.num_prefix_tokens)
        else:
            self.out_grid = tuple(-(-side // 2 ** (len(self.model.layers) - 1)) for side in self.grid)
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(self.model.pretrained_cfg[name]).view(3, 1, 1), persistent=False)

    @classmethod
    def weights_digest(cls, params: Params) -> str:
        """Return the SHA-256 of the weight file, "" for random weights.

        Raises:
            DataMissingError: the file is neither on this machine nor to be had from the hub.

        """
        chosen = cls.Params.model_validate(params.model_dump())
        return "" if chosen.weights is None else file_digest(_weights_file(chosen))

    def forward(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch places feats"]:
        """Return the last normalised features, row by row."""
        if not isinstance(self.model, VisionTransformer):
            return self.model.norm(self.model.layers(tokens.unflatten(1, self.grid))).flatten(1, 2)
        tokens = torch.cat([self._prefix_tokens().expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.model.norm_pre(self.model.patch_drop(self.model.pos_drop(tokens)))
        return self.model.norm(self.model.blocks(tokens))[:, self.prefix :]

    def embed_source(self, inputs: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens dim"]:
        """Embed images in [0, 1] of any size, normalised as timm's configuration of the model says."""
        tokens = self.model.patch_embed((resized(inputs, self.image_size) - self.mean) / self.std)
        tokens = tokens.flatten(1, 2) if tokens.ndim == 4 else tokens
        position = self._position()
        return tokens if position is None else tokens + position

    def embedder_weights(self) -> dict[str, Tensor]:
        """Return copies of the patch embedding's kernel, bias and norm (one and zero where it has none), and a ViT's positions."""
        weights = patch_weights(self.model.patch_embed.proj, self.model.patch_embed.norm)
        position = self._position()
        if position is not None:
            weights["position"] = position[0].detach().clone()
        return weights

    def reinitialise(self) -> None:
        """Replace every weight by a fresh draw of the architecture's initial distribution, from torch's default generator."""
        self.model.load_state_dict(_build(self.params).state_dict())

    def _position(self) -> Tensor | None:
        """Return the positions of the patches [1 tokens dim]."""
        position = getattr(self.model, "pos_embed", None)
        if position is None or self.model.no_embed_class:
            return position
        return position[:, self.prefix :]

    def _prefix_tokens(self) -> Tensor:
        """Return class and register tokens [1 prefix dim], with their positions where the model has positions for them."""
        tokens = [token for token in (self.model.cls_token, self.model.reg_token) if token is not None]
        prefix = torch.cat(tokens, dim=1) if tokens else self.model.patch_embed.proj.weight.new_zeros(1, 0, self.dim)
        if self.model.pos_embed is None or self.model.no_embed_class:
            return prefix
        return prefix + self.model.pos_embed[:, : self.prefix]


def _check_size(params: TimmVision.Params) -> None:
    """Check without memory that timm knows the architecture and can compute it at the size wanted.

    Raises:
        EnvironmentFault: it does not fit this machine's memory.
        UsageError: it is unknown, or its sizes do not go together.

    """
    if not timm.is_model(params.model):
        raise unknown_name("timm model", params.model, timm.list_models(["swin*", "vit*", "deit*"]), hint="timm.list_models('swin*')")

    def compute(model: Any) -> object:
        return model(torch.empty(1, 3, *model.patch_embed.img_size))

    try:
        check_network(lambda: _build(params), compute, said=f"timm model '{params.model}'", hint="")
    except IntegrityError as error:
        size = "" if params.image_size is None else f" at image size {params.image_size}"
        reason = one_line(error.__cause__)
        raise UsageError(f"timm model '{params.model}' cannot be computed{size}: {reason}", hint="choose a multiple of its patch size") from error


def _build(params: TimmVision.Params) -> Any:
    options: dict[str, Any] = {} if params.image_size is None else {"img_size": params.image_size}
    try:
        model = timm.create_model(params.model, pretrained=False, num_classes=0, drop_path_rate=params.drop_path, **options)
    # Besides what it checks itself, timm stumbles over sizes that do not go together, and over tags of weights that it does not know.
    except (TypeError, AssertionError, RuntimeError, ValueError) as error:
        if "meta tensor" in str(error):
            raise  # see check_network
        size = "" if params.image_size is None else f" with image size {params.image_size}"
        raise UsageError(f"timm model '{params.model}' cannot be built{size}: {one_line(error)}", hint="pare-bench show backbone timm") from error
    if type(model) not in _FILTERS or getattr(model.patch_embed, "proj", None) is None:
        raise UsageError(f"timm model '{params.model}' is a {type(model).__name__}, not a Swin or a plain ViT", hint="pare-bench list backbone")
    embed: Any = model.patch_embed
    patch = int(embed.patch_size[0])
    if any(side < patch or (isinstance(model, VisionTransformer) and side % patch) for side in embed.img_size):
        message = f"timm model '{params.model}' cannot be computed at image size {params.image_size}: its patches have {patch} pixels a side"
        raise UsageError(message, hint=f"-o backbone.image_size={patch * max(1, (params.image_size or patch) // patch)}")
    return model


def _weights_file(params: TimmVision.Params) -> Path:
    """Find the safetensors file that ``weights`` means: a file, a folder's ``model.safetensors``, or that of a hub repository."""
    weights = str(params.weights)
    if not is_folder(weights) and (_exists(weights) or weights.endswith(".safetensors")):
        if _exists(weights) and weights.endswith(".safetensors"):
            return Path(weights)
        raise DataMissingError(f"no safetensors weights at '{weights}'", hint=f"give a safetensors file, a folder that holds {_WEIGHTS}, or a hub id")
    return find(weights, (_WEIGHTS,), what="safetensors weights", revision=params.revision)


def _exists(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:  # a name too long for a file
        return False


def _load(model: nn.Module, path: Path) -> None:
    said = f"weights '{path}'"
    try:
        state = _FILTERS[type(model)](load_file(path), model)
        result = model.load_state_dict(state, strict=False)
    except MemoryError:
        raise
    # timm converts checkpoints of several origins, and stumbles over what is none of them.
    except Exception as error:
        raise IntegrityError(f"{said} do not fit the architecture: {one_line(error)}", hint="give the weights of this architecture") from error
    if result.missing_keys:
        message = f"{said} lack {len(result.missing_keys)} tensors of the architecture, first '{min(result.missing_keys)}'"
        raise IntegrityError(message, hint="give the weights of this architecture")
    check_layers(model, result.unexpected_keys, said)
    check_finite(model, said)
