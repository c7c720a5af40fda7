"""One run, fully described: what ``pare-bench run`` resolves its options into and what a record stores."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from pare_bench.contracts.params import Params
from pare_bench.contracts.size import TaskSize, Track
from pare_bench.errors import UsageError, nearest, plain_text

Tier = Literal["generated", "bundled", "official"]
Precision = Literal["float32", "bfloat16", "float16"]

#: Slots of a run that hold a component, with the registry kind that fills them.
SLOTS: Mapping[str, str] = {
    "backbone": "backbone",
    "embedder": "embedder",
    "selector": "selector",
    "mixer": "mixer",
    "aligner": "aligner",
    "source": "task",
}

#: Fields that have an option of their own.
_OPTIONS: Mapping[str, str] = {
    "suite": "--suite",
    "preset": "--preset",
    "task": "--task",
    "method": "--method",
    "tier": "--tier",
    "track": "--track",
    "seed": "--seeds",
    "device": "--device",
}


class Slot(Params):
    """A component by name, with all its parameters."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


class Size(Params):
    """Examples in each split of a generated data set."""

    train: int = Field(ge=2)
    val: int = Field(ge=1)
    test: int = Field(ge=1)

    def task_size(self) -> TaskSize:
        """Return the size as the task contract takes it."""
        return TaskSize(self.train, self.val, self.test)


class Recipe(Params):
    """How the optimiser is run."""

    optimiser: Literal["adamw", "adam", "sgd"] = Field("adamw", description="adam and sgd couple the weight decay to the gradient (L2)")
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    decayed: Literal["matrices", "all"] = Field("matrices", description="matrices: biases and norm scales are not decayed; released code: all")
    betas: tuple[float, float] = Field((0.9, 0.999), description="of adam and adamw")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    batch_size: int = Field(32, ge=1, description="examples of a micro-batch, over all processes")
    accumulation: int = Field(1, ge=1, description="micro-batches per optimiser step")
    accumulate: Literal["mean", "released"] = Field(
        "mean",
        description="mean: the loss is the mean over the step's examples, clipped once, the last group stepped; released: losses are summed, "
        "clipped after every micro-batch, left-overs of an epoch dropped, the rate moves per micro-batch and starts at 0",
    )
    clip_norm: float | None = Field(1.0, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the rate rises linearly")
    decay_end: float = Field(1.0, gt=0, description="share of the steps at which cosine or linear reach 0; above 1 training ends before")
    trained: Literal["all", "norms", "values"] = Field(
        "all", description="weights of the body that move: all, layer norms only, or all but the attention's queries and keys (released: Wv)"
    )


class Budget(Params):
    """How long a run may train, and which epoch's state is scored."""

    epochs: int = Field(10, ge=1)
    epoch_steps: int | None = Field(
        None, ge=1, description="optimiser steps of an epoch at most, its examples drawn anew each time; otherwise a pass over all examples"
    )
    max_steps: int | None = Field(None, ge=1, description="stop after so many optimiser steps, whatever the epoch")
    patience: int | None = Field(None, ge=1, description="stop after so many epochs without a better validation score")
    keep: Literal["best", "last"] = Field("best", description="the state that is scored: of the best validation epoch, or of the last one")

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A field that came later is written where it is used only: runs without it keep the text that is hashed, and with that their id.
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if (name, value) != ("epoch_steps", None)}


#: Fields of a run that have parts.
_NESTED: Mapping[str, type[Params]] = {"recipe": Recipe, "budget": Budget, "size": Size, "source_size": Size}


class RunConfig(Params):
    """A resolved run. Slots that the method does not use are None, so they do not enter the identity of the run."""

    suite: str
    task: Slot
    tier: Tier = "generated"
    track: Track = "clean"
    preset: str
    seed: int = Field(0, ge=0)
    data_seed: int = Field(
        0, ge=0, description="seed of the generated data, or of the split where none is published; the same for every run seed, so runs are paired"
    )
    size: Size | None = Field(None, description="size of the generated data; None on the other tiers")
    method: Slot
    backbone: Slot | None = None
    embedder: Slot | None = None
    selector: Slot | None = None
    mixer: Slot | None = None
    aligner: Slot | None = None
    source: Slot | None = None
    source_size: Size | None = None
    recipe: Recipe = Recipe()
    budget: Budget = Budget()
    dense_head: Literal["sub_pixel", "masked_image"] = Field(
        "sub_pixel", description="head of dense targets: a trained sub-pixel head, or the released code's masked-image decoder"
    )
    precision: Precision = "float32"
    compile: bool = Field(False, description="compile the network (torch.compile)")
    device: str = "cpu"

    def slots(self) -> dict[str, Slot]:
        """Return the filled component slots by slot name."""
        return {name: slot for name in SLOTS if (slot := getattr(self, name)) is not None}

    def canonical(self) -> str:
        """Return the configuration as JSON with sorted keys: the text that is hashed."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def digest(self) -> str:
        """Return the SHA-256 of the configuration."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def label(self) -> str:
        """Return a short name for progress lines."""
        return f"{self.method.name} {self.task.name} seed {self.seed}"


