"""Models of transformers from a hub or a local folder: safetensors only, code from the hub never runs, weights are known by their digest.

Transformers is only ever given files that are on this machine and were looked at: it opens no connection and chooses no other file.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig
from transformers.utils import logging

from pare_bench.builtin.backbones.model_files import check_configuration, check_weights, read_json, read_shards
from pare_bench.builtin.backbones.networks import check_finite, check_layers, check_network, one_line
from pare_bench.builtin.backbones.weights import files_digest
from pare_bench.builtin.hub_files import find, is_folder
from pare_bench.errors import DataMissingError, IntegrityError

CONFIGURATION = "config.json"
#: What transformers would load on top of a model where it finds it beside it, if peft is installed.
_ADAPTER = "adapter_config.json"
WEIGHTS = "model.safetensors"
#: Large models come in several files, which this one names.
INDEX = "model.safetensors.index.json"


class HubModel(Protocol):
    """What says which model: hub id or folder, a commit or tag of the hub, and whether its weights are wanted."""

    @property
    def model(self) -> str: ...  # noqa: D102

    @property
    def revision(self) -> str | None: ...  # noqa: D102

    @property
    def pretrained(self) -> bool: ...  # noqa: D102


def published(chosen: HubModel, known: Callable[[str], Any]) -> Any:
    """Return the configuration that ``known`` has under the model's name where random weights of it are wanted, else None: no file is needed."""
    return None if chosen.pretrained or is_folder(chosen.model) else known(chosen.model)


def load_config(chosen: HubModel) -> PreTrainedConfig:
    """Return the configuration.

    Raises:
        DataMissingError: it is neither on this machine nor to be had from the hub.
        IntegrityError: it is none that transformers knows, or asks for what is not loaded here.
        UsageError: the model has a name that no hub can have.

    """
    path = _configuration(chosen)
    content = read_json(path)
    check_configuration(path, content)
    kind = content.get("model_type")
    if kind is not None and (not isinstance(kind, str) or kind not in CONFIG_MAPPING):
        own = " and asks for code of its own (auto_map), which is never run" if "auto_map" in content else ""
        raise IntegrityError(f"'{path}' has model_type '{kind}', which transformers does not know{own}", hint="pare-bench list backbone")
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(path.parent, local_files_only=True, trust_remote_code=False)
    # Transformers checks some fields and stumbles over others: errors of many types for what is one fact here.
    except Exception as error:
        raise IntegrityError(
            f"'{path}' is no configuration of transformers: {one_line(error)}", hint=f"correct or fetch {CONFIGURATION} again"
        ) from error
    if "auto_map" in content:
        own = f"the network is transformers' own '{config.model_type}'"
        warnings.warn(f"'{path}' names code of its own (auto_map), which is never run: {own}", stacklevel=2)
    return config


def load_model(chosen: HubModel, config: PreTrainedConfig, build: Callable[[Any], Any], compute: Callable[[Any], object], model_class: Any) -> Any:
    """Return the network without its pooling layer, pretrained or, with ``pretrained`` False, from ``build``; pretrained, no random stream is moved.

    ``compute`` is tried on it first, on torch's meta device: nothing is allocated for what cannot be computed.

    Raises:
        DataMissingError: the weights are neither on this machine nor to be had from the hub, or not as safetensors.
        EnvironmentFault: the network does not fit this machine's memory.
        IntegrityError: the configuration describes no network, or the weights are damaged or not those of the network.

    """
    said = f"configuration of backbone '{chosen.model}'"
    count = check_network(lambda: build(deepcopy(config)), compute, said=said, hint=f"correct {CONFIGURATION}, or choose another model")
    if not chosen.pretrained:
        return build(config)
    paths = _weights(chosen)
    said = f"weights of '{chosen.model}'"
    # What a few tensors lack is told by name below; here nothing may be allocated for a network that these are not the weights of.
    if 2 * (held := sum(check_weights(path) for path in paths)) < count:
        raise IntegrityError(f"{said} lack a part: they hold {held} numbers, its configuration describes {count}", hint=_hint(chosen))
    if (paths[0].parent / _ADAPTER).is_file():
        message = f"'{paths[0].parent / _ADAPTER}' is an adapter, which is not applied here"
        raise IntegrityError(message, hint="merge it into the weights (peft: merge_and_unload), or remove it")
    try:
        with torch.random.fork_rng(devices=[]), _quiet():
            network, info = model_class.from_pretrained(
                paths[0].parent,
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                add_pooling_layer=False,
                ignore_mismatched_sizes=True,  # so that they are told below
                output_loading_info=True,
            )
    except MemoryError:
        raise
    except Exception as error:
        raise IntegrityError(f"{said} cannot be loaded: {one_line(error)}", hint=_hint(chosen)) from error
    _check_loaded(network, info, said, _hint(chosen))
    return network


def weights_digest(chosen: HubModel) -> str:
    """Return the SHA-256 of the safetensors file, or over all files of a model that comes in several.

    Raises:
        DataMissingError: a file is neither on this machine nor to be had from the hub.
        IntegrityError: the index of a model in several files is none.

    """
    return files_digest(_weights(chosen))


def architecture_digest(chosen: HubModel, known: Callable[[str], Any]) -> str:
    """Return the SHA-256 of the configuration file, "" for a published size that is drawn at random without one.

    Raises:
        DataMissingError: the configuration is neither on this machine nor to be had from the hub.

    """
    return "" if published(chosen, known) is not None else files_digest([_configuration(chosen)])


def _configuration(chosen: HubModel) -> Path:
    return find(chosen.model, (CONFIGURATION,), what="configuration of backbone", revision=chosen.revision)


def _weights(chosen: HubModel) -> tuple[Path, ...]:
    """Return the files of the weights: one, or all that an index names."""
    what = "safetensors weights of backbone"
    found = find(chosen.model, (WEIGHTS, INDEX), what=what, revision=chosen.revision)
    if found.name == WEIGHTS:
        return (found,)
    paths = tuple(find(chosen.model, (name,), what=what, revision=chosen.revision) for name in read_shards(found))
    if any(path.parent != found.parent for path in paths):
        raise DataMissingError(f"the files of '{chosen.model}' changed on the hub while they were fetched", hint="run the command again")
    return paths


def _check_loaded(network: nn.Module, info: dict[str, Any], said: str, hint: str) -> None:
    """Check that every weight of the network, and no layer more, came from the files."""
    if info["missing_keys"]:
        raise IntegrityError(f"{said} lack {len(info['missing_keys'])} tensors, first '{min(info['missing_keys'])}'", hint=hint)
    if info["mismatched_keys"]:
        name, stored, wanted = min(info["mismatched_keys"])
        shapes = f"{list(stored)}, its configuration says {list(wanted)}"
        raise IntegrityError(f"{said}: {len(info['mismatched_keys'])} tensors have other sizes, '{name}' has {shapes}", hint=hint)
    check_layers(network, info["unexpected_keys"], said)
    check_finite(network, said)


def _hint(chosen: HubModel) -> str:
    return f"give {CONFIGURATION} and weights of one model, or choose another than '{chosen.model}'"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from reporting in many lines what becomes one error, and from drawing a bar for what takes a second."""
    level, drawn = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if drawn:
            logging.enable_progress_bar()
