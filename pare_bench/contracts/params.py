"""``Params``: the configuration of a component, nested in its class and checked when it is built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AnySet
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError, to_jsonable_python

from pare_bench.errors import PluginError


class Params(BaseModel):
    """Base of every component's configuration: immutable, unknown keys refused, finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


def as_json(params: BaseModel) -> dict[str, Any]:
    """Return parameters as plain JSON values, the same in every process: a set, whose order is that of the process's hash seed, is sorted.

    Raises:
        PluginError: a value has no form in JSON.
    """
    try:
        plain: dict[str, Any] = params.model_dump(mode="json")
    except PydanticSerializationError as error:
        raise PluginError(
            f"the parameters of '{type(params).__qualname__}' are no JSON: {error}", hint="use numbers, texts, lists and nested Params"
        ) from error
    return {name: _ordered(getattr(params, name), plain[name]) for name in type(params).model_fields}


def _ordered(value: Any, plain: Any) -> Any:
    """Return ``plain``, which pydantic has made of ``value``, with every set in it sorted."""
    if isinstance(value, AnySet):
        return sorted((_ordered(item, to_jsonable_python(item)) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, BaseModel) and isinstance(plain, dict):
        return {name: _ordered(getattr(value, name, None), item) for name, item in plain.items()}
    if isinstance(value, Mapping) and isinstance(plain, dict) and len(value) == len(plain):
        return {name: _ordered(item, shown) for item, (name, shown) in zip(value.values(), plain.items(), strict=True)}
    if isinstance(value, list | tuple) and isinstance(plain, list) and len(value) == len(plain):
        return [_ordered(item, shown) for item, shown in zip(value, plain, strict=True)]
    return plain