def identity_digest(*parts: str) -> str:
    """Return 16 hex digits over the parts of an identity."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def short_path(path: str) -> str:
    """Return the short form of an ``-o`` path: ``mixer.params.begin`` and ``mixer.begin`` are one, and so are ``mixer.name`` and ``mixer``."""
    return path.replace(".params.", ".", 1).removesuffix(".name")


def parse_overrides(pairs: Iterable[str]) -> list[tuple[tuple[str, ...], Any]]:
    """Parse ``-o path=value`` options; values are JSON where they parse as JSON, text otherwise.

    Raises:
        UsageError: an option without ``=``, or two values for one path.
    """
    parsed = []
    seen: dict[str, str] = {}
    for pair in pairs:
        path, separator, text = pair.partition("=")
        if not separator or not path:
            raise UsageError(f"option -o takes path=value, got '{pair}'", hint="for example -o recipe.learning_rate=0.0005")
        if plain_text(pair) != pair:
            raise UsageError(f"option -o has text that is not UTF-8: {plain_text(pair)!r}", hint="give the file or folder a name in UTF-8")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):  # thousands of digits, or of brackets, are no JSONDecodeError
            value = text
        short = short_path(path)
        if seen.setdefault(short, text) != text:
            raise UsageError(f"option -o has two values for '{short}': '{seen[short]}' and '{text}'", hint="give it once")
        parsed.append((tuple(path.split(".")), value))
    return parsed


def apply_override(values: dict[str, Any], path: tuple[str, ...], value: Any, used_slots: Iterable[str]) -> None:
    """Set one ``-o`` path in the nested values of a run.

    ``slot=name`` replaces a component (and drops the parameters of the one before), ``slot.parameter=value`` sets one of its parameters, and
    every other path follows the fields of :class:`RunConfig`.

    Raises:
        UsageError: the path does not exist, or names a slot that the method does not use.
    """
    text = ".".join(path)
    head, *rest = path
    if head in _OPTIONS and rest in ([], ["name"]):
        # Sizes, presets and slots follow from these; set afterwards, they would no longer fit together.
        raise UsageError(f"option -o has unknown path '{text}': it has an option of its own", hint=f"use {_OPTIONS[head]} {value}")
    if head not in RunConfig.model_fields:
        raise unknown_path(text, value, ())
    if head in SLOTS and head not in set(used_slots):
        method = values["method"]["name"]
        raise UsageError(f"option -o sets '{text}', but method '{method}' has no {head}", hint=f"pare-bench show method {method}")
    if head in (*SLOTS, "method", "task"):
        if not rest:
            if value != values[head]["name"]:
                values[head] = {"name": value, "params": {}}
        elif rest == ["name"]:
            values[head] = {"name": value, "params": {}}
        elif len(rest) == 1 or (len(rest) == 2 and rest[0] == "params"):
            values[head]["params"] = {**values[head]["params"], rest[-1]: value}
        else:
            raise UsageError(f"option -o has unknown path '{text}'", hint=f"a component's parameters are {head}.<name>: pare-bench show {head} NAME")
        return
    _set_field(values, text, head, rest, value)


def is_known(path: tuple[str, ...]) -> bool:
    """Return whether a path begins as those of a run do."""
    return path[0] in RunConfig.model_fields


def unknown_path(text: str, value: Any, parameters: Iterable[str]) -> UsageError:
    """Return the error for a path that begins with no field of a run; ``parameters`` are those of its components, as ``slot.name``.

    What is meant is first a path that ends like it (``learning_rate``), then one that ends nearly so, then the nearest of all.
    """
    import difflib  # only who has mistyped a path waits for it

    parts = {f"{head}.{name}" for head, part in _NESTED.items() for name in part.model_fields} | set(parameters)
    plain = set(RunConfig.model_fields) - set(_OPTIONS)
    last = text.rpartition(".")[2]
    close = None
    for wanted in (last, *difflib.get_close_matches(last, {path.rpartition(".")[2] for path in parts | plain}, n=1, cutoff=0.7)):
        # Of sizes the task's is meant, of the method's and a component's parameter the first.
        ending = sorted((path for path in parts | plain if path.rpartition(".")[2] == wanted), key=lambda path: ("_size" in path, path))
        if ending and close is None:
            close = ending[0]
    close = close or nearest(text, parts | plain)
    if close is None:
        first = ", ".join(sorted(plain | {"method", "task"}))
        return UsageError(f"option -o has unknown path '{text}'", hint=f"paths begin with one of: {first}")
    shown = value if isinstance(value, str) else json.dumps(value)
    return UsageError(f"option -o has unknown path '{text}'; did you mean '{close}'?", hint=f"-o {close}={shown}")


def _set_field(values: dict[str, Any], text: str, head: str, rest: list[str], value: Any) -> None:
    if head not in _NESTED:
        if rest:
            raise UsageError(f"option -o has unknown path '{text}'", hint=f"'{head}' has no parts: -o {head}=VALUE")
        values[head] = value
        return
    fields = _NESTED[head].model_fields
    if len(rest) != 1 or rest[0] not in fields:
        close = nearest(rest[0], fields) if rest else None
        raise UsageError(
            f"option -o has unknown path '{text}'" + (f"; did you mean '{head}.{close}'?" if close else ""),
            hint=f"{head} has: {', '.join(fields)}",
        )
    values[head] = {**(values.get(head) or {}), rest[0]: value}


def validated(values: Mapping[str, Any]) -> RunConfig:
    """Return the checked configuration.

    Raises:
        UsageError: a value does not fit its field; the message names the path.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        path = ".".join(str(part) for part in problem["loc"])
        close = nearest(str(problem["input"]), re.findall(r"'([^']*)'", problem["msg"])) if problem["type"] == "literal_error" else None
        change = f"{_OPTIONS[path]} VALUE" if path in _OPTIONS else f"-o {path}=VALUE"
        text = problem["msg"][0].lower() + problem["msg"][1:]
        change = change.replace("VALUE", close) if close else f"change it with {change}"
        raise UsageError(f"'{path}' cannot be {problem['input']!r}: {text}" + (f"; did you mean '{close}'?" if close else ""), hint=change) from error
