"""Language backbones: the bundled ``nano_text`` and any BERT- or RoBERTa-like encoder of transformers."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor
from transformers import AutoModel, BertConfig, PreTrainedConfig, PreTrainedModel, RobertaConfig

from pare_bench.builtin.backbones import hub
from pare_bench.builtin.backbones.weights import bundled_digest, bundled_files, load_bundled
from pare_bench.contracts import backbone
from pare_bench.contracts.params import Params
from pare_bench.errors import IntegrityError, UsageError

SUPPORTED_TYPES = ("bert", "camembert", "roberta", "xlm-roberta")
"""Model types whose encoder is a plain stack over ``LayerNorm(word + position + type)``."""


def nano_text_config(dropout: float = 0.0) -> RobertaConfig:
    """Return the architecture of ``nano_text``: RoBERTa with 4 layers of width 128 over 4,096 byte-level tokens."""
    return RobertaConfig(
        vocab_size=4096,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )


def published_config(name: str) -> PreTrainedConfig | None:
    """Return the published configuration of ``name`` where this module knows it, so that a random network of that size needs no network access."""
    match name.removeprefix("FacebookAI/").removeprefix("google-bert/"):
        case "roberta-base":
            return RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5)
        case "bert-base-uncased":
            return BertConfig(vocab_size=30522)
    return None


class TextEncoder(backbone.Backbone, ABC):
    """A transformers encoder split where tokens are embedded: ``forward`` runs the layers, ``embed_source`` the embedding layer.

    Tokens given to ``forward`` are complete embeddings: position added and layer-normed. Every token sees every other one.
    """

    out_grid = None
    patch_size = 1

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model.float()
        self.dim = self.feats = int(model.config.hidden_size)
        embeddings: Any = model.embeddings
        padding = embeddings.position_embeddings.padding_idx
        # RoBERTa numbers positions from one after the padding id; BERT has no padding position and numbers from 0.
        self.first_position = 0 if padding is None else int(padding) + 1
        self.grid = (int(model.config.max_position_embeddings) - self.first_position,)
        self.train(self.training)

    def forward(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens feats"]:
        """Return the last layer's hidden states.

        Raises:
            UsageError: there are more tokens than the backbone has positions.

        """
        self._check_length(tokens.shape[1])
        return self.model.encoder(tokens).last_hidden_state

    def embed_source(self, inputs: Int64[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens dim"]:
        """Return the embedding layer's output for token ids: word, position and type embeddings, layer-normed, never dropped out.

        Raises:
            UsageError: there are more tokens than positions, or an id is outside the vocabulary.

        """
        self._check_length(inputs.shape[1])
        vocabulary = self.model.config.vocab_size
        if inputs.numel() and not 0 <= int(inputs.min()) <= int(inputs.max()) < vocabulary:
            raise UsageError(
                f"token ids from {int(inputs.min())} to {int(inputs.max())} do not fit a vocabulary of {vocabulary}",
                hint="tokenize the source text with this backbone's own tokenizer",
            )
        return self.model.embeddings(input_ids=inputs)

    def embedder_weights(self) -> dict[str, Tensor]:
        """Return copies of ``norm_weight`` [dim], ``norm_bias`` [dim] and ``position`` [max_tokens dim].

        ``position`` starts at the first position of a sequence and contains the embedding of token type 0, which every token of a single
        sequence receives; so LayerNorm(value + position) is all that a target embedder needs.
        """
        embeddings = self.model.embeddings
        position = embeddings.position_embeddings.weight[self.first_position :] + embeddings.token_type_embeddings.weight[0]
        weights = {"norm_weight": embeddings.LayerNorm.weight, "norm_bias": embeddings.LayerNorm.bias, "position": position}
        return {name: weight.detach().clone() for name, weight in weights.items()}

    def reinitialise(self) -> None:
        """Replace every weight by a fresh draw of the architecture's initial distribution, from torch's default generator."""
        self.model.load_state_dict(_random_model(self.model.config).state_dict())

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the layers; the embedding layer stays in evaluation mode, because source tokens must not be noisy."""
        super().train(mode)
        self.model.embeddings.eval()
        return self

    def _check_length(self, tokens: int) -> None:
        if tokens > self.grid[0]:
            raise UsageError(f"{tokens} tokens are more than the backbone's {self.grid[0]} positions", hint="make the embedder give fewer tokens")


