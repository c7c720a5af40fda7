"""What files of a model from outside must be before anything is built from them: JSON of plausible sizes, and whole safetensors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from pare_bench.builtin.hub_files import check_content
from pare_bench.errors import EnvironmentFault, IntegrityError

#: A configuration is a few kilobytes, a large model's index some hundred.
_LARGEST_JSON = 1 << 24
#: Numbers that no published encoder comes near. What a network of them would take of memory is checked when it is known (``networks.py``).
_LARGEST = {
    **dict.fromkeys(("hidden_size", "embed_dim", "intermediate_size", "max_position_embeddings", "type_vocab_size"), 1 << 20),
    **dict.fromkeys(("num_hidden_layers", "depths", "num_attention_heads", "num_heads", "num_channels", "patch_size", "window_size"), 1 << 10),
    "vocab_size": 1 << 24,
    "image_size": 1 << 13,
}
#: Attention that comes with torch; other names stand for code that would be fetched.
_ATTENTION = (None, "eager", "sdpa")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file of a model holds.

    Raises:
        EnvironmentFault: the file cannot be read.
        IntegrityError: it is not a JSON object, or too large for one.

    """
    check_content(path, largest=_LARGEST_JSON)
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"'{path}' is not JSON: {str(error) or 'nested too deeply'}", hint=_again(path)) from error
    if not isinstance(found, dict):
        raise IntegrityError(f"'{path}' holds a {type(found).__name__}, not an object", hint=_again(path))
    return found


def read_shards(index: Path) -> tuple[str, ...]:
    """Return the names of the files that the index of a model in several files lists, sorted.

    Raises:
        IntegrityError: it is no such index, or lists files outside its folder.

    """
    mapped = read_json(index).get("weight_map")
    if not isinstance(mapped, dict) or not mapped or not all(isinstance(name, str) for name in mapped.values()):
        raise IntegrityError(f"'{index}' has no 'weight_map' of tensors to files", hint=_again(index))
    names = sorted(set(mapped.values()))
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise IntegrityError(f"'{index}' lists '{name}', which is no safetensors file beside it", hint=_again(index))
    return tuple(names)


def check_configuration(path: Path, content: Mapping[str, Any]) -> None:
    """Check what a configuration would have transformers do and allocate, before it is given to transformers.

    Raises:
        IntegrityError: a number is out of all proportion, or it asks for code, files or weights of a kind that are not loaded here.

    """
    for key, value in _numbers(content):
        if not 1 <= value <= _LARGEST[key]:
            raise IntegrityError(f"'{path}' has {key} = {value}, not from 1 to {_LARGEST[key]}", hint=f"correct {key}, or {_again(path)}")
    for key in ("attn_implementation", "_attn_implementation"):
        if content.get(key) not in _ATTENTION:
            raise IntegrityError(f"'{path}' asks for {key} = '{content[key]}', code that is not part of torch", hint=f"remove {key}")
    if content.get("transformers_weights") is not None:
        raise IntegrityError(f"'{path}' names other weights: '{content['transformers_weights']}'", hint="remove transformers_weights")
    if content.get("quantization_config") is not None:
        raise IntegrityError(f"'{path}' describes quantized weights", hint="give the model in float32, float16 or bfloat16")
    if content.get("position_embedding_type", "absolute") not in ("absolute", None):
        kind = content["position_embedding_type"]
        raise IntegrityError(f"'{path}' has position_embedding_type = '{kind}', which transformers no longer builds", hint="choose another model")


def check_weights(path: Path) -> int:
    """Check that a file is safetensors and whole, and return how many numbers it holds; no tensor is read.

    Raises:
        EnvironmentFault: the file cannot be read.
        IntegrityError: it is not safetensors, or a part of it is missing.

    """
    check_content(path)
    try:
        with safe_open(path, framework="numpy") as opened:
            return sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        raise IntegrityError(f"'{path}' is not whole safetensors: {error}", hint=_again(path)) from error
    except OSError as error:
        raise EnvironmentFault(f"'{path}' cannot be read: {error.strerror or error}", hint=f"ls -l '{path}'") from error


def _numbers(content: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the whole numbers of a configuration that size a network, and the sum of a list of depths."""
    for key in _LARGEST:
        value = content.get(key)
        whole = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int)]
        yield from ((key, each) for each in whole)
        if key == "depths" and whole:
            yield key, sum(whole)


def _again(path: Path) -> str:
    return f"fetch {path.name} again"
