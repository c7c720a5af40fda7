"""Models of transformers from a hub or a local folder: safetensors only, code from the hub never runs, weights are known by their digest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import AutoConfig, PreTrainedConfig
from transformers.utils.hub import cached_file

from pare_bench.builtin.backbones.weights import files_digest
from pare_bench.errors import DataMissingError, IntegrityError

CONFIGURATION = "config.json"
#: What transformers loads on top of a model where it finds them beside it.
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
WEIGHTS = "model.safetensors"
#: Large models come in several files, which this one names.
INDEX = "model.safetensors.index.json"


class HubModel(Protocol):
    """What says which model: hub id or folder, and a commit or tag of the hub."""

    @property
    def model(self) -> str: ...  # noqa: D102

    @property
    def revision(self) -> str | None: ...  # noqa: D102


def load_config(chosen: HubModel) -> PreTrainedConfig:
    """Return the configuration.

    Raises:
        DataMissingError: it is neither on this machine nor to be had from the hub.

    """
    try:
        return AutoConfig.from_pretrained(chosen.model, revision=chosen.revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _missing(chosen, "configuration") from error


def load_model(model_class: Any, chosen: HubModel, config: PreTrainedConfig) -> Any:
    """Return the pretrained network without its pooling layer; torch's random stream is not moved.

    Raises:
        DataMissingError: the weights are neither on this machine nor to be had from the hub, or not as safetensors.
        IntegrityError: the weights found lack a part of the network.

    """
    try:
        with torch.random.fork_rng(devices=[]):
            model, info = model_class.from_pretrained(
                chosen.model,
                config=config,
                revision=chosen.revision,
                use_safetensors=True,
                trust_remote_code=False,
                add_pooling_layer=False,
                output_loading_info=True,
            )
    except (OSError, ValueError) as error:
        raise _missing(chosen, "safetensors weights") from error
    if info["missing_keys"]:
        raise IntegrityError(f"weights of '{chosen.model}' lack {len(info['missing_keys'])} tensors, first '{min(info['missing_keys'])}'")
    return model


def weights_digest(chosen: HubModel) -> str:
    """Return the SHA-256 of the safetensors file, or over all files of a model that comes in several.

    Raises:
        DataMissingError: a file is neither on this machine nor to be had from the hub.

    """
    try:
        return files_digest([_file(chosen, WEIGHTS)])
    except (OSError, ValueError) as error:
        try:
            names = set(json.loads(_file(chosen, INDEX).read_text("utf-8"))["weight_map"].values())
            return files_digest([_file(chosen, name) for name in sorted(names)])
        except (OSError, ValueError, KeyError):
            raise _missing(chosen, "safetensors weights") from error


def architecture_digest(chosen: HubModel) -> str:
    """Return the SHA-256 of the configuration file, and of an adapter's where the model's folder holds one.

    Raises:
        DataMissingError: the configuration is neither on this machine nor to be had from the hub.

    """
    folder = Path(chosen.model)
    adapters = [folder / name for name in _ADAPTER if (folder / name).is_file()]
    try:
        return files_digest([_file(chosen, CONFIGURATION), *adapters])
    except (OSError, ValueError) as error:
        raise _missing(chosen, "configuration") from error


def _file(chosen: HubModel, name: str) -> Path:
    return Path(str(cached_file(chosen.model, name, revision=chosen.revision)))


def _missing(chosen: HubModel, what: str) -> DataMissingError:
    return DataMissingError(
        f"no {what} of backbone '{chosen.model}' on this machine or the hub",
        hint=f"where there is network run: hf download {chosen.model}; or give a local folder that holds config.json and {WEIGHTS}",
    )