class NanoText(TextEncoder):
    """The bundled language backbone (docs/backbones/nano_text.md): 4 layers, width 128, at most 512 tokens."""

    class Params(Params):
        """``pretrained`` False leaves the random initial weights; ``dropout`` acts inside the layers while training."""

        pretrained: bool = True
        dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    def __init__(self, params: Params | None = None) -> None:
        """Build the network.

        Raises:
            DataMissingError: the bundled weights are not in this installation.
            IntegrityError: the bundled weights are not what their card says.

        """
        chosen = params if params is not None else self.Params()
        config = nano_text_config(chosen.dropout)
        if chosen.pretrained:
            with torch.random.fork_rng(devices=[]):  # the draws are overwritten, so they must not move the run's stream
                model = _random_model(config)
            model.load_state_dict(load_bundled("nano_text"))
        else:
            model = _random_model(config)
        super().__init__(model)
        self.params = chosen

    @classmethod
    def weights_digest(cls, params: Params) -> str:
        """Return the SHA-256 of the bundled weights, "" for random weights."""
        return bundled_digest("nano_text") if getattr(params, "pretrained", True) else ""

    @classmethod
    def tokenizer(cls, params: Params) -> str:  # noqa: ARG003 - there is one
        """Return ``nano_text``, the bundled tokenizer."""
        return "nano_text"

    @classmethod
    def files(cls, params: Params) -> Sequence[Path]:
        """Return the bundled weights and their card."""
        return bundled_files("nano_text") if getattr(params, "pretrained", True) else ()


class HuggingFaceText(TextEncoder):
    """A BERT- or RoBERTa-like encoder of transformers, by short name, hub id or folder. Safetensors only; code from the hub is never run."""

    class Params(Params):
        """Which encoder.

        ``model`` is a short name (``pare-bench backbones list``), a hub id or a folder with ``config.json`` and ``model.safetensors``;
        ``revision`` pins a hub commit or tag;
        ``pretrained`` False draws random weights from the configuration; ``dropout`` None keeps the configuration's.
        """

        model: str = "roberta-base"
        revision: str | None = None
        pretrained: bool = True
        dropout: float | None = Field(default=None, ge=0.0, lt=1.0)

    def __init__(self, params: Params | None = None) -> None:
        """Load or draw the network.

        Raises:
            DataMissingError: configuration or safetensors weights are neither on this machine nor to be had from the hub.
            EnvironmentFault: the network does not fit this machine's memory.
            IntegrityError: a file is damaged, the configuration describes no encoder, or the weights are not those of the network.
            UsageError: the model is not BERT- or RoBERTa-like.

        """
        chosen = params if params is not None else self.Params()
        config = _load_config(chosen)
        if config.model_type not in SUPPORTED_TYPES:
            known = ", ".join(SUPPORTED_TYPES)
            message = f"model '{chosen.model}' is of type '{config.model_type}'; known: {known}"
            raise UsageError(message, hint="choose a BERT- or RoBERTa-like encoder")
        config.is_decoder = False
        config.add_cross_attention = False
        if chosen.dropout is not None:
            config.hidden_dropout_prob = config.attention_probs_dropout_prob = chosen.dropout
        super().__init__(hub.load_model(chosen, config, _random_model, lambda model: model(torch.zeros(1, 2, dtype=torch.int64)), AutoModel))
        self.params = chosen
        if self.grid[0] < 1:
            message = (
                f"configuration of backbone '{chosen.model}' has max_position_embeddings = {config.max_position_embeddings}, no position for a token"
            )
            raise IntegrityError(message, hint="choose another model, or correct its config.json")

    @classmethod
    def weights_digest(cls, params: Params) -> str:
        """Return the SHA-256 of the safetensors weights, "" for random weights.

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

    @classmethod
    def tokenizer(cls, params: Params) -> str:
        """Return the model's own hub id or folder."""
        return cls.Params.model_validate(params.model_dump()).model


def _random_model(config: PreTrainedConfig) -> PreTrainedModel:
    return AutoModel.from_config(config, add_pooling_layer=False).float()


def _load_config(params: HuggingFaceText.Params) -> PreTrainedConfig:
    known: PreTrainedConfig | None = hub.published(params, published_config)
    return hub.load_config(params) if known is None else known
